// ArgumentsTest: the command lines that scripts may write, and the one line for all others.
#include "cli/arguments.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <initializer_list>
#include <vector>

namespace zabmq::cli {
namespace {

Parsed parse(std::initializer_list<const char*> words) {
  std::vector<const char*> all{"zabmq"};
  all.insert(all.end(), words);
  return parse_arguments(static_cast<int>(all.size()), all.data());
}

template <class T>
T parsed(std::initializer_list<const char*> words) {
  const Parsed result = parse(words);
  if (const auto* answer = std::get_if<Answer>(&result.result)) FAIL(answer->text);
  return std::get<T>(std::get<Arguments>(result.result));
}

// The error line; a command line that is accepted fails the test.
std::string refusal(std::initializer_list<const char*> words) {
  const Parsed result = parse(words);
  const auto* answer = std::get_if<Answer>(&result.result);
  REQUIRE(answer != nullptr);
  REQUIRE(answer->code == ExitCode::usage);
  CHECK(answer->text.find('\n') == std::string::npos);
  return answer->text;
}

bool names(const std::string& line, const char* part) {
  return line.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("cli/arguments") {
  TEST_CASE("pub: options and positionals in any order") {
    const auto a = parsed<PubArguments>({"pub", "t", "hello", "--json", "--timeout", "2s"});
    const auto b = parsed<PubArguments>({"pub", "--timeout=2s", "t", "--json", "hello"});
    const auto c = parsed<PubArguments>({"pub", "--json", "--timeout", "2s", "t", "hello"});

    for (const PubArguments& pub : {a, b, c}) {
      CHECK(pub.topic == "t");
      CHECK(pub.message == "hello");
      CHECK(pub.json);
      CHECK(pub.client.timeout == Millis{2000});
    }
  }

  TEST_CASE("conformance: an endpoint is needed, rules are a list") {
    const auto conformance = parsed<ConformanceArguments>(
        {"conformance", "--rules", "C1,C2", "--endpoint", "tcp://h:1", "--timeout", "2s"});

    CHECK(conformance.endpoint == "tcp://h:1");
    CHECK(conformance.rules == std::vector<std::string>{"C1", "C2"});
    CHECK(conformance.timeout == Millis{2000});
    CHECK_FALSE(conformance.json);
    CHECK(names(refusal({"conformance"}), "--endpoint"));
    CHECK(names(refusal({"conformance", "--endpoint", "localhost"}), "localhost"));
  }

  TEST_CASE("pub: every flag") {
    const auto pub = parsed<PubArguments>({"pub", "--lines", "--count", "7", "--rate", "2.5",
                                           "--window", "10", "--header", "a=1", "--header", "b=2",
                                           "--session", "s.file", "topic"});

    CHECK(pub.lines);
    CHECK(pub.count == 7);
    CHECK(pub.rate == 2.5);
    CHECK(pub.window == 10);
    CHECK(pub.headers == Headers{{"a", "1"}, {"b", "2"}});
    CHECK(pub.session == "s.file");
    CHECK_FALSE(pub.message);
    CHECK(pub.client.timeout == Millis{5000});
    CHECK(parsed<PubArguments>({"pub", "t", "--size", "1KiB"}).size == 1024);
  }

  TEST_CASE("pub: a condition is for one message") {
    CHECK(
        parsed<PubArguments>({"pub", "t", "m", "--expect-last-offset", "41"}).expect_last_offset ==
        Offset{41});
    CHECK(parsed<PubArguments>({"pub", "t", "--expect-last-offset", "0"}).expect_last_offset ==
          Offset{0});
    CHECK_FALSE(parsed<PubArguments>({"pub", "t", "m"}).expect_last_offset);
    CHECK(names(refusal({"pub", "t", "--expect-last-offset", "-1"}), "--expect-last-offset"));
    CHECK(names(refusal({"pub", "t", "--lines", "--expect-last-offset", "1"}),
                "--expect-last-offset"));
    CHECK(names(refusal({"pub", "t", "m", "--count", "2", "--expect-last-offset", "1"}),
                "--expect-last-offset"));
  }

  TEST_CASE("sub: what to do about a gap") {
    CHECK_FALSE(parsed<SubArguments>({"sub"}).jumps_gaps);
    CHECK_FALSE(parsed<SubArguments>({"sub", "--on-gap", "stop"}).jumps_gaps);
    CHECK(parsed<SubArguments>({"sub", "--on-gap", "jump"}).jumps_gaps);
    CHECK(names(refusal({"sub", "--on-gap", "skip"}), "--on-gap"));
  }

  TEST_CASE("pub: - is standard input, an empty message is a message, -- ends the options") {
    CHECK_FALSE(parsed<PubArguments>({"pub", "t", "-"}).message);
    CHECK(parsed<PubArguments>({"pub", "t", ""}).message == "");
    CHECK(parsed<PubArguments>({"pub", "t", "--", "--json"}).message == "--json");
    CHECK(parsed<PubArguments>({"pub", "t", "[a,b]"}).message == "[a,b]");
    CHECK(parsed<PubArguments>({"pub", "t", "a b\nc"}).message == "a b\nc");
    CHECK(parsed<PubArguments>({"pub", "status", "log"}).topic == "status");
    CHECK(parsed<PubArguments>({"pub", "status", "log"}).message == "log");
  }

  TEST_CASE("endpoints: comma separated and repeated") {
    const auto sub = parsed<SubArguments>(
        {"sub", "--endpoints", "tcp://a:1,tcp://b:2", "--endpoints", "tcp://c:3", "topic"});

    CHECK(sub.client.endpoints == std::vector<std::string>{"tcp://a:1", "tcp://b:2", "tcp://c:3"});
    CHECK(sub.topics == std::vector<std::string>{"topic"});
  }

  TEST_CASE("endpoints: from the environment, unless given, checked there too") {
    setenv("ZABMQ_ENDPOINTS", "tcp://e:7", 1);
    const auto inherited = parsed<StatusArguments>({"status"}).client.endpoints;
    const auto given = parsed<StatusArguments>({"status", "--endpoints", "tcp://f:8"});
    setenv("ZABMQ_ENDPOINTS", "e:7", 1);
    const std::string line = refusal({"status"});
    unsetenv("ZABMQ_ENDPOINTS");

    CHECK(inherited == std::vector<std::string>{"tcp://e:7"});
    CHECK(given.client.endpoints == std::vector<std::string>{"tcp://f:8"});
    CHECK(names(line, "ZABMQ_ENDPOINTS"));
    CHECK(names(line, "'e:7'"));
  }

  TEST_CASE("sub: topics, start, format") {
    const auto sub = parsed<SubArguments>(
        {"sub", "a", "--from", "zxid:7.42", "b", "--count", "3", "--until-end", "--raw"});

    CHECK(sub.topics == std::vector<std::string>{"a", "b"});
    CHECK(std::get<FromZxidStart>(sub.from).zxid == Zxid{Epoch{7}, 42});
    CHECK(sub.count == 3);
    CHECK(sub.until_end);
    CHECK(sub.format == SubFormat::raw);
    CHECK(parsed<SubArguments>({"sub", "--json"}).format == SubFormat::json);
    CHECK(parsed<SubArguments>({"sub"}).topics.empty());
    CHECK(std::holds_alternative<FromNew>(parsed<SubArguments>({"sub"}).from));
    CHECK(parsed<SubArguments>({"sub", "pub", "dev"}).topics ==
          std::vector<std::string>{"pub", "dev"});
    CHECK(parsed<SubArguments>({"sub", "[a,b]"}).topics == std::vector<std::string>{"[a,b]"});
  }

  TEST_CASE("dev, status, bench, log: flags and defaults") {
    const auto dev =
        parsed<DevArguments>({"dev", "--servers", "5", "--dir", "d", "--port", "7000"});
    CHECK(dev.servers == 5);
    CHECK(dev.directory == "d");
    CHECK(dev.port == 7000);
    CHECK(parsed<DevArguments>({"dev"}).port == 9470);
    CHECK(parsed<DevArguments>({"dev"}).directory == ".zabmq-dev");
    CHECK(parsed<StatusArguments>({"status", "-o", "json"}).json);
    CHECK_FALSE(parsed<StatusArguments>({"status", "-o", "table"}).json);
    CHECK(parsed<StatusArguments>({"status", "--json"}).json);
    const auto bench =
        parsed<BenchArguments>({"bench", "--size", "64KiB", "pub", "--window", "5", "--rate", "100",
                                "--duration", "1m", "--publishers", "3", "--json"});
    CHECK(bench.size == 65536);
    CHECK(bench.window == 5);
    CHECK(bench.rate == 100.0);
    CHECK(bench.duration == Millis{60000});
    CHECK(bench.publishers == 3);
    CHECK(bench.json);
    CHECK(bench.mode == BenchMode::pub);
    CHECK(bench.warmup == Millis{1000});
    CHECK(parsed<BenchArguments>({"bench", "pub", "--warmup", "0"}).warmup == Millis{0});
    CHECK(parsed<BenchArguments>({"bench", "latency"}).rate == 1000.0);
    CHECK(parsed<BenchArguments>({"bench", "latency", "--rate", "7"}).rate == 7.0);
    CHECK_FALSE(parsed<BenchArguments>({"bench", "e2e"}).rate);
    const auto reading = parsed<BenchArguments>({"bench", "sub", "--readers", "20", "--from", "7"});
    CHECK(reading.mode == BenchMode::sub);
    CHECK(reading.readers == 20);
    CHECK(parsed<BenchArguments>({"bench", "e2e", "--readers", "3"}).readers == 3);
    CHECK(std::get<FromOffset>(reading.from).offset == 7);
    CHECK(parsed<VerifyArguments>({"log", "verify", "--data-dir", "x"}).directory == "x");
    CHECK(parsed<VerifyArguments>({"log", "--data-dir", "x", "verify"}).directory == "x");
    CHECK_FALSE(parsed<VerifyArguments>({"log", "verify", "--data-dir", "x"}).json);
    CHECK(parsed<VerifyArguments>({"log", "verify", "--json", "--data-dir", "x"}).json);
    CHECK(parsed<DumpArguments>({"log", "dump", "--data-dir", "x"}).directory == "x");
    CHECK_FALSE(parsed<DumpArguments>({"log", "dump", "--data-dir", "x"}).json);
    CHECK(parsed<DumpArguments>({"log", "--json", "dump", "--data-dir", "x"}).json);
  }

  TEST_CASE("impossible value -> one line that names flag and value") {
    struct Case {
      std::initializer_list<const char*> words;
      const char* flag;
      const char* value;
    };
    const Case cases[] = {
        {{"pub", "t", "--timeout", "5"}, "--timeout", "'5'"},
        {{"pub", "t", "--timeout", "0s"}, "--timeout", "'0s'"},
        {{"pub", "t", "--count", "0"}, "--count", "'0'"},
        {{"pub", "t", "--count", "-3"}, "--count", "'-3'"},
        {{"pub", "t", "--size", "1XB"}, "--size", "'1XB'"},
        {{"pub", "t", "--rate", "0"}, "--rate", "'0'"},
        {{"pub", "t", "--window", "0"}, "--window", "'0'"},
        {{"pub", "t", "--header", "nothing"}, "--header", "'nothing'"},
        {{"pub", "t", "--endpoints", "localhost:1"}, "--endpoints", "'localhost:1'"},
        {{"pub", "a*", "m"}, "TOPIC", "'a*'"},
        {{"pub", "", "m"}, "TOPIC", "''"},
        {{"sub", "--from", "0"}, "--from", "'0'"},
        {{"sub", "--from", "zxid:1"}, "--from", "'zxid:1'"},
        {{"sub", "--count", "many"}, "--count", "'many'"},
        {{"status", "-o", "xml"}, "-o", "'xml'"},
        {{"dev", "--servers", "0"}, "--servers", "'0'"},
        {{"dev", "--servers", "10"}, "--servers", "'10'"},
        {{"dev", "--port", "70000"}, "--port", "'70000'"},
        {{"bench", "pub", "--duration", "fast"}, "--duration", "'fast'"},
        {{"bench", "pub", "--publishers", "0"}, "--publishers", "'0'"},
        {{"bench", "all"}, "bench", "'all'"},
        {{"bench", "sub", "--rate", "5"}, "--rate", "only reads"},
        {{"bench", "pub", "--readers", "5"}, "--readers", "bench sub"},
        {{"bench", "e2e", "--size", "15"}, "--size", "16 bytes"},
        {{"bench", "pub", "--warmup", "soon"}, "--warmup", "'soon'"},
        {{"log", "repair", "--data-dir", "x"}, "verify or dump", "'repair'"},
    };
    for (const Case& c : cases) {
      const std::string line = refusal(c.words);
      CAPTURE(line);
      CHECK(names(line, c.flag));
      CHECK(names(line, c.value));
    }
  }

  TEST_CASE("unknown flags and commands, missing and surplus words -> one line that names them") {
    CHECK(names(refusal({"pub", "t", "--jsonn"}), "--jsonn"));
    CHECK(names(refusal({"status", "--bogus"}), "--bogus"));
    CHECK(names(refusal({"pub", "--bogus"}), "'--bogus'"));
    CHECK(names(refusal({"pub", "--bogus=3"}), "--bogus=3"));
    CHECK(names(refusal({"log", "verify", "--bogus"}), "'--bogus'"));
    CHECK(names(refusal({"bench", "-x"}), "-x"));
    CHECK(names(refusal({"--bogus"}), "'--bogus'"));
    CHECK(names(refusal({"dev", "--endpoints", "tcp://a:1"}), "--endpoints"));
    CHECK(names(refusal({"status", "surplus"}), "surplus"));
    CHECK(names(refusal({"pub", "t", "m", "surplus"}), "'surplus'"));
    CHECK(names(refusal({"pub", "t", "m", "surplus"}), "needs quotes"));
    CHECK(names(refusal({"publish"}), "'publish'"));
    CHECK(names(refusal({}), "--help"));
    CHECK(names(refusal({"pub"}), "TOPIC"));
    CHECK(names(refusal({"log", "verify"}), "--data-dir"));
    CHECK(names(refusal({"log"}), "verify or dump"));
    CHECK(names(refusal({"log", "verify", "dump", "--data-dir", "x"}), "'dump'"));
    CHECK(names(refusal({"bench"}), "MODE"));
    CHECK(names(refusal({"pub", "t", "--count"}), "--count"));
    CHECK(names(refusal({"pub", "t", "--json=5"}), "json"));
    CHECK(names(refusal({"pub", "t", "--count", "1", "--count", "2"}), "--count"));
  }

  TEST_CASE("flags that contradict each other -> refused") {
    CHECK(names(refusal({"sub", "--raw", "--json"}), "--raw"));
    CHECK(names(refusal({"status", "--json", "-o", "table"}), "--json"));
    CHECK(names(refusal({"pub", "t", "m", "--lines"}), "--lines"));
    CHECK(names(refusal({"pub", "t", "m", "--size", "5"}), "--size"));
    CHECK(names(refusal({"pub", "t", "--lines", "--size", "5"}), "--size"));
  }

  TEST_CASE("sub: prefixes of topics, nothing else with a star") {
    CHECK(parsed<SubArguments>({"sub", "a/*", "*"}).topics == std::vector<std::string>{"a/*", "*"});
    CHECK(names(refusal({"sub", "*/a"}), "*/a"));
    CHECK(names(refusal({"pub", "a/*", "m"}), "a/*"));
  }

  TEST_CASE("what has its own issue -> refused by name, not unknown") {
    CHECK(names(refusal({"status", "--watch"}), "not there yet"));
    CHECK(names(refusal({"sub", "--config", "file"}), "--config"));
  }

  TEST_CASE("help: every command has examples and the exit codes") {
    for (const char* command : {"dev", "pub", "sub", "status", "bench", "log"}) {
      const Parsed result = parse({command, "--help"});
      const auto* answer = std::get_if<Answer>(&result.result);
      REQUIRE(answer != nullptr);
      CHECK(answer->code == ExitCode::done);
      CHECK(names(answer->text, "Examples:"));
      CHECK(names(answer->text, (std::string("zabmq ") + command).c_str()));
      CHECK(names(answer->text, "Exit codes: 0 done"));
    }
  }

  TEST_CASE("help: as a word in front, too") {
    const auto text = [](std::initializer_list<const char*> words) {
      const Parsed result = parse(words);
      return std::get<Answer>(result.result).text;
    };
    CHECK(text({"help"}) == text({"--help"}));
    CHECK(text({"help", "pub"}) == text({"pub", "--help"}));
    CHECK(text({"help", "log", "dump"}) == text({"log", "dump", "--help"}));
  }

  TEST_CASE("what the parsing library refuses -> told in our words, with what to do next") {
    CHECK(refusal({"pub"}) == "TOPIC is required: see zabmq pub --help");
    CHECK(refusal({"pub", "t", "--timeout"}) ==
          "--timeout lacks its DURATION: see zabmq pub --help");
    CHECK(refusal({"status", "more"}) == "'more' is one word too many: see zabmq status --help");
    CHECK(refusal({"cursor"}) == "expected list or remove: see zabmq cursor --help");
    CHECK(refusal({"cursor", "drop"}) ==
          "'drop': expected list or remove: see zabmq cursor --help");
    CHECK(refusal({"cursor", "remove"}) == "NAME is required: see zabmq cursor remove --help");
    CHECK(refusal({"pub", "t", "m", "--timeout", "5"}) ==
          "--timeout: '5': expected a number with its unit, ms, s, m or h, such as 500ms or 5s (at "
          "most 24h)");
  }

  TEST_CASE("help: an action of log or bench has its own options in it") {
    const auto help = [](const char* command, const char* action) {
      const Parsed result = parse({command, action, "--help"});
      return std::get<Answer>(result.result).text;
    };
    CHECK(names(help("log", "verify"), "zabmq log verify [OPTIONS]"));
    CHECK(names(help("log", "verify"), "--data-dir DIR"));
    CHECK(names(help("log", "verify"), "The result as one object"));
    CHECK_FALSE(names(help("log", "verify"), "log dump"));
    CHECK(names(help("log", "dump"), "zabmq log dump [OPTIONS]"));
    CHECK(names(help("log", "dump"), "One object a line"));
    CHECK(names(help("bench", "pub"), "--publishers N"));
  }
}

}  // namespace zabmq::cli
