// Nemesis: composition of a run, and its report.
#include "nemesis/engine/nemesis.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

#include "nemesis/engine/faults.hpp"
#include "nemesis/engine/history_file.hpp"
#include "nemesis/engine/load_publisher.hpp"
#include "nemesis/engine/syscall_fault.hpp"
#include "nemesis/engine/verdict.hpp"

namespace zabmq::nemesis {

namespace {

namespace fs = std::filesystem;

constexpr Millis start_bound{20000};
constexpr Millis outcome_bound{60000};
constexpr Millis drain_silence{10000};
constexpr Millis subscriber_bound{30000};  // without getting any further
constexpr int look_again_ms = 10;
constexpr Millis floors_bound{20000};  // until all servers begin with the same offset
constexpr Millis status_pause{200};
constexpr Millis status_patience{300};
constexpr std::uint32_t drain_number = 2000;
constexpr std::uint64_t small_disk_base = 256u << 20;
constexpr std::uint64_t small_disk_per_second = 4u << 20;

class Run {
 public:
  Run(const Options& options, const std::function<bool()>& interrupted);
  std::optional<bool> perform();  // nullopt: interrupted

 private:
  void start_load();
  void stop_load();
  void watch_status(const std::stop_token& stop);
  void await_one_floor();
  void drain_all();
  bool wait_for(LoadPublisher& publisher);
  bool wait_for(const LoadSubscriber& subscriber);
  bool start_servers();
  bool judge_all(const Faults& faults);
  std::uint64_t seed(std::uint64_t of) const { return options_.seed * 1000 + of; }
  fs::path histories() const { return options_.directory / "history"; }

  const Options options_;
  const std::function<bool()> interrupted_;
  Network network_;
  Servers servers_;
  std::optional<SmallDisk> small_disk_;
  ServerId small_disk_of_ = ServerId::none;
  std::unique_ptr<ProxyNet> proxies_;
  Abilities abilities_;
  Timeline timeline_;
  RetentionWatch retention_;
  std::uint64_t cursor_resumes_ = 0;
  std::vector<std::unique_ptr<LoadPublisher>> publishers_;
  std::vector<std::unique_ptr<LoadSubscriber>> subscribers_;
};

void make_directory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw std::runtime_error("cannot create " + path.string() + ": " + error.message());
}

Run::Run(const Options& options, const std::function<bool()>& interrupted)
    : options_(options),
      interrupted_(interrupted),
      network_(options.servers, options.separate),
      servers_(options.servers, network_, options.directory),
      retention_(options.servers) {
  make_directory(histories());
  make_directory(options_.directory / "sessions");
  for (const ServerId id : servers_.ids()) {
    make_directory(servers_.data_directory(id).parent_path());
  }
  abilities_ = {.cables = network_.separate(),
                .system_calls = SyscallFault::available(),
                .mounts = SmallDisk::available()};
  if (abilities_.mounts) {
    small_disk_of_ = servers_.ids().back();
    small_disk_.emplace(servers_.data_directory(small_disk_of_).parent_path(),
                        small_disk_base + small_disk_per_second * options_.seconds);
    abilities_.mounts = small_disk_->mounted();
  }
  std::vector<ProxyLink> links = servers_.links();
  for (const ProxyLink& link : servers_.client_links()) links.push_back(link);
  proxies_ = std::make_unique<ProxyNet>(std::move(links), seed(1));
}

bool Run::start_servers() {
  servers_.launch_all();
  const Nanos deadline = now_ns() + to_ns(start_bound);
  while (!servers_.leader()) {
    if (now_ns() > deadline || interrupted_()) return false;
  }
  return true;
}

void Run::start_load() {
  using Style = PublisherLoad::Style;
  const std::vector<std::vector<std::string>> topics = {
      {"orders"}, {"orders", "trades"}, {"trades", "quotes"}, {"sessions"}, {"single"}};
  const std::vector<Style> styles = {Style::stream, Style::stream, Style::stream, Style::session,
                                     Style::single};
  for (std::size_t i = 0; i < styles.size(); ++i) {
    PublisherLoad load;
    load.style = styles[i];
    load.key = sim::PublisherKey{static_cast<std::uint32_t>(i + 1)};
    load.endpoints = servers_.endpoints();
    load.topics = topics[i];
    load.histories = histories();
    load.sessions = options_.directory / "sessions";
    load.burst_max = i == 2 ? 40 : 8;  // one sends larger batches, less often
    load.pause = i == 2 ? Millis{50} : Millis{10};
    load.seed = seed(100 + i);
    publishers_.push_back(std::make_unique<LoadPublisher>(load, timeline_));
  }
  for (std::uint32_t i = 1; i <= 6; ++i) {
    SubscriberLoad load;
    load.number = i;
    load.endpoints = servers_.endpoints();
    load.moves = i >= 2;
    if (i == 3) load.topics = {"trades", "single"};
    if (i == 4) load.credit = 64;
    load.rests = i == 2 || i == 3;
    if (i == 2) load.at_gap = SubscriberLoad::AtGap::stop;
    if (i >= 5) load.cursor = "cursor-" + std::to_string(i);
    if (i == 6) load.moves = false;  // at all servers: each life begins wherever it likes
    load.histories = histories();
    load.seed = seed(200 + i);
    subscribers_.push_back(std::make_unique<LoadSubscriber>(load, timeline_, retention_));
  }
}

// Every outcome gets known, and every subscriber gets everything.
void Run::stop_load() {
  for (const auto& publisher : publishers_) publisher->stop();
  for (const auto& publisher : publishers_) {
    if (!wait_for(*publisher) && !interrupted_()) {
      timeline_.violation(publisher->name() + ": outcomes still open after " +
                          std::to_string(outcome_bound.count() / 1000) + " s without faults");
    }
  }
  timeline_.finish(now_ns());
  publishers_.clear();
  for (const auto& subscriber : subscribers_) subscriber->hurry();
  for (const auto& subscriber : subscribers_) {
    if (!wait_for(*subscriber) && !interrupted_()) {
      timeline_.violation("a subscriber got no further than offset " +
                          std::to_string(subscriber->reached()) + " of " +
                          std::to_string(timeline_.top()));
    }
    subscriber->stop();
    cursor_resumes_ += subscriber->cursor_resumes();
  }
  subscribers_.clear();
}

bool Run::wait_for(LoadPublisher& publisher) {
  const Nanos deadline = now_ns() + to_ns(outcome_bound);
  while (!publisher.wait_for_end(Millis{look_again_ms})) {
    if (now_ns() > deadline || interrupted_()) return false;
  }
  return true;
}

// Until it has everything. False: it has stood still for the whole of the bound.
bool Run::wait_for(const LoadSubscriber& subscriber) {
  Offset reached = subscriber.reached();
  Nanos deadline = now_ns() + to_ns(subscriber_bound);
  while (reached <= timeline_.top()) {
    if (now_ns() > deadline || interrupted_()) return false;
    poll(nullptr, 0, look_again_ms);
    if (subscriber.reached() > reached) deadline = now_ns() + to_ns(subscriber_bound);
    reached = subscriber.reached();
  }
  return true;
}

// Every server, to its end, from what it says is its first offset. What is let go meanwhile is
// excused.
void Run::drain_all() {
  SubscriptionRecorder recorder(histories(), "drains", drain_number);
  for (const ServerId id : servers_.ids()) {
    const Offset first = std::max<Offset>(servers_.status_of(id).first_offset, 1);
    if (!drain(servers_.endpoint(id), first, drain_silence, recorder)) {
      timeline_.violation("the final drain of server " + to_string(id) + " did not end");
    }
    const Offset kept = std::max(servers_.status_of(id).first_offset, first);
    recorder.drained(id, timeline_.top(), kept);
  }
  recorder.close();
}

// Retention is a transaction: every server begins with the same offset.
void Run::await_one_floor() {
  const Nanos deadline = now_ns() + to_ns(floors_bound);
  std::set<Offset> floors;
  while (floors.size() != 1 && !interrupted_()) {
    if (now_ns() > deadline) return timeline_.violation("the servers begin with different offsets");
    floors.clear();
    for (const ServerStatus& server : servers_.status().servers) {
      floors.insert(server.reachable ? server.first_offset : 0);
    }
  }
}

// Beside the run, with questions of its own.
void Run::watch_status(const std::stop_token& stop) {
  ClientOptions client;
  client.endpoints = servers_.own_endpoints();
  while (!stop.stop_requested()) {
    const Nanos asked = now_ns();
    retention_.saw(asked, cluster_status(client, status_patience));
    poll(nullptr, 0, static_cast<int>(status_pause.count()));
  }
}

std::optional<bool> Run::perform() {
  std::printf("nemesis: seed %llu, %zu servers, %llu s, %s\n",
              static_cast<unsigned long long>(options_.seed), options_.servers,
              static_cast<unsigned long long>(options_.seconds),
              network_.separate() ? "each in a network namespace" : "all on loopback");
  std::fflush(stdout);
  if (!start_servers()) {
    if (interrupted_()) return std::nullopt;
    std::printf("nemesis: no leader at the start\n");
    return false;
  }
  timeline_.begin(now_ns());
  std::jthread watcher([this](const std::stop_token& stop) { watch_status(stop); });
  start_load();
  Faults faults({.servers = servers_,
                 .network = network_,
                 .proxies = *proxies_,
                 .small_disk = abilities_.mounts ? &*small_disk_ : nullptr,
                 .small_disk_of = small_disk_of_,
                 .timeline = timeline_,
                 .directory = options_.directory,
                 .interrupted = interrupted_},
                abilities_, seed(2));
  faults.run(timeline_.start() + to_ns(std::chrono::seconds(options_.seconds)));
  faults.heal_and_settle("the last fault");
  if (!interrupted_()) stop_load();
  if (!interrupted_()) await_one_floor();
  if (!interrupted_()) drain_all();
  watcher.request_stop();
  watcher.join();
  servers_.stop_all();
  faults.close();
  if (interrupted_()) return std::nullopt;
  return judge_all(faults);
}

bool Run::judge_all(const Faults& faults) {
  const Judgement judgement = judge(histories());
  std::vector<ServerLog> logs;
  for (const ServerId id : servers_.ids()) {
    logs.push_back(read_log(id, servers_.data_directory(id)));
  }
  return print_verdict({.options = options_,
                        .faults = faults.report(),
                        .not_covered = faults.not_covered(),
                        .timeline = timeline_,
                        .judgement = judgement,
                        .logs = compare_logs(logs, timeline_.top()),
                        .retention = retention_,
                        .cursor_resumes = cursor_resumes_});
}

fs::path temporary_directory() {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (error) throw std::runtime_error("$TMPDIR is no directory");
  std::string name = (parent / "zabmq-nemesis-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot create " + name);
  return name;
}

}  // namespace

bool run(const Options& options, const std::function<bool()>& interrupted) {
  Options used = options;
  const bool temporary = used.directory.empty();
  if (temporary) used.directory = temporary_directory();
  bool good = false;
  {
    Run run(used, interrupted);
    const std::optional<bool> verdict = run.perform();
    // What was not judged to its end is neither good nor bad.
    if (!verdict) {
      std::printf("nemesis: interrupted, no verdict (seed %llu)\n",
                  static_cast<unsigned long long>(options.seed));
    }
    good = verdict.value_or(false);
  }
  if (good && temporary) fs::remove_all(used.directory);
  if (!good) std::fprintf(stderr, "kept: %s\n", used.directory.c_str());
  return good;
}

}  // namespace zabmq::nemesis
