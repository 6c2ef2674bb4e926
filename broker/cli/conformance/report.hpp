// Report: what became of each rule, a line each as soon as it is known.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "cli/conformance/frame.hpp"
#include "cli/conformance/rules.hpp"

namespace zabmq::cli::conformance {

struct Finding {
  enum class Kind { ok, failed, skipped } kind = Kind::ok;
  Broken broken = {};    // failed
  std::string why = {};  // skipped
};

class Report {
 public:
  explicit Report(bool json) : json_(json) {}

  void add(const Rule& rule, const Finding& finding);
  void end() const;
  bool failed() const { return failed_ > 0; }

 private:
  bool json_;
  std::size_t rules_ = 0;
  std::size_t failed_ = 0;
  std::size_t skipped_ = 0;
};

}  // namespace zabmq::cli::conformance
