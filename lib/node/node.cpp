// Node: the composition, and the loop.
#include "node/node.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <span>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "net/session_links.hpp"
#include "net/zmq_peer_links.hpp"
#include "node/counter_watch.hpp"
#include "node/data_directory.hpp"
#include "node/random.hpp"
#include "node/resolve.hpp"
#include "node/zmq_client_links.hpp"
#include "replica/replica.hpp"
#include "zabmq/check.hpp"

namespace zabmq::node {
namespace {

constexpr int tick_ms = 8;   // the protocol wants to know the time at least every 10 ms
constexpr int retry_ms = 1;  // a client's queue was full
constexpr std::size_t client_bytes_per_turn = 8 << 20;
constexpr std::uint64_t lonely_interval_ms = 5000;  // how often a server without leader says so
constexpr std::size_t frames_per_turn = 256;  // of clients, and of peers: no side starves the other
constexpr std::uint64_t stop_timeout_ms = 1500;
constexpr std::size_t client_overhead_bytes = 64 << 10;
constexpr std::size_t record_overhead_bytes = 64 << 10;
constexpr std::size_t strangers_max = 1024;  // connections that the replica may refuse by name
constexpr std::uint64_t idle_margin_ms = 1000;

std::uint64_t steady_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

LogTime wall_us() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<LogTime>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

// Clients and peers have a context each, so that no crowd of clients delays a heartbeat.
zmq::context_t make_context() {
  zmq::context_t context(1);
  context.set(zmq::ctxopt::blocky, false);
  return context;
}

ZmqClientLinks::Options client_options(const NodeConfig& config) {
  ZmqClientLinks::Options options;
  options.frame_bytes_max = config.options.limits.max_batch + client_overhead_bytes;
  options.connections_max = config.options.limits.max_clients + strangers_max;
  options.idle_timeout_ms = config.options.timing.client_timeout_ms + idle_margin_ms;
  options.ipv6 = config.servers.find(config.self)->is_ipv6();
  return options;
}

net::ZmqPeerOptions peer_options(const NodeConfig& config, std::string bind) {
  const Options& options = config.options;
  net::ZmqPeerOptions peers;
  peers.self = config.self;
  peers.bind = std::move(bind);
  for (const Server& server : config.servers.all()) {
    if (server.id != config.self) peers.peers.emplace(server.id, server.peer_endpoint());
  }
  peers.deaf_ms = net::peer_timeouts_until_deaf * options.timing.peer_timeout_ms;
  peers.nonces = [] { return draw_nonce(); };
  // The log may hold batches from before `limits.max_batch` was lowered, here or at a peer.
  peers.records_bytes_max =
      std::max({options.storage.batch_max, options.limits.read_max, batch_bytes_largest}) +
      record_overhead_bytes;
  peers.outbox_bytes_max = 4 * (options.limits.learner_window + peers.records_bytes_max) +
                           options.limits.max_forwarded_bytes;
  return peers;
}

std::vector<replica::ServerAddress> addresses_of(const ServerList& servers) {
  std::vector<replica::ServerAddress> addresses;
  for (const Server& server : servers.all()) {
    addresses.push_back({server.id, server.client_endpoint()});
  }
  return addresses;
}

const replica::Principal anonymous;

}  // namespace

class Node::Parts final : public ZmqClientLinks::Listener,
                          public storage::HistoryLog::Listener,
                          public replica::IdentityStore,
                          public replica::EventSink {
 public:
  Parts(const NodeConfig& config, const StopSignal& stop, Observer observer)
      : config_(config),
        stop_(stop),
        observer_(std::move(observer)),
        clients_(client_context_, client_options(config_)) {}

  std::optional<Problem> open();
  Ending run();

 private:
  std::optional<Problem> bind();
  void create_replica(Recovery recovery);

  struct Due {  // who has something to say
    bool stop = false;
    bool completions = false;
  };
  Due wait(int timeout_ms);
  bool turn(const Due& due);
  void tick(std::uint64_t now_ms);
  void watch_space();
  void watch_leader();
  std::string unreachable_servers() const;
  std::string wiped_servers() const;
  Ending stop();

  // From below, to the replica.
  void on_client_frame(replica::ConnectionId from, Bytes header, Slice body) override {
    replica_->on_client_frame(from, anonymous, header, std::move(body));
  }
  void on_durable(Zxid up_to) override { replica_->on_durable(up_to); }
  void on_rewound(bool matched) override { replica_->on_rewound(matched); }
  void on_install_step() override { replica_->on_install_step(); }
  void on_drained(Zxid durable_end) override { replica_->on_drained(durable_end); }
  void on_failed(const storage::Failure& failure) override;

  // From the replica.
  void store(const zab::Identity& identity) override;
  void on_event(const zab::Event& event) override { observer_(notice_of(event)); }
  void on_fatal(const std::string& text) override;

  void fail_stop(const std::string& error);
  void end(Ending::Kind kind, const std::string& text);
  void belong_to(const zab::Identity& identity);
  void say(LogLevel level, std::string_view cause, std::string text) {
    observer_({level, cause, std::move(text)});
  }

  const NodeConfig config_;
  const StopSignal& stop_;
  Observer observer_;

  zmq::context_t client_context_ = make_context();
  zmq::context_t peer_context_ = make_context();
  ZmqClientLinks clients_;
  std::unique_ptr<net::ZmqPeerLinks> peers_;
  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<replica::Replica> replica_;

  std::optional<Ending> ending_;
  std::vector<pollfd> items_;
  std::uint64_t now_ms_ = 0;
  std::uint64_t led_ms_ = 0;  // when there was a leader, or this was last told
  bool no_space_ = false;
  CounterWatch watch_;
};

// Ports before the log: what is wrong with them shows at once, however long the history.
std::optional<Problem> Node::Parts::open() {
  auto opened = DataDirectory::open(config_);
  if (auto* problem = std::get_if<Problem>(&opened)) return std::move(*problem);
  directory_ = std::move(std::get<std::unique_ptr<DataDirectory>>(opened));
  if (auto problem = bind()) return problem;

  auto recovered = directory_->recover();
  if (auto* problem = std::get_if<Problem>(&recovered)) return std::move(*problem);
  create_replica(std::get<Recovery>(std::move(recovered)));
  return std::nullopt;
}

std::optional<Problem> Node::Parts::bind() {
  const Server& self = *config_.servers.find(config_.self);
  auto client = endpoint_to_bind(self.host, self.client_port);
  if (auto* problem = std::get_if<Problem>(&client)) return std::move(*problem);
  auto peer = endpoint_to_bind(self.host, self.peer_port);
  if (auto* problem = std::get_if<Problem>(&peer)) return std::move(*problem);

  const auto& client_endpoint = std::get<std::string>(client);
  if (const int error = clients_.bind(client_endpoint); error != 0) {
    return Problem{"client endpoint " + client_endpoint + ": " + zmq_strerror(error)};
  }
  auto peers =
      net::ZmqPeerLinks::open(peer_context_, peer_options(config_, std::get<std::string>(peer)));
  if (!peers) return Problem{peers.error().what()};
  peers_ = std::move(peers.value());
  return std::nullopt;
}

void Node::Parts::create_replica(Recovery recovery) {
  for (std::string& note : recovery.notes) say(LogLevel::info, "recovery", std::move(note));
  const zab::Identity identity = recovery.state.identity;
  if (!is_none(identity.cluster)) peers_->set_cluster(identity.cluster);
  replica_ = std::make_unique<replica::Replica>(
      config_.self, zab::Config(config_.servers.voters(), config_.servers.voter_set_hash()),
      config_.options.for_replica(), std::move(recovery.state),
      zab::FreshIds{draw_uuid(), draw_uuid(), draw_uuid()}, addresses_of(config_.servers),
      replica::Environment{directory_->log(), *peers_, clients_, *this, *this});
  directory_->log().set_listener(this);
}

Ending Node::Parts::run() {
  const Server& self = *config_.servers.find(config_.self);
  say(LogLevel::info, "start",
      "listening client=" + self.client_endpoint() + " peer=" + self.peer_endpoint());
  int timeout_ms = 0;
  while (!ending_) {
    const Due due = wait(timeout_ms);
    if (due.stop) return stop();
    const bool more = turn(due);
    timeout_ms = more ? 0 : clients_.take_blocked() ? retry_ms : tick_ms;
  }
  return *ending_;
}

Node::Parts::Due Node::Parts::wait(int timeout_ms) {
  items_.clear();
  items_.push_back({stop_.fd(), POLLIN, 0});
  items_.push_back({directory_->completion_fd(), POLLIN, 0});
  items_.push_back(clients_.poll_item());
  peers_->poll_items(items_);
  const bool may_wait = !clients_.has_input() && !peers_->has_input();
  const int ready = ::poll(items_.data(), items_.size(), may_wait ? timeout_ms : 0);
  ZABMQ_CHECK(ready >= 0 || errno == EINTR);
  if (ready <= 0) return {};
  clients_.polled(items_[2]);
  peers_->polled(std::span(items_).subspan(3));
  return {.stop = items_[0].revents != 0, .completions = items_[1].revents != 0};
}

// Everything that is due, once: first what the disk and the others have to say, then one step over
// all of it. True: there is more. The clock comes first: a server that was paused must know it
// before it believes what has waited for it.
bool Node::Parts::turn(const Due& due) {
  tick(steady_ms());
  if (due.completions) directory_->run_completions();
  peers_->receive(frames_per_turn, *replica_);
  clients_.receive(*this, frames_per_turn, client_bytes_per_turn);
  return replica_->step();
}

// Under load turns are far shorter than the clock's grain.
void Node::Parts::tick(std::uint64_t now_ms) {
  if (now_ms == now_ms_) return;
  now_ms_ = now_ms;
  clients_.tick(now_ms);
  peers_->tick(now_ms, *replica_);
  replica_->tick(now_ms, wall_us());
  watch_.look(now_ms, peers_->counters(), clients_.counters(), replica_->counters(), observer_);
  watch_space();
  watch_leader();
}

void Node::Parts::watch_space() {
  if (directory_->log().no_space() == no_space_) return;
  no_space_ = !no_space_;
  if (no_space_) {
    say(LogLevel::error, "space",
        "no space: free some on the disk of " + config_.data_dir +
            "; until then this server takes nothing new");
  } else {
    say(LogLevel::info, "space", "there is space again");
  }
}

void Node::Parts::watch_leader() {
  const bool found = replica_->core().leader() != ServerId::none;
  if (found || led_ms_ == 0) {
    led_ms_ = now_ms_;
  } else if (now_ms_ - led_ms_ >= lonely_interval_ms) {
    led_ms_ = now_ms_;
    say(LogLevel::warning, "leader", "no leader; " + unreachable_servers() + wiped_servers());
  }
}

std::string Node::Parts::unreachable_servers() const {
  std::string list;
  for (const Server& server : config_.servers.all()) {
    if (server.id == config_.self || peers_->connected(server.id)) continue;
    list += " " + to_string(server.id) + " (" + server.peer_endpoint() + ")";
  }
  return list.empty() ? "all servers are reachable" : "not reachable:" + list;
}

// Up and yet without a voice: without their names the missing quorum looks complete.
std::string Node::Parts::wiped_servers() const {
  std::string list;
  if (replica_->core().identity().standing == zab::Standing::wiped) {
    list += " " + to_string(config_.self);
  }
  if (const auto* looking = std::get_if<zab::Looking>(&replica_->core().role_state())) {
    for (const auto& [id, said] : looking->standings) {
      const bool lately = now_ms_ <= said.at + config_.options.timing.peer_timeout_ms;
      if (lately && said.message.standing == zab::Standing::wiped) list += " " + to_string(id);
    }
  }
  return list.empty() ? list : "; wiped, counts in no quorum until the others admit it:" + list;
}

// What was logged becomes durable and the delivered point is marked; nothing new is taken.
Ending Node::Parts::stop() {
  say(LogLevel::info, "stop", "stopping");
  bool marked = false;
  directory_->log().stop([&marked] { marked = true; });
  const std::uint64_t deadline = steady_ms() + stop_timeout_ms;
  while (!marked && !ending_ && steady_ms() < deadline) {
    directory_->wait_for_completions(tick_ms);
    directory_->run_completions();
  }
  if (ending_) return *ending_;
  // Nothing is lost by it: the next start writes the last write again.
  if (!marked) say(LogLevel::warning, "stop", "the disk is busy; stopping without a final mark");
  say(LogLevel::info, "stop", "stopped");
  return {};
}

void Node::Parts::store(const zab::Identity& identity) {
  directory_->store(identity, [this, identity](const std::optional<std::string>& failure) {
    if (failure) return fail_stop(*failure);
    belong_to(identity);
    replica_->on_stored();
  });
}

// Only when the ids are durable: a cluster that a crash takes back must not be heard of.
void Node::Parts::belong_to(const zab::Identity& identity) {
  if (!directory_->belong_to(identity)) return;
  peers_->set_cluster(identity.cluster);
}

void Node::Parts::on_failed(const storage::Failure& failure) {
  if (failure.corrupt) {
    end(Ending::Kind::corrupt, directory_->problem(failure.text).text);
  } else {
    fail_stop(failure.text);
  }
  replica_->on_failed(failure);
}

// After a failed write or sync nobody knows what is on the disk (fsyncgate): never tried again.
void Node::Parts::fail_stop(const std::string& error) {
  end(Ending::Kind::failed,
      directory_
          ->problem(error + "; this server stops, and can be started again once the disk "
                            "works: it then finds out what was written")
          .text);
}

void Node::Parts::on_fatal(const std::string& text) {
  end(Ending::Kind::failed, text);
}

// The first cause is the one to tell; what fails because of it is not.
void Node::Parts::end(Ending::Kind kind, const std::string& text) {
  if (!ending_) ending_ = Ending{kind, text};
}

std::variant<std::unique_ptr<Node>, Problem> Node::open(const NodeConfig& config,
                                                        const StopSignal& stop, Observer observer) {
  auto parts = std::make_unique<Parts>(config, stop, std::move(observer));
  if (auto problem = parts->open()) return std::move(*problem);
  return std::unique_ptr<Node>(new Node(std::move(parts)));
}

Node::Node(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Node::~Node() = default;

Ending Node::run() {
  return parts_->run();
}

}  // namespace zabmq::node
