// Demo: the rounds.
#include "failover_demo/demo.hpp"

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <vector>

#include "cli/local_cluster.hpp"
#include "failover_demo/load.hpp"
#include "failover_demo/report.hpp"
#include "failover_demo/watcher.hpp"

namespace zabmq::demo {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t servers = 3;
constexpr Millis start_bound{15000};
constexpr Millis failover_bound{15000};
constexpr Millis message_bound{30000};
constexpr Millis slice{50};                 // how late a signal may be noticed
constexpr std::size_t load_at_kill = 2000;  // lines that may be under way when the leader dies

// A directory that is removed with all it holds, unless the user named it.
class DataDirectory {
 public:
  explicit DataDirectory(const std::filesystem::path& keep) : path_(keep), keep_(!keep.empty()) {
    if (keep_) return;
    std::error_code error;
    const auto parent = std::filesystem::temp_directory_path(error);
    if (error) throw std::runtime_error("$TMPDIR is no directory");
    std::string name = parent / "zabmq-demo.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot create " + name);
    path_ = name;
  }
  ~DataDirectory() {
    std::error_code ignored;
    if (!keep_) std::filesystem::remove_all(path_, ignored);
  }
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  bool keep_;
};

File read_file(const std::filesystem::path& path) {
  if (std::error_code ignored; std::filesystem::is_directory(path, ignored)) {
    throw std::runtime_error(path.string() + " is a directory: give a file");
  }
  std::ifstream stream(path, std::ios::binary);
  File file{.name = path.string(),
            .bytes = std::string(std::istreambuf_iterator<char>(stream), {}),
            .lines = {},
            .final_newline = true};
  if (!stream.good() && !stream.eof()) throw std::runtime_error("cannot read " + file.name);
  if (file.bytes.empty()) throw std::runtime_error(file.name + " is missing or empty");
  return file;
}

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

class Demo {
 public:
  Demo(const Options& options, cli::StopSignals& stop)
      : options_(options),
        stop_(stop),
        file_(read_file(options.file)),
        directory_(options.keep_data),
        cluster_({.servers = servers, .directory = directory_.path()}) {
    file_.lines = split_lines(file_.bytes);
    file_.final_newline = file_.bytes.back() == '\n';
  }

  bool run() {
    std::printf("%s: %zu lines, %.2f MB\n", file_.name.c_str(), file_.lines.size(),
                static_cast<double>(file_.bytes.size()) / 1e6);
    start_cluster();
    Publisher publisher(publisher_options());
    const Offset after = cluster_end();
    for (const std::string& endpoint : cluster_.endpoints()) {
      watchers_.push_back(std::make_unique<Watcher>(endpoint, after + 1));
    }
    bool holds = true;
    for (std::size_t round = 1; round <= options_.kills && holds; ++round) {
      if (options_.kills > 1) std::printf("\n--- kill %zu of %zu\n", round, options_.kills);
      holds = run_round(publisher);
    }
    return holds;
  }

 private:
  PublisherOptions publisher_options() const {
    PublisherOptions options;
    options.endpoints = cluster_.endpoints();
    options.timeout = message_bound;
    options.session_file = directory_.path() / "demo.session";
    return options;
  }

  void check_signals() {
    if (stop_.arrived()) throw Interrupted();
  }

  void start_cluster() {
    const auto begin = Clock::now();
    if (!cluster_.start(start_bound, [this] { return stop_.arrived(); })) throw Interrupted();
    std::printf("three zabmqd processes:");
    for (const std::string& endpoint : cluster_.endpoints()) std::printf(" %s", endpoint.c_str());
    std::printf("; ready after %.2f s\n", seconds(Clock::now() - begin));
    std::fflush(stdout);
  }

  // The last offset of the one sequence, from the leader.
  Offset cluster_end() {
    const ClusterStatus status = cluster_.status();
    for (const ServerStatus& server : status.servers) {
      if (server.id == status.leader && server.reachable) return server.last_offset;
    }
    throw TooSlow("the cluster has no leader");
  }

  ServerId wait_for_leader() {
    const auto leader =
        cluster_.wait_for_leader(failover_bound, [this] { return stop_.arrived(); });
    check_signals();
    if (!leader) throw TooSlow("no server leads, or one has ended");
    return *leader;
  }

  // The whole file, a leader killed and restarted under load, and the verdict.
  bool run_round(Publisher& publisher) {
    const Offset after = cluster_end();
    const std::size_t half = file_.lines.size() / 2;
    const ServerId leader = wait_for_leader();
    Load load(publisher, file_.lines, half + load_at_kill);
    wait_for_receipts(load, half);
    kill_leader(load, leader);
    load.release();
    fail_over(leader);
    wait_for_receipts(load, file_.lines.size());
    std::printf("  all %zu acknowledged; the longest silence was %.2f s\n", file_.lines.size(),
                static_cast<double>(load.longest_silence().count()) / 1000);
    wait_for_deliveries();
    return judge_round(load, after);
  }

  void kill_leader(const Load& load, ServerId leader) {
    cluster_.kill(leader, SIGKILL);
    std::printf("  %zu of %zu acknowledged: SIGKILL to server %s, the leader\n",
                load.receipts().size(), file_.lines.size(), to_string(leader).c_str());
    std::fflush(stdout);
  }

  void fail_over(ServerId killed) {
    const auto begin = Clock::now();
    const ServerId leader = wait_for_leader();
    std::printf("  server %s leads %.2f s later; server %s starts again\n",
                to_string(leader).c_str(), seconds(Clock::now() - begin),
                to_string(killed).c_str());
    std::fflush(stdout);
    cluster_.launch(killed);
  }

  void wait_for_receipts(Load& load, std::size_t count) {
    const auto deadline = Clock::now() + message_bound;
    while (!load.wait_for(count, slice)) {
      check_signals();
      if (Clock::now() < deadline) continue;
      throw TooSlow("only " + std::to_string(load.receipts().size()) + " of " +
                    std::to_string(count) + " messages were acknowledged");
    }
  }

  void wait_for_deliveries() {
    const auto deadline = Clock::now() + message_bound;
    for (std::size_t i = 0; i < watchers_.size(); ++i) {
      while (!watchers_[i]->wait_for(file_.lines.size(), slice)) {
        check_signals();
        if (Clock::now() < deadline) continue;
        // Not thrown: what is missing shows in the verdict.
        std::printf("  the subscriber at server %zu has not everything\n", i + 1);
        return;
      }
    }
  }

  bool judge_round(const Load& load, Offset after) {
    // A message that was appended twice stands behind the ones that everybody waited for.
    const Offset end = cluster_end();
    if (end != after + file_.lines.size()) {
      std::printf("  the cluster's last offset is %llu, not %llu\n",
                  static_cast<unsigned long long>(end),
                  static_cast<unsigned long long>(after + file_.lines.size()));
    }
    std::vector<Deliveries> subscribers;
    for (const auto& watcher : watchers_) subscribers.push_back(watcher->take());
    const Verdict verdict = judge(subscribers, file_.lines, load.receipts(), after);
    print_deliveries(subscribers, file_);
    print_verdict(verdict);
    return verdict.holds() && end == after + file_.lines.size();
  }

  const Options& options_;
  cli::StopSignals& stop_;
  File file_;
  DataDirectory directory_;
  cli::LocalCluster cluster_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
};

}  // namespace

bool run(const Options& options, cli::StopSignals& stop) {
  return Demo(options, stop).run();
}

}  // namespace zabmq::demo
