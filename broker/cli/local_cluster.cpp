// LocalCluster: start, watch and stop zabmqd processes.
#include "cli/local_cluster.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <system_error>

#include "cli/free_ports.hpp"
#include "zabmq/check.hpp"

namespace zabmq::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int start_attempts_max = 5;
constexpr Millis answer_patience{250};  // of a status question while a leader is awaited
constexpr Millis question_pause{20};
constexpr std::streamoff log_tail_bytes = 8192;

// An append-only log file, open for as long as a child is being started with it.
class LogFile {
 public:
  explicit LogFile(const std::filesystem::path& path)
      : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
    if (fd_ < 0) {
      throw std::runtime_error(path.string() + ": " + std::generic_category().message(errno));
    }
  }
  ~LogFile() { close(fd_); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

Error no_leader(Millis bound) {
  return Error(Code::unavailable, Outcome::no,
               "no server leads after " + std::to_string(bound.count()) + " ms");
}

Millis left_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<Millis>(deadline - Clock::now());
  return std::max(left, Millis{0});
}

}  // namespace

std::filesystem::path sibling_program(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

LocalCluster::LocalCluster(LocalClusterOptions options)
    : options_(std::move(options)), program_(sibling_program("zabmqd")) {
  std::error_code error;
  std::filesystem::create_directories(options_.directory, error);
  if (error) {
    throw std::runtime_error("cannot create the directory " + options_.directory.string() + ": " +
                             error.message());
  }
  for (std::size_t i = 0; i < options_.servers; ++i) {
    LocalServer server;
    server.id = ServerId{static_cast<std::uint32_t>(i + 1)};
    server.data_directory = options_.directory / to_string(server.id);
    server.log_file = options_.directory / (to_string(server.id) + ".log");
    servers_.push_back(server);
  }
  choose_ports();
}

LocalCluster::~LocalCluster() {
  stop();
}

void LocalCluster::choose_ports() {
  std::vector<std::uint16_t> free;
  if (options_.first_port == 0) free = free_ports(2 * servers_.size());
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const auto scheme = static_cast<std::uint16_t>(options_.first_port + 10 * i);
    servers_[i].client_port = free.empty() ? scheme : free[2 * i];
    servers_[i].peer_port =
        free.empty() ? static_cast<std::uint16_t>(scheme + 100) : free[2 * i + 1];
  }
}

bool LocalCluster::start(Millis bound, const GiveUp& give_up) {
  const auto deadline = Clock::now() + bound;
  for (int attempt = 1;; ++attempt) {
    launch_all();
    const std::vector<ServerId> started = running_servers();
    if (wait_for_leader(left_until(deadline), give_up)) return true;
    if (give_up && give_up()) return false;
    const auto ended = ended_of(started);
    if (!ended) throw no_leader(bound);
    const std::string end = "server " + to_string(*ended) + " ended: " + how_ended(*ended);
    const bool other_ports = options_.first_port == 0 && lost_a_port(*ended);
    stop();
    if (!other_ports || attempt == start_attempts_max) throw StartFailed(end);
    choose_ports();
  }
}

std::optional<std::uint16_t> LocalCluster::taken_port() const {
  for (const LocalServer& server : servers_) {
    for (const std::uint16_t port : {server.client_port, server.peer_port}) {
      if (!is_port_free(port)) return port;
    }
  }
  return std::nullopt;
}

void LocalCluster::launch(ServerId id) {
  ZABMQ_CHECK(!running(id));
  const LogFile log(server(id).log_file);
  const ChildStreams streams{.in = -1, .out = log.fd(), .err = log.fd()};
  processes_[id] = std::make_unique<ChildProcess>(command_line(id), streams);
}

void LocalCluster::launch_all() {
  for (const LocalServer& server : servers_) {
    if (!running(server.id)) launch(server.id);
  }
}

void LocalCluster::kill(ServerId id, int signal) {
  if (!running(id)) return;
  processes_[id]->signal(signal);
  if (signal == SIGKILL) (void)processes_[id]->wait_for(options_.stop_patience);
}

std::optional<int> LocalCluster::stop(ServerId id) {
  const auto found = processes_.find(id);
  if (found == processes_.end()) return std::nullopt;
  found->second->signal(SIGTERM);
  auto status = found->second->wait_for(options_.stop_patience);
  if (!status) found->second->signal(SIGKILL);
  if (!status) status = found->second->wait_for(options_.stop_patience);
  return status;
}

void LocalCluster::stop() {
  for (const auto& [id, process] : processes_) process->signal(SIGTERM);
  const auto deadline = Clock::now() + options_.stop_patience;
  for (const auto& [id, process] : processes_) (void)process->wait_for(left_until(deadline));
  processes_.clear();  // kills what has not ended
}

bool LocalCluster::running(ServerId id) {
  const auto found = processes_.find(id);
  return found != processes_.end() && found->second->running();
}

std::optional<int> LocalCluster::wait_for_end(ServerId id, Millis bound) {
  const auto found = processes_.find(id);
  return found == processes_.end() ? std::nullopt : found->second->wait_for(bound);
}

pid_t LocalCluster::process_id(ServerId id) const {
  const auto found = processes_.find(id);
  return found == processes_.end() ? -1 : found->second->pid();
}

int LocalCluster::ready_fd(ServerId id) const {
  const auto found = processes_.find(id);
  return found == processes_.end() ? -1 : found->second->ready_fd();
}

std::optional<ServerId> LocalCluster::wait_for_leader(Millis bound, const GiveUp& give_up) {
  const auto deadline = Clock::now() + bound;
  const std::vector<ServerId> started = running_servers();
  while (!ended_of(started)) {
    const ServerId leader = status().leader;
    if (leader != ServerId::none) return leader;
    if (Clock::now() >= deadline || (give_up && give_up())) return std::nullopt;
    poll(nullptr, 0, static_cast<int>(question_pause.count()));
  }
  return std::nullopt;
}

ClusterStatus LocalCluster::status() const {
  ClientOptions client;
  client.endpoints = endpoints();
  return cluster_status(client, answer_patience);
}

const LocalServer& LocalCluster::server(ServerId id) const {
  const auto found = std::find_if(servers_.begin(), servers_.end(),
                                  [id](const LocalServer& server) { return server.id == id; });
  ZABMQ_CHECK(found != servers_.end());
  return *found;
}

std::string LocalCluster::endpoint(ServerId id) const {
  return "tcp://127.0.0.1:" + std::to_string(server(id).client_port);
}

std::vector<std::string> LocalCluster::endpoints() const {
  std::vector<std::string> all;
  for (const LocalServer& server : servers_) all.push_back(endpoint(server.id));
  return all;
}

std::string LocalCluster::last_log_line(ServerId id) const {
  std::ifstream file(server(id).log_file, std::ios::ate);
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(size - log_tail_bytes, 0));
  std::string line;
  std::string last = "nothing in its log";
  while (std::getline(file, line)) {
    if (!line.empty()) last = line;
  }
  return last;
}

std::string LocalCluster::how_ended(ServerId id) {
  const auto status = wait_for_end(id, Millis{0});
  ZABMQ_CHECK(status);
  // Killed from outside it had no time for a word: the last line of its log is about other things.
  const bool by_itself = *status != 0 && (*status <= 128 || *status == 128 + SIGABRT);
  return ended_by(*status) + (by_itself ? ": " + last_log_line(id) : "");
}

std::vector<std::string> LocalCluster::command_line(ServerId id) const {
  std::vector<std::string> words{program_.string(),
                                 "--id",
                                 to_string(id),
                                 "--servers",
                                 server_list(),
                                 "--data-dir",
                                 std::filesystem::absolute(server(id).data_directory)};
  words.insert(words.end(), options_.arguments.begin(), options_.arguments.end());
  return words;
}

std::vector<ServerId> LocalCluster::running_servers() {
  std::vector<ServerId> ids;
  for (const LocalServer& server : servers_) {
    if (running(server.id)) ids.push_back(server.id);
  }
  return ids;
}

std::optional<ServerId> LocalCluster::ended_of(const std::vector<ServerId>& started) {
  for (const ServerId id : started) {
    if (!running(id)) return id;
  }
  return std::nullopt;
}

// Its process has ended; a port that is taken now was not left to it.
bool LocalCluster::lost_a_port(ServerId id) const {
  return !is_port_free(server(id).client_port) || !is_port_free(server(id).peer_port);
}

std::string LocalCluster::server_list() const {
  std::string list;
  for (const LocalServer& server : servers_) {
    list += (list.empty() ? "" : ",") + to_string(server.id) +
            "=127.0.0.1:" + std::to_string(server.peer_port) + ":" +
            std::to_string(server.client_port);
  }
  return list;
}

}  // namespace zabmq::cli
