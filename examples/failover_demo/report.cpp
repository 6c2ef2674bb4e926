// Report: tables.
#include "failover_demo/report.hpp"

#include <cstdio>

namespace zabmq::demo {

namespace {

constexpr const char* row_format = "  %-9s %9s  %12s %12s  %11s %11s  %s\n";

void print_row(std::size_t server, const Deliveries& deliveries, bool final_newline) {
  const bool any = !deliveries.empty();
  const auto offset = [any](const Delivery& d) { return any ? std::to_string(d.offset) : "-"; };
  const auto zxid = [any](const Delivery& d) { return any ? to_string(d.zxid) : "-"; };
  const Delivery first = any ? deliveries.front() : Delivery{};
  const Delivery last = any ? deliveries.back() : Delivery{};
  std::printf(row_format, ("server " + std::to_string(server)).c_str(),
              std::to_string(deliveries.size()).c_str(), offset(first).c_str(),
              offset(last).c_str(), zxid(first).c_str(), zxid(last).c_str(),
              sha256_of(deliveries, final_newline).c_str());
}

const char* yes(bool value) {
  return value ? "yes" : "NO";
}

}  // namespace

void print_deliveries(const std::vector<Deliveries>& subscribers, const File& file) {
  std::printf("\n");
  std::printf(row_format, "at", "messages", "first offset", "last offset", "first zxid",
              "last zxid", "SHA-256 of the payloads");
  for (std::size_t i = 0; i < subscribers.size(); ++i) {
    print_row(i + 1, subscribers[i], file.final_newline);
  }
  std::printf(row_format, "the file", std::to_string(file.lines.size()).c_str(), "", "", "", "",
              sha256_of(file.bytes).c_str());
}

void print_verdict(const Verdict& verdict) {
  std::printf(
      "\nverdict\n"
      "  same order everywhere       %s\n"
      "  equal to the file           %s\n"
      "  gaps                        %llu\n"
      "  duplicates                  %llu\n"
      "  acknowledged messages lost  %llu (of %llu)\n"
      "%s\n",
      yes(verdict.same_order), yes(verdict.equal_to_file),
      static_cast<unsigned long long>(verdict.gaps),
      static_cast<unsigned long long>(verdict.duplicates),
      static_cast<unsigned long long>(verdict.lost),
      static_cast<unsigned long long>(verdict.acknowledged),
      verdict.holds() ? "the promises hold" : "THE PROMISES DO NOT HOLD");
  std::fflush(stdout);
}

}  // namespace zabmq::demo
