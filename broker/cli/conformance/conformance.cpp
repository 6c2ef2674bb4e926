// conformance: checks a server rule by rule, through its client socket alone.
#include <algorithm>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/conformance/connection.hpp"
#include "cli/conformance/report.hpp"
#include "cli/conformance/rules.hpp"

namespace zabmq::cli {

namespace conformance {

std::vector<Rule> all_rules() {
  std::vector<Rule> all;
  for (const auto& chapter : {header_rules, connection_rules, batch_rules, publishing_rules,
                              instance_rules, start_rules, stream_rules, cursor_rules}) {
    const std::vector<Rule> rules = chapter();
    all.insert(all.end(), rules.begin(), rules.end());
  }
  return all;
}

namespace {

// Anything at all that is no silence: what it is worth is for the rules to say.
bool answers(Context& context) {
  try {
    Connection(context).hello();
  } catch (const NoAnswer&) {
    return false;
  } catch (const Broken&) {
    return true;
  }
  return true;
}

Finding check(const Rule& rule, Context& context, bool& gone) {
  if (gone) return {Finding::Kind::skipped, {}, "HELLO has no answer any more"};
  try {
    rule.check(context);
  } catch (const Broken& broken) {
    return {Finding::Kind::failed, broken, ""};
  } catch (const Skip& skip) {
    return {Finding::Kind::skipped, {}, skip.why};
  } catch (const NoAnswer&) {
    gone = true;
    return {Finding::Kind::failed, {"WELCOME", "no answer to HELLO"}, ""};
  }
  return {};
}

std::vector<Rule> chosen_rules(const std::vector<std::string>& ids) {
  std::vector<Rule> rules = all_rules();
  if (ids.empty()) return rules;
  for (const std::string& id : ids) {
    const auto known = [&id](const Rule& rule) { return rule.id == id; };
    if (std::none_of(rules.begin(), rules.end(), known)) {
      throw std::invalid_argument("--rules " + id + ": there is no such rule");
    }
  }
  std::erase_if(rules, [&ids](const Rule& rule) {
    return std::find(ids.begin(), ids.end(), rule.id) == ids.end();
  });
  return rules;
}

}  // namespace

}  // namespace conformance

ExitCode run(const ConformanceArguments& arguments) {
  using namespace conformance;
  const std::vector<Rule> rules = chosen_rules(arguments.rules);
  Context context(arguments.endpoint, arguments.timeout);
  if (!answers(context)) {
    throw Error(Code::unavailable, Outcome::no,
                arguments.endpoint + ": no answer to HELLO within " +
                    std::to_string(arguments.timeout.count()) + " ms");
  }
  Report report(arguments.json);
  bool gone = false;
  for (const Rule& rule : rules) report.add(rule, check(rule, context, gone));
  report.end();
  return report.failed() ? ExitCode::refused : ExitCode::done;
}

}  // namespace zabmq::cli
