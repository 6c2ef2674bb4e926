// Commands: what each command of the tool is told by its command line, and the commands themselves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/exit_code.hpp"
#include "zabmq/client.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::cli {

struct DevArguments {
  std::size_t servers = 3;
  std::filesystem::path directory = ".zabmq-dev";
  std::uint16_t port = 9470;
};

struct PubArguments {
  ClientOptions client;
  std::string topic;
  std::optional<std::string> message;  // none: standard input
  bool lines = false;
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> size;  // generated payloads of so many bytes
  std::optional<double> rate;         // messages in a second
  std::size_t window = 65536;         // read and not yet reported
  Headers headers;
  std::string session;
  std::optional<Offset> expect_last_offset;
  bool json = false;
};

enum class SubFormat { lines, raw, json };

struct SubArguments {
  ClientOptions client;
  std::vector<std::string> topics;
  From from = fresh();
  std::optional<std::uint64_t> count;
  bool until_end = false;
  bool jumps_gaps = false;
  std::optional<std::string> cursor;  // a durable one: acknowledged once printed
  SubFormat format = SubFormat::lines;
};

struct CursorArguments {
  ClientOptions client;
  std::optional<std::string> removed;  // none: list them
  bool json = false;
};

struct StatusArguments {
  ClientOptions client;
  bool json = false;
};

enum class BenchMode {
  pub,     // publish -> acknowledged
  sub,     // replay of what is there
  e2e,     // publish -> delivered to subscribers of this process
  latency  // pub, at a rate far from saturation
};

struct BenchArguments {
  ClientOptions client;
  BenchMode mode = BenchMode::pub;
  std::string topic = "bench";
  std::size_t size = 100;
  std::size_t window = 8192;   // of each publisher
  std::optional<double> rate;  // of all publishers together
  Millis warmup{1000};
  Millis duration{5000};
  std::size_t publishers = 1;
  std::size_t readers = 1;  // of `sub` and `e2e`
  From from = first();      // of `sub`
  bool json = false;
};

struct ConformanceArguments {
  std::string endpoint;
  Millis timeout{5000};            // of every wait
  std::vector<std::string> rules;  // none: all
  bool json = false;
};

struct VerifyArguments {
  std::filesystem::path directory;
  bool json = false;
};

struct DumpArguments {
  std::filesystem::path directory;
  bool json = false;
};

// Each prints results on standard output and everything else on standard error. An Error that
// leaves a command becomes its one line and exit code in main.
ExitCode run(const DevArguments& arguments);
ExitCode run(const PubArguments& arguments);
ExitCode run(const SubArguments& arguments);
ExitCode run(const CursorArguments& arguments);
ExitCode run(const StatusArguments& arguments);
ExitCode run(const BenchArguments& arguments);
ExitCode run(const ConformanceArguments& arguments);
ExitCode run(const VerifyArguments& arguments);
ExitCode run(const DumpArguments& arguments);

}  // namespace zabmq::cli
