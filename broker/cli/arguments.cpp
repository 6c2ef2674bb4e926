// Arguments: the flags of every command. With Complaint the only file that knows the parsing
// library.
#include "cli/arguments.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "cli/complaint.hpp"
#include "cli/units.hpp"

namespace zabmq::cli {

namespace {

constexpr std::uint64_t servers_max = 9;  // a tenth would meet the next server's peer port
constexpr std::uint64_t window_max = 1u << 20;
constexpr std::uint64_t publishers_max = 10000;
constexpr std::uint64_t readers_max = 256;
constexpr double latency_rate = 1000;
constexpr std::size_t stamp_size = 16;  // of an end-to-end message, in front of its payload
constexpr std::uint64_t generated_size_max = 64u << 20;

constexpr const char* duration_form =
    "a number with its unit, ms, s, m or h, such as 500ms or 5s (at most 24h)";
constexpr const char* size_form = "a size such as 100, 64KiB or 1MiB";
constexpr const char* from_form =
    "first, new, an offset from 1, zxid:EPOCH.COUNTER, or time: with "
    "-10m, -7d, 2026-11-25 (its beginning in UTC) or 2026-11-25T21:00:00Z behind it";

constexpr const char* exit_codes =
    "Exit codes: 0 done, 1 usage, 2 unavailable (try again), 3 refused, 4 outcome unknown.";

// The parsing library takes "[a,b]" among several positionals for a list of two. A word in brackets
// is shielded from it by a byte that no topic has.
constexpr char shield = '\x01';

std::vector<std::string> shielded(int count, const char* const* words) {
  std::vector<std::string> safe(words, words + count);
  if (count < 2 || safe[1] != "sub") return safe;
  for (std::string& word : safe) {
    if (word.starts_with('[')) word.insert(word.begin(), shield);
  }
  return safe;
}

std::string unshielded(const std::string& word) {
  return word.starts_with(shield) ? word.substr(1) : word;
}

[[noreturn]] void reject(const std::string& flag, const std::string& value,
                         const std::string& why) {
  throw CLI::ValidationError(flag, "'" + unshielded(value) + "': " + why);
}

// An option whose word `parse` turns into the value; what it refuses is named with what it expects.
template <class T, class Parse>
CLI::Option* add(CLI::App& app, const std::string& flag, T& into, Parse parse,
                 const std::string& expected, const std::string& help) {
  const std::string name = flag.substr(flag.rfind(',') + 1);
  const auto take = [&into, parse, name, expected](const std::string& text) {
    const auto value = parse(text);
    if (!value) reject(name, text, "expected " + expected);
    into = static_cast<T>(*value);
  };
  return app.add_option_function<std::string>(flag, take, help);
}

auto number_between(std::uint64_t least, std::uint64_t most) {
  return [least, most](const std::string& text) { return parse_number(text, least, most); };
}

std::string range(std::uint64_t least, std::uint64_t most) {
  return "a number from " + std::to_string(least) + " to " + std::to_string(most);
}

CLI::Option* add_switch(CLI::App& app, const std::string& flag, bool& into,
                        const std::string& help) {
  return app.add_flag(flag, into, help)->disable_flag_override();
}

void add_not_yet(CLI::App& app, const std::string& flag) {
  const auto refuse = [flag](std::int64_t) {
    throw CLI::ValidationError(flag, "is not there yet");
  };
  app.add_flag_function(flag, refuse)->group("");
}

void check_endpoints(const std::string& flag, const std::vector<std::string>& endpoints) {
  for (const std::string& endpoint : endpoints) {
    if (!is_endpoint(endpoint)) reject(flag, endpoint, "expected tcp://HOST:PORT");
  }
}

void add_common(CLI::App& app, ClientOptions& client) {
  const auto take = [&client](const std::vector<std::string>& endpoints) {
    check_endpoints("--endpoints", endpoints);
    client.endpoints = endpoints;
  };
  app.add_option_function<std::vector<std::string>>(
         "--endpoints", take,
         "Client endpoints tcp://HOST:PORT, comma separated or repeated; servers may be down\n"
         "(default: $ZABMQ_ENDPOINTS, else what `zabmq dev` opens)")
      ->type_name("LIST")
      ->delimiter(',')
      ->allow_extra_args(false);
  add(app, "--timeout", client.timeout, parse_duration, duration_form, "Deadline (default 5s)")
      ->type_name("DURATION");
}

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& what,
                      const std::string& examples) {
  CLI::App* command = app.add_subcommand(name, what);
  command->footer("\nExamples:\n" + examples + "\n" + exit_codes);
  return command;
}

void add_dev(CLI::App& app, DevArguments& dev) {
  CLI::App* command = add_command(
      app, "dev", "Runs a real cluster of zabmqd processes on this machine until Ctrl-C",
      "  zabmq dev                        three servers on ports 9470, 9480, 9490\n"
      "  zabmq dev --servers 5            five servers\n"
      "  zabmq dev --dir /var/tmp/dev     the data stays there; the next start goes on with it\n");
  add(*command, "--servers", dev.servers, number_between(1, servers_max), range(1, servers_max),
      "How many servers (default 3)")
      ->type_name("N");
  const auto take_directory = [&dev](const std::string& text) {
    if (text.empty()) reject("--dir", text, "expected a directory");
    dev.directory = text;
  };
  command
      ->add_option_function<std::string>("--dir", take_directory,
                                         "Data directories and logs (default .zabmq-dev)")
      ->type_name("DIR");
  const std::uint64_t port_max = 65535 - 10 * (servers_max - 1) - 200;
  add(*command, "--port", dev.port, number_between(1, port_max), range(1, port_max),
      "Server i has client port P + 10(i-1), peer port 100 above (default 9470)")
      ->type_name("P");
}

void add_pub(CLI::App& app, PubArguments& pub) {
  CLI::App* command = add_command(
      app, "pub", "Publishes messages and waits until each is durable on a quorum",
      "  zabmq pub greetings 'hello world'\n"
      "  tail -F app.log | zabmq pub logs --lines\n"
      "  zabmq pub orders --lines --session orders.session < orders.txt   run again to complete\n"
      "  zabmq pub load --size 1KiB --count 100000 --rate 5000\n");
  command->add_option("TOPIC", pub.topic, "Where to; 1 to 200 bytes of UTF-8")->required();
  const auto take_message = [&pub](const std::string& text) {
    if (text != "-") pub.message = text;
  };
  command->add_option_function<std::string>(
      "MESSAGE", take_message, "The message; - or none: standard input, if there is any");
  add_switch(*command, "--lines", pub.lines, "Each line of standard input is a message");
  add(*command, "--count", pub.count, number_between(1, UINT64_MAX), "a number from 1",
      "Publish the message so often, or only the first N lines")
      ->type_name("N");
  add(
      *command, "--size", pub.size,
      [](const std::string& text) {
        const auto size = parse_size(text);
        return size && *size <= generated_size_max ? size : std::nullopt;
      },
      size_form, "Generated messages of so many bytes instead")
      ->type_name("B");
  add(*command, "--rate", pub.rate, parse_rate, "messages in a second, more than 0",
      "At most so many messages in a second")
      ->type_name("R");
  add(*command, "--window", pub.window, number_between(1, window_max), range(1, window_max),
      "At most so many messages not yet acknowledged (default 65536)")
      ->type_name("W");
  const auto take_headers = [&pub](const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      auto header = parse_header(word);
      if (!header) reject("--header", word, "expected NAME=VALUE");
      pub.headers.push_back(std::move(*header));
    }
  };
  command
      ->add_option_function<std::vector<std::string>>("--header", take_headers,
                                                      "A header of every message; repeatable")
      ->type_name("K=V")
      ->allow_extra_args(false);
  command
      ->add_option("--session", pub.session,
                   "Keeps the publisher's id: message n is sequence n, a second run skips what is\n"
                   "already taken")
      ->type_name("FILE");
  add(*command, "--expect-last-offset", pub.expect_last_offset, number_between(0, UINT64_MAX),
      "an offset, or 0", "Refuse the message unless the cluster's last offset is N")
      ->type_name("N");
  add_switch(*command, "--json", pub.json, "One object a line for each acknowledged message");
  add_common(*command, pub.client);
}

LogTime now_us() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<LogTime>(
      std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count());
}

void add_sub(CLI::App& app, SubArguments& sub) {
  CLI::App* command =
      add_command(app, "sub", "Prints the cluster's one sequence of messages",
                  "  zabmq sub                              everything from now on\n"
                  "  zabmq sub orders --from first --until-end\n"
                  "  zabmq sub --from 1001 --count 10 --json\n"
                  "  zabmq sub 'orders/*' --from time:-10m\n"
                  "  zabmq sub --from zxid:7.42 --endpoints tcp://127.0.0.1:9480\n"
                  "  zabmq sub orders --cursor billing --from first\n");
  const auto take_topics = [&sub](const std::vector<std::string>& topics) {
    for (const std::string& word : topics) {
      const std::string topic = unshielded(word);
      const std::string problem = topic_filter_problem(topic);
      if (!problem.empty()) reject("TOPIC", topic, problem);
      sub.topics.push_back(topic);
    }
  };
  command
      ->add_option_function<std::vector<std::string>>(
          "TOPIC", take_topics, "Topics, or prefixes like 'orders/*'; none: all")
      ->expected(-1);
  const auto take_from = [&sub](const std::string& text) {
    const auto from = parse_from(text, now_us());
    if (!from) reject("--from", text, std::string("expected ") + from_form);
    sub.from = *from;
  };
  command
      ->add_option_function<std::string>(
          "--from", take_from,
          "first, new, OFFSET, zxid:E.C, time:-10m, time:2026-11-25\n"
          "or time:RFC3339; inclusive (default new)")
      ->type_name("START");
  add(*command, "--count", sub.count, number_between(1, UINT64_MAX), "a number from 1",
      "End after so many messages")
      ->type_name("N");
  add_switch(*command, "--until-end", sub.until_end, "End at what is the end now");
  const auto take_on_gap = [&sub](const std::string& text) {
    if (text != "stop" && text != "jump") reject("--on-gap", text, "expected stop or jump");
    sub.jumps_gaps = text == "jump";
  };
  command
      ->add_option_function<std::string>(
          "--on-gap", take_on_gap,
          "When what is due is no longer kept: stop, or jump to what "
          "is and say so (default stop)")
      ->type_name("stop|jump");
  const auto take_cursor = [&sub](const std::string& name) {
    const std::string problem = topic_problem(name);
    if (!problem.empty()) reject("--cursor", name, problem);
    sub.cursor = name;
  };
  command
      ->add_option_function<std::string>(
          "--cursor", take_cursor,
          "Go on behind what was printed under this name before, and keep\n"
          "the place in the cluster; a new name begins at --from. For one\n"
          "reader at a time: two get everything both, the place is the further one")
      ->type_name("NAME");
  const auto take_format = [&sub](SubFormat format) {
    return [&sub, format](std::int64_t) { sub.format = format; };
  };
  CLI::Option* raw =
      command->add_flag_function("--raw", take_format(SubFormat::raw), "Payloads only")
          ->disable_flag_override();
  command->add_flag_function("--json", take_format(SubFormat::json), "One object a line")
      ->disable_flag_override()
      ->excludes(raw);
  add_common(*command, sub.client);
}

void add_cursor(CLI::App& app, CursorArguments& cursor) {
  CLI::App* command = add_command(app, "cursor", "Lists or removes durable cursors",
                                  "  zabmq cursor list\n"
                                  "  zabmq cursor remove billing\n");
  command->require_subcommand(1);
  CLI::App* list =
      command->add_subcommand("list", "Prints each with the offset acknowledged to it");
  add_switch(*list, "--json", cursor.json, "One object a line");
  add_common(*list, cursor.client);
  CLI::App* remove = command->add_subcommand(
      "remove", "Removes one: nothing is kept for it any more, its name begins anew");
  const auto take_name = [&cursor](const std::string& name) {
    const std::string problem = topic_problem(name);
    if (!problem.empty()) reject("NAME", name, problem);
    cursor.removed = name;
  };
  remove->add_option_function<std::string>("NAME", take_name, "The cursor's name")->required();
  add_common(*remove, cursor.client);
}

void add_status(CLI::App& app, StatusArguments& status) {
  CLI::App* command = add_command(app, "status", "Shows every server of the cluster",
                                  "  zabmq status\n"
                                  "  zabmq status --json | jq .leader\n");
  const auto take_output = [&status](const std::string& text) {
    if (text != "table" && text != "json") reject("-o", text, "expected table or json");
    status.json = text == "json";
  };
  CLI::Option* output =
      command->add_option_function<std::string>("-o", take_output, "table or json (default table)")
          ->type_name("FORMAT");
  add_switch(*command, "--json", status.json, "One object, as -o json")->excludes(output);
  add_not_yet(*command, "--watch");
  add_common(*command, status.client);
}

std::optional<BenchMode> parse_bench_mode(const std::string& text) {
  if (text == "pub") return BenchMode::pub;
  if (text == "sub") return BenchMode::sub;
  if (text == "e2e") return BenchMode::e2e;
  if (text == "latency") return BenchMode::latency;
  return std::nullopt;
}

std::optional<Millis> parse_warmup(const std::string& text) {
  return text == "0" || text == "0s" ? Millis{0} : parse_duration(text);
}

// What a flag means only for some modes is refused elsewhere, not ignored.
void add_bench_checks(CLI::App& command, BenchArguments& bench) {
  command.parse_complete_callback([&command, &bench] {
    const auto refuse = [&command](const char* flag, const char* why) {
      if (command.get_option(flag)->count() > 0) throw CLI::ValidationError(flag, why);
    };
    if (bench.mode == BenchMode::sub) {
      for (const char* flag :
           {"--size", "--window", "--rate", "--publishers", "--topic", "--warmup"}) {
        refuse(flag, "means nothing to `bench sub`, which only reads");
      }
    } else {
      if (bench.mode != BenchMode::e2e) refuse("--readers", "is for `bench sub` and `bench e2e`");
      refuse("--from", "is for `bench sub`");
    }
    if (bench.mode == BenchMode::latency && !bench.rate) bench.rate = latency_rate;
    if (bench.mode == BenchMode::e2e && bench.size < stamp_size) {
      throw CLI::ValidationError("--size", "e2e needs at least 16 bytes, for run and time");
    }
  });
}

void add_bench_load(CLI::App& command, BenchArguments& bench) {
  add(
      command, "--size", bench.size,
      [](const std::string& text) {
        const auto size = parse_size(text);
        return size && *size <= generated_size_max ? size : std::nullopt;
      },
      size_form, "Bytes of a message (default 100)")
      ->type_name("B");
  add(command, "--window", bench.window, number_between(1, window_max), range(1, window_max),
      "Messages of a publisher not yet acknowledged (default 8192)")
      ->type_name("W");
  add(command, "--rate", bench.rate, parse_rate, "messages in a second, more than 0",
      "Open loop at R messages in a second, latency from the intended time\n"
      "(default of latency: 1000)")
      ->type_name("R");
  add(command, "--publishers", bench.publishers, number_between(1, publishers_max),
      range(1, publishers_max), "How many publishers, a connection each (default 1)")
      ->type_name("N");
  command.add_option("--topic", bench.topic, "Where to (default bench)")->type_name("TOPIC");
  add(command, "--warmup", bench.warmup, parse_warmup, duration_form,
      "Not measured, before (default 1s; 0: none)")
      ->type_name("D");
}

void add_bench(CLI::App& app, BenchArguments& bench) {
  CLI::App* command = add_command(
      app, "bench", "Measures the cluster",
      "  zabmq bench pub                                   publish -> durable on a quorum\n"
      "  zabmq bench pub --size 1KiB --duration 30s --json | tail -1\n"
      "  zabmq bench pub --publishers 1000 --window 1      a thousand connections\n"
      "  zabmq bench e2e --rate 5000                       publish -> delivered\n"
      "  zabmq bench latency                               1000 messages/s, how long each took\n"
      "  zabmq bench sub --readers 20                      replay of everything\n");
  const auto take_mode = [&bench](const std::string& text) {
    const auto mode = parse_bench_mode(text);
    if (!mode) reject("bench", text, "expected pub, sub, e2e or latency");
    bench.mode = *mode;
  };
  command->add_option_function<std::string>("MODE", take_mode, "pub, sub, e2e or latency")
      ->required();
  add_bench_load(*command, bench);
  add(*command, "--duration", bench.duration, parse_duration, duration_form,
      "How long (default 5s); sub: at most")
      ->type_name("D");
  add(*command, "--readers", bench.readers, number_between(1, readers_max), range(1, readers_max),
      "sub, e2e: how many (default 1)")
      ->type_name("N");
  const auto take_from = [&bench](const std::string& text) {
    const auto from = parse_from(text, now_us());
    if (!from) reject("--from", text, std::string("expected ") + from_form);
    bench.from = *from;
  };
  command
      ->add_option_function<std::string>("--from", take_from, "sub: where to begin (default first)")
      ->type_name("POSITION");
  add_switch(*command, "--json", bench.json, "The last line is the result as one object");
  add_common(*command, bench.client);
  add_bench_checks(*command, bench);
}

void add_conformance(CLI::App& app, ConformanceArguments& conformance) {
  CLI::App* command = add_command(
      app, "conformance", "Checks a server against the rules of the wire protocol, one by one",
      "  zabmq conformance --endpoint tcp://127.0.0.1:9470\n"
      "  zabmq conformance --endpoint tcp://127.0.0.1:9470 --rules C36,C37 --json\n\n"
      "It publishes a few messages under zabmq.conformance/. Exit code 3: a rule is broken.\n");
  const auto take_endpoint = [&conformance](const std::string& endpoint) {
    check_endpoints("--endpoint", {endpoint});
    conformance.endpoint = endpoint;
  };
  command
      ->add_option_function<std::string>("--endpoint", take_endpoint,
                                         "The server's client endpoint, tcp://HOST:PORT")
      ->type_name("E")
      ->required();
  command->add_option("--rules", conformance.rules, "These alone, such as C36,C37 (default all)")
      ->type_name("LIST")
      ->delimiter(',')
      ->allow_extra_args(false);
  add(*command, "--timeout", conformance.timeout, parse_duration, duration_form,
      "The longest wait for a frame (default 5s)")
      ->type_name("DURATION");
  add_switch(*command, "--json", conformance.json, "One object a line, the last one sums up");
}

// Of both actions of `log`.
struct LogArguments {
  std::filesystem::path directory;
  bool json = false;
};

// In front of the action they are taken as well, but shown only behind it.
void add_log_options(CLI::App& app, LogArguments& log, const std::string& group,
                     const std::string& json_help) {
  app.add_option("--data-dir", log.directory, "What the server was given as --data-dir (required)")
      ->type_name("DIR")
      ->group(group);
  add_switch(app, "--json", log.json, json_help)->group(group);
}

void add_log(CLI::App& app, LogArguments& log) {
  const std::string what = "Looks into a data directory of a server that is not running";
  const std::string verify = "  zabmq log verify --data-dir .zabmq-dev/1\n";
  const std::string dump = "  zabmq log dump --data-dir .zabmq-dev/1 --json\n";
  CLI::App* command = add_command(app, "log", what, verify + dump);
  add_log_options(*command, log, "", "");
  add_log_options(
      *add_command(*command, "verify", "Checks every byte of a stopped server's directory", verify),
      log, "Options", "The result as one object");
  add_log_options(
      *add_command(*command, "dump",
                   "Prints all that is in a stopped server's directory, damage included", dump),
      log, "Options", "One object a line");
}

void check_log(const LogArguments& log) {
  if (log.directory.empty()) throw CLI::RequiredError("--data-dir");
}

void check_pub(const PubArguments& pub) {
  const std::string problem = topic_problem(pub.topic);
  if (!problem.empty()) reject("TOPIC", pub.topic, problem);
  if (pub.message && pub.lines) reject("--lines", *pub.message, "a MESSAGE has no lines to read");
  if (pub.message && pub.size) reject("--size", *pub.message, "give a MESSAGE or --size, not both");
  const bool one = !pub.lines && pub.count.value_or(1) == 1;
  if (pub.expect_last_offset && !one) {
    throw CLI::ValidationError("--expect-last-offset", "only one message can have a condition");
  }
  if (pub.lines && pub.size) throw CLI::ValidationError("--size", "excludes --lines");
}

void check_bench(const BenchArguments& bench) {
  const std::string problem = topic_problem(bench.topic);
  if (!problem.empty()) reject("--topic", bench.topic, problem);
}

void check_environment(const ClientOptions& client) {
  check_endpoints("ZABMQ_ENDPOINTS", client.endpoints);
}

// The whole command line while it is being read.
struct CommandLine {
  CLI::App app{"zabmq: ordered, replicated messaging", "zabmq"};
  DevArguments dev;
  PubArguments pub;
  SubArguments sub;
  CursorArguments cursor;
  StatusArguments status;
  BenchArguments bench;
  ConformanceArguments conformance;
  LogArguments log;

  CommandLine() {
    app.footer(std::string("\n") + exit_codes + "\nzabmq COMMAND --help says more.");
    app.set_version_flag("--version", "zabmq " ZABMQ_VERSION);
    app.require_subcommand(1);
    add_dev(app, dev);
    add_pub(app, pub);
    add_sub(app, sub);
    add_cursor(app, cursor);
    add_status(app, status);
    add_bench(app, bench);
    add_conformance(app, conformance);
    add_log(app, log);
  }

  Arguments chosen() const {
    const std::string name = app.get_subcommands().at(0)->get_name();
    if (name == "dev") return dev;
    if (name == "log") return chosen_log();
    if (name == "conformance") return conformance;
    if (name == "pub") return checked(pub, check_pub);
    if (name == "sub") return checked(sub, [](const SubArguments&) {});
    if (name == "cursor") return checked(cursor, [](const CursorArguments&) {});
    if (name == "status") return checked(status, [](const StatusArguments&) {});
    return checked(bench, check_bench);
  }

 private:
  Arguments chosen_log() const {
    const CLI::App& command = *app.get_subcommand("log");
    if (command.get_subcommands().empty()) {
      throw CLI::RequiredError("verify or dump");
    }
    check_log(log);
    if (command.got_subcommand("dump")) return DumpArguments{log.directory, log.json};
    return VerifyArguments{log.directory, log.json};
  }

  template <class T, class Check>
  static T checked(const T& arguments, Check check) {
    check(arguments);
    check_environment(arguments.client);
    return arguments;
  }
};

}  // namespace

Parsed parse_arguments(int count, const char* const* words) {
  CommandLine line;
  const auto command = [&line] {
    const auto chosen = line.app.get_subcommands();
    return chosen.empty() ? std::string() : chosen.front()->get_name();
  };
  try {
    std::vector<std::string> safe = shielded(count, words);
    if (count >= 2 && safe[1] == "help") {  // as of git and others: `help`, `help pub`
      safe.erase(safe.begin() + 1);
      safe.emplace_back("--help");
    }
    std::reverse(safe.begin(), safe.end());
    safe.pop_back();  // the program's name
    line.app.parse(safe);
    return {command(), line.chosen()};
  } catch (const CLI::CallForHelp&) {
    return {command(), Answer{ExitCode::done, line.app.help()}};
  } catch (const CLI::CallForVersion& version) {
    return {command(), Answer{ExitCode::done, std::string(version.what()) + "\n"}};
  } catch (const CLI::ParseError& error) {
    return {command(), Answer{ExitCode::usage, complaint(line.app, error, count, words)}};
  }
}

}  // namespace zabmq::cli
