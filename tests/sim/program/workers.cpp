// Workers: processes, pipes, and what a process that ended by a signal had been doing.
#include "workers.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "zabmq/check.hpp"

namespace zabmq::sim::program {
namespace {

constexpr std::string_view result_prefix = "result ";
constexpr std::string_view start_prefix = "start ";
constexpr std::string_view event_prefix = "event ";

struct Worker {
  pid_t process = 0;
  int output = -1;
  std::string buffer;
  std::uint64_t lane = 0;     // runs first + lane, first + lane + jobs, ...
  std::uint64_t next = 0;     // the seed it begins with
  std::uint64_t current = 0;  // that it is running
  bool running = false;
  std::uint64_t event = 0;  // at which it aborted
  std::string complaint;    // its last words
};

// The process ends anyhow: what it was doing is worth a risk.
void on_abort(int) {
  if (running.world) {
    std::printf("%s%llu\n", event_prefix.data(),
                static_cast<unsigned long long>(running.world->events()));
    std::fflush(stdout);
  }
  signal(SIGABRT, SIG_DFL);
}

[[noreturn]] void work_on(const Work& work, std::uint64_t seed) {
  signal(SIGABRT, on_abort);
  for (; seed <= work.last; seed += work.jobs) {
    if (work.until && std::chrono::steady_clock::now() >= *work.until) break;
    std::printf("%s%llu\n", start_prefix.data(), static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    const double before = cpu_seconds_now();
    const RunResult result = run_seed(seed, work.options);
    const Tally tally = tally_of(result, cpu_seconds_now() - before);
    std::printf("%s%s\n", result_prefix.data(), to_json(tally).dump().c_str());
    std::fflush(stdout);
    if (work.stop_at_first && !tally.violations.empty()) break;
  }
  std::_Exit(0);
}

class Pool {
 public:
  Pool(const Work& work, const OnSeed& on_seed) : work_(work), on_seed_(on_seed) {}

  Tally run() {
    for (std::uint64_t lane = 0; lane < work_.jobs; ++lane) start(lane, work_.first + lane);
    while (!workers_.empty()) wait();
    return total_;
  }

 private:
  void start(std::uint64_t lane, std::uint64_t seed) {
    if (seed > work_.last) return;
    std::array<int, 2> ends{};
    ZABMQ_CHECK(pipe(ends.data()) == 0);
    std::fflush(stdout);
    const pid_t process = fork();
    ZABMQ_CHECK(process >= 0);
    if (process == 0) {
      close(ends[0]);
      dup2(ends[1], STDOUT_FILENO);
      dup2(ends[1], STDERR_FILENO);
      work_on(work_, seed);
    }
    close(ends[1]);
    Worker worker;
    worker.process = process;
    worker.output = ends[0];
    worker.lane = lane;
    workers_.push_back(std::move(worker));
  }

  void wait() {
    std::vector<pollfd> items;
    for (const Worker& worker : workers_) items.push_back({worker.output, POLLIN, 0});
    poll(items.data(), items.size(), -1);
    for (std::size_t i = items.size(); i-- > 0;) {
      if (items[i].revents != 0) read_from(i);
    }
  }

  void read_from(std::size_t index) {
    Worker& worker = workers_[index];
    std::array<char, 65536> bytes{};
    const ssize_t count = read(worker.output, bytes.data(), bytes.size());
    if (count <= 0) return finish(index);
    worker.buffer.append(bytes.data(), static_cast<std::size_t>(count));
    for (std::size_t end; (end = worker.buffer.find('\n')) != std::string::npos;) {
      take_line(worker, worker.buffer.substr(0, end));
      worker.buffer.erase(0, end + 1);
    }
  }

  void take_line(Worker& worker, const std::string& line) {
    if (line.starts_with(start_prefix)) {
      worker.current = std::stoull(line.substr(start_prefix.size()));
      worker.running = true;
    } else if (line.starts_with(event_prefix)) {
      worker.event = std::stoull(line.substr(event_prefix.size()));
    } else if (line.starts_with(result_prefix)) {
      worker.running = false;
      take(tally_from(Json::parse(line.substr(result_prefix.size()))));
    } else if (worker.complaint.empty() || line.find("check failed") != std::string::npos) {
      worker.complaint = line;
    }
  }

  void take(const Tally& tally) {
    total_.add(tally);
    on_seed_(tally);
    if (work_.stop_at_first && !tally.violations.empty()) stop_all();
  }

  void stop_all() {
    stopping_ = true;
    for (const Worker& worker : workers_) kill(worker.process, SIGKILL);
  }

  // "zabmq: check failed: CONDITION (PATH/FILE:LINE)" names the check.
  static std::string check_of(const std::string& complaint, int status) {
    const std::size_t slash = complaint.rfind('/');
    const std::size_t close = complaint.rfind(')');
    if (complaint.find("check failed") != std::string::npos && slash < close) {
      return "ZABMQ_CHECK " + complaint.substr(slash + 1, close - slash - 1);
    }
    return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status)) : "exit";
  }

  void finish(std::size_t index) {
    const Worker worker = std::move(workers_[index]);
    workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(index));
    close(worker.output);
    int status = 0;
    waitpid(worker.process, &status, 0);
    if (stopping_ || !worker.running) return;
    Tally tally;
    tally.seeds = 1;
    tally.events = worker.event;
    tally.violations.push_back(
        {check_of(worker.complaint, status), worker.current, worker.event, worker.complaint});
    start(worker.lane, worker.current + work_.jobs);
    take(tally);
  }

  const Work& work_;
  const OnSeed& on_seed_;
  std::vector<Worker> workers_;
  Tally total_;
  bool stopping_ = false;
};

}  // namespace

Tally run_all(const Work& work, const OnSeed& on_seed) {
  return Pool(work, on_seed).run();
}

}  // namespace zabmq::sim::program
