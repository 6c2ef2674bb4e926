// DumpLines: what `log dump` prints of a data directory, for people or as one JSON object a line,
// and the object of `log verify --json`. Names and order of the fields are a contract.
#pragma once

#include <memory>
#include <string>

#include "storage/dump.hpp"

namespace zabmq::cli {

// Prints everything it is told on standard output.
class DumpPrinter : public storage::DumpReader {
 public:
  virtual void on_verdict(const storage::VerifyReport& report) = 0;
};

std::unique_ptr<DumpPrinter> text_dump();
std::unique_ptr<DumpPrinter> json_dump();

std::string json_line(const storage::VerifyReport& report);

// "clean", "torn", "corrupt" or "unreadable".
std::string name_of(storage::VerifyReport::Verdict verdict);

}  // namespace zabmq::cli
