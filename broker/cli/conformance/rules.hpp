// Rules: what a server must do, one check each, by chapters of docs/wire.md. Section 4.10 of the
// page lists them; an id keeps its meaning and is never used for another rule.
#pragma once

#include <vector>

namespace zabmq::cli::conformance {

struct Context;

struct Rule {
  const char* id;     // "C12"
  const char* where;  // section, and the rule in it: "4.3, 3"
  const char* name;
  void (*check)(Context&);  // throws Broken, Skip, NoAnswer
};

std::vector<Rule> header_rules();
std::vector<Rule> connection_rules();
std::vector<Rule> batch_rules();
std::vector<Rule> publishing_rules();
std::vector<Rule> instance_rules();
std::vector<Rule> start_rules();
std::vector<Rule> stream_rules();
std::vector<Rule> cursor_rules();

std::vector<Rule> all_rules();

}  // namespace zabmq::cli::conformance
