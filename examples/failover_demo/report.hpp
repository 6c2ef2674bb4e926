// Report: what the demo prints.
#pragma once

#include <string>
#include <vector>

#include "failover_demo/verdict.hpp"

namespace zabmq::demo {

struct File {
  std::string name;
  std::string bytes;
  Lines lines;
  bool final_newline = true;
};

// Count, first and last offset and zxid, and SHA-256 of each subscriber; the file's below.
void print_deliveries(const std::vector<Deliveries>& subscribers, const File& file);
void print_verdict(const Verdict& verdict);

}  // namespace zabmq::demo
