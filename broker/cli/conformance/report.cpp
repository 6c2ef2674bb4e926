// Report: for people, or one object a line.
#include "cli/conformance/report.hpp"

#include <nlohmann/json.hpp>

#include "cli/output.hpp"

namespace zabmq::cli::conformance {

namespace {

using Json = nlohmann::ordered_json;
using Kind = Finding::Kind;

void write_line(const std::string& line) {
  write_out(line + "\n");
  flush_out();
}

std::string text_of(const Rule& rule, const Finding& finding) {
  const std::string name = std::string(rule.id) + " " + rule.name;
  switch (finding.kind) {
    case Kind::failed:
      return "FAILED " + name + ": expected " + finding.broken.expected + ", got " +
             finding.broken.got;
    case Kind::skipped:
      return "skipped " + name + ": " + finding.why;
    case Kind::ok:
      break;
  }
  return "ok " + name;
}

// (What a server said need not be UTF-8.)
std::string dumped(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string json_of(const Rule& rule, const Finding& finding) {
  Json object{{"rule", rule.id}, {"section", rule.where}, {"name", rule.name}};
  object["result"] = finding.kind == Kind::ok       ? "ok"
                     : finding.kind == Kind::failed ? "failed"
                                                    : "skipped";
  if (finding.kind == Kind::failed) {
    object["expected"] = finding.broken.expected;
    object["got"] = finding.broken.got;
  }
  if (finding.kind == Kind::skipped) object["why"] = finding.why;
  return dumped(object);
}

}  // namespace

void Report::add(const Rule& rule, const Finding& finding) {
  ++rules_;
  failed_ += finding.kind == Kind::failed;
  skipped_ += finding.kind == Kind::skipped;
  write_line(json_ ? json_of(rule, finding) : text_of(rule, finding));
}

void Report::end() const {
  if (json_) {
    return write_line(dumped(Json{{"rules", rules_}, {"failed", failed_}, {"skipped", skipped_}}));
  }
  write_line("conformance: " + std::to_string(rules_) + " rules, " + std::to_string(failed_) +
             " failed, " + std::to_string(skipped_) + " skipped");
}

}  // namespace zabmq::cli::conformance
