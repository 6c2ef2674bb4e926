// ZooKeeperDriver: asynchronous setData on one node, over some sessions.
//
// setData is ZooKeeper's cheapest write: nothing in the tree grows. Built twice: with
// libzookeeper-mt (THREADED; two threads for each session), and with libzookeeper-st, whose
// sessions are all driven from one thread here, for crowds.
#include <poll.h>
#include <zookeeper/zookeeper.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "driver.hpp"

namespace {

using namespace zabmq::compare;

constexpr const char* path = "/zabmq-compare";
constexpr int session_timeout_ms = 30000;
constexpr int patience_s = 20;

class Session;

struct Outstanding {
  Session* session = nullptr;
  Clock::time_point sent;
};

// Completions come on one thread for each session.
class Session {
 public:
  Session(const Arguments& arguments, std::size_t window, const std::string& payload)
      : meter(arguments), payload_(payload), outstanding_(window) {
    const std::string host = arguments.host + ":" + std::to_string(arguments.port);
    handle_ = zookeeper_init(host.c_str(), nullptr, session_timeout_ms, nullptr, nullptr, 0);
    if (handle_ == nullptr) die("zookeeper_init");
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  zhandle_t* handle() const { return handle_; }
  bool connected() const { return zoo_state(handle_) == ZOO_CONNECTED_STATE; }
  bool idle() const { return open_ == 0; }

  void start(const Arguments& arguments) {
    meter = Meter(arguments);
    open_ = outstanding_.size();
    for (Outstanding& one : outstanding_) {
      one.session = this;
      send(one);
    }
  }

  void create_node() {
    const auto done = [](int, const char*, const void* created) {
      *static_cast<std::atomic<bool>*>(const_cast<void*>(created)) = true;
    };
    zoo_acreate(handle_, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, done, &created);
  }

  Meter meter;
  std::atomic<bool> created = false;

 private:
  void send(Outstanding& one) {
    one.sent = Clock::now();
    const int size = static_cast<int>(payload_.size());
    if (zoo_aset(handle_, path, payload_.data(), size, -1, on_done, &one) != ZOK) die("zoo_aset");
  }

  static void on_done(int result, const Stat*, const void* data) {
    Outstanding& one = *static_cast<Outstanding*>(const_cast<void*>(data));
    if (result != ZOK) die(std::string("setData: ") + zerror(result));
    Session& session = *one.session;
    session.meter.record(one.sent, Clock::now());
    if (session.meter.over()) {
      --session.open_;
    } else {
      session.send(one);
    }
  }

  zhandle_t* handle_ = nullptr;
  const std::string& payload_;
  std::vector<Outstanding> outstanding_;
  std::atomic<std::size_t> open_ = 0;
};

using Sessions = std::vector<std::unique_ptr<Session>>;

#ifdef THREADED
void turn(const Sessions&) {
  std::this_thread::sleep_for(std::chrono::milliseconds{5});
}
#else
void turn(const Sessions& sessions) {
  static std::vector<pollfd> polled;
  polled.resize(sessions.size());
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    int fd = -1;
    int interest = 0;
    timeval bound{};
    zookeeper_interest(sessions[i]->handle(), &fd, &interest, &bound);
    const int in = (interest & ZOOKEEPER_READ) != 0 ? POLLIN : 0;
    const int out = (interest & ZOOKEEPER_WRITE) != 0 ? POLLOUT : 0;
    polled[i] = {fd, static_cast<short>(in | out), 0};
  }
  poll(polled.data(), polled.size(), 5);
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    const short got = polled[i].revents;
    const int in = (got & (POLLIN | POLLHUP | POLLERR)) != 0 ? ZOOKEEPER_READ : 0;
    const int out = (got & POLLOUT) != 0 ? ZOOKEEPER_WRITE : 0;
    if ((in | out) != 0) zookeeper_process(sessions[i]->handle(), in | out);
  }
}
#endif

template <class Condition>
void turn_until(const Sessions& sessions, Condition condition, const char* what) {
  const auto deadline = Clock::now() + std::chrono::seconds{patience_s};
  while (!condition()) {
    if (Clock::now() >= deadline) die(std::string("in time not ") + what);
    turn(sessions);
  }
}

template <class Predicate>
bool all(const Sessions& sessions, Predicate predicate) {
  for (const auto& session : sessions) {
    if (!predicate(*session)) return false;
  }
  return true;
}

}  // namespace

int main(int count, char** words) {
  Arguments arguments = arguments_of(count, words);
  zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
  const std::string payload(arguments.size, 'x');
  const std::size_t window = std::max<std::size_t>(1, arguments.window / arguments.sessions);
  Sessions sessions;
  for (std::size_t i = 0; i < arguments.sessions; ++i) {
    sessions.push_back(std::make_unique<Session>(arguments, window, payload));
    if (i % 32 == 31) turn(sessions);
  }
  turn_until(
      sessions, [&] { return all(sessions, [](const Session& s) { return s.connected(); }); },
      "connected");
  sessions.front()->create_node();
  turn_until(
      sessions, [&] { return sessions.front()->created.load(); }, "created");
  for (const auto& session : sessions) session->start(arguments);
  Meter sum(arguments);
  while (!sum.over()) turn(sessions);
  turn_until(
      sessions, [&] { return all(sessions, [](const Session& s) { return s.idle(); }); },
      "answered");
  for (const auto& session : sessions) sum.merge(session->meter);
  sum.print("zookeeper", arguments);
  std::fflush(stdout);
  std::_Exit(0);
}
