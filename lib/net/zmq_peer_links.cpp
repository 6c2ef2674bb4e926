// ZmqPeerLinks: the sockets, their options, and the loop's turn.
#include "net/zmq_peer_links.hpp"

#include <zmq.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <zmq.hpp>

#include "net/outbox.hpp"
#include "net/session_links.hpp"
#include "wire/hand_over.hpp"
#include "wire/zmq_inbox.hpp"
#include "zabmq/check.hpp"

namespace zabmq::net {
namespace {

// From here up a socket shares our memory; below, a copy is cheaper than the message's allocation
// and the call back from the I/O thread.
constexpr std::size_t shared_when_sent_min = 4096;
// libzmq hands out smaller messages as pieces of one 8 KiB receive buffer: a kept piece would pin
// all of it, for as long as the record stays in the tail cache.
constexpr std::size_t shared_when_received_min = 8192;

constexpr int backlog = 128;
constexpr std::int64_t handshake_bytes_max = 4096;  // ZeroMQ's own commands are all that comes back
constexpr int handshake_ms = 2000;
constexpr int connect_timeout_ms = 500;
constexpr int retransmit_ms = 3000;  // of unacknowledged TCP data, then the connection is dead
constexpr int reconnect_ms = 50;
constexpr int reconnect_max_ms = 250;  // a few servers only: a restarted one is found soon

// Half-open connections are found by TCP itself. Never by ZMTP heartbeats: libzmq (4.3.4, 4.3.5)
// aborts the process when one comes due on a connection that broke while its input was held up.
constexpr int keepalive_idle_s = 2;
constexpr int keepalive_interval_s = 1;
constexpr int keepalive_count = 3;

// --- connections ---

// The ROUTER's own names for connections: 0 and a number. Ours have no names: a ROUTER that lets a
// new connection replace an old one of the same name keeps the old one's socket open for ever.
constexpr std::size_t connection_name_size = 1 + sizeof(std::uint32_t);
constexpr std::size_t speakers_max = 64;  // connections remembered; there are as many as peers

std::uint32_t connection_of(const zmq::message_t& name) {
  std::uint32_t number = 0;
  if (name.size() == connection_name_size) {
    std::memcpy(&number, name.data<char>() + 1, sizeof number);
  }
  return number;
}

// --- messages ---

bool send_part(zmq::socket_t& socket, zmq::message_t& part, bool more) {
  const int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
  return zmq_msg_send(part.handle(), socket.handle(), flags) >= 0;
}

zmq::message_t to_message(const Slice& records) {
  const Bytes bytes = records.bytes();
  if (bytes.size() < shared_when_sent_min) return {bytes.data(), bytes.size()};
  // ZeroMQ takes a pointer to mutable bytes and does not write to them.
  auto* data = const_cast<std::byte*>(bytes.data());
  return {data, bytes.size(), wire::free_handed_over<Slice>, wire::hand_over(records)};
}

Slice to_slice(zmq::message_t&& part) {
  const std::size_t size = part.size();
  if (size == 0) return {};
  if (size < shared_when_received_min) {
    const auto copy = std::make_shared_for_overwrite<std::byte[]>(size);
    std::memcpy(copy.get(), part.data(), size);
    return {copy, Bytes(copy.get(), size)};
  }
  const auto owner = std::make_shared<zmq::message_t>(std::move(part));
  return {owner, Bytes(owner->data<std::byte>(), size)};
}

// --- options ---

bool is_tcp(const std::string& endpoint) {
  return endpoint.starts_with("tcp://");
}

void set_common(zmq::socket_t& socket, const std::string& endpoint) {
  socket.set(zmq::sockopt::linger, 0);  // after close nothing leaves, and close does not wait
  socket.set(zmq::sockopt::handshake_ivl, handshake_ms);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, keepalive_idle_s);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, keepalive_interval_s);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, keepalive_count);
  socket.set(zmq::sockopt::tcp_maxrt, retransmit_ms);
  socket.set(zmq::sockopt::ipv6, endpoint.find('[') != std::string::npos);
}

zmq::socket_t open_router(zmq::context_t& context, const ZmqPeerOptions& options) {
  zmq::socket_t router(context, zmq::socket_type::router);
  set_common(router, options.bind);
  router.set(zmq::sockopt::rcvhwm, options.socket_frames_max);
  router.set(zmq::sockopt::sndhwm, 1);  // never sends
  router.set(zmq::sockopt::backlog, backlog);
  const std::size_t part_max = std::max(options.records_bytes_max, peer_header_size_max);
  router.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(part_max));
  return router;
}

zmq::socket_t open_dealer(zmq::context_t& context, const ZmqPeerOptions& options,
                          const std::string& endpoint) {
  zmq::socket_t dealer(context, zmq::socket_type::dealer);
  set_common(dealer, endpoint);
  dealer.set(zmq::sockopt::immediate, true);  // nothing is queued for a later process
  dealer.set(zmq::sockopt::sndhwm, options.socket_frames_max);
  dealer.set(zmq::sockopt::rcvhwm, 1);  // never receives
  dealer.set(zmq::sockopt::maxmsgsize, handshake_bytes_max);
  dealer.set(zmq::sockopt::reconnect_ivl, reconnect_ms);
  dealer.set(zmq::sockopt::reconnect_ivl_max, reconnect_max_ms);
  dealer.set(zmq::sockopt::connect_timeout, connect_timeout_ms);
  return dealer;
}

}  // namespace

// --- sockets ---

class ZmqPeerLinks::Sockets final : public Transport {
 public:
  Sockets(zmq::context_t& context, const ZmqPeerOptions& options)
      : context_(context),
        options_(options),
        links_(options.self, ids_of(options.peers), options.nonces, *this),
        router_(open_router(context, options)),
        inbox_(router_.handle()) {}
  ~Sockets() override;

  void bind(const std::string& endpoint);
  void connect(std::string& at);

  bool transmit(ServerId to, Lane lane, std::vector<std::byte> header, Slice records) override;
  void drop_queued(ServerId to) override;
  void reconnect(ServerId to) override;

  void poll_items(std::vector<pollfd>& items) const;
  void polled(std::span<const pollfd> items);
  bool has_input();
  std::size_t receive(std::size_t frames_max, Listener& listener);

  SessionLinks& links() { return links_; }
  const std::string& endpoint() const { return endpoint_; }
  std::uint64_t deaf_ms() const { return options_.deaf_ms; }
  bool connected(ServerId peer) const;

 private:
  struct Peer {
    zmq::socket_t dealer;
    zmq::socket_t monitor;
    wire::ZmqInbox news;  // the monitor's
    Outbox outbox;
    bool connected = false;
  };

  static std::vector<ServerId> ids_of(const std::map<ServerId, std::string>& peers);
  void dial(ServerId id, Peer& peer);
  void watch(ServerId id, Peer& peer);
  void read_news(ServerId id, Peer& peer, Listener& listener);
  bool receive_frame(Listener& listener);
  void remember(std::uint32_t connection, Life speaker);
  void drop_rest(bool more);
  void flush(Peer& peer);
  bool send_front(Peer& peer);

  zmq::context_t& context_;
  const ZmqPeerOptions options_;
  std::uint64_t dialled_ = 0;
  SessionLinks links_;
  zmq::socket_t router_;
  wire::ZmqInbox inbox_;  // the router's
  std::map<ServerId, Peer> peers_;
  std::map<std::uint32_t, Life> speakers_;  // by connection, of its last readable frame
  std::string endpoint_;
};

ZmqPeerLinks::Sockets::~Sockets() {
  for (auto& [id, peer] : peers_) zmq_socket_monitor(peer.dealer.handle(), nullptr, 0);
}

std::vector<ServerId> ZmqPeerLinks::Sockets::ids_of(const std::map<ServerId, std::string>& peers) {
  std::vector<ServerId> ids;
  ids.reserve(peers.size());
  for (const auto& [id, endpoint] : peers) ids.push_back(id);
  return ids;
}

void ZmqPeerLinks::Sockets::bind(const std::string& endpoint) {
  router_.bind(endpoint);
  endpoint_ = router_.get(zmq::sockopt::last_endpoint);
}

void ZmqPeerLinks::Sockets::connect(std::string& at) {
  for (const auto& [id, endpoint] : options_.peers) {
    at = endpoint;
    Peer fresh{
        .dealer = {}, .monitor = {}, .news = {}, .outbox = Outbox(options_.outbox_bytes_max)};
    dial(id, peers_.try_emplace(id, std::move(fresh)).first->second);
  }
}

void ZmqPeerLinks::Sockets::dial(ServerId id, Peer& peer) {
  const std::string& endpoint = options_.peers.at(id);
  peer.dealer = open_dealer(context_, options_, endpoint);
  watch(id, peer);
  peer.dealer.connect(endpoint);
}

// A new socket, since ZeroMQ never connects one again that it has given up.
void ZmqPeerLinks::Sockets::reconnect(ServerId to) {
  const auto found = peers_.find(to);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  zmq_socket_monitor(peer.dealer.handle(), nullptr, 0);
  peer.outbox.clear();
  peer.connected = false;
  dial(to, peer);
}

// Before connect, so that no news is missed. Always drained by receive(): a monitor that nobody
// reads would in the end hold up the I/O thread.
void ZmqPeerLinks::Sockets::watch(ServerId id, Peer& peer) {
  const std::string address = "inproc://zabmq-peer-" + to_string(id) + "-" +
                              std::to_string(++dialled_) + "-" +
                              std::to_string(reinterpret_cast<std::uintptr_t>(this));
  const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED;
  if (zmq_socket_monitor(peer.dealer.handle(), address.c_str(), events) != 0) throw zmq::error_t();
  peer.monitor = zmq::socket_t(context_, zmq::socket_type::pair);
  peer.monitor.set(zmq::sockopt::linger, 0);
  peer.monitor.connect(address);
  peer.news = wire::ZmqInbox(peer.monitor.handle());
}

bool ZmqPeerLinks::Sockets::connected(ServerId id) const {
  const auto found = peers_.find(id);
  return found != peers_.end() && found->second.connected;
}

// While there is no connection, session frames wait for it: the peer whose CEPOCH we answer may
// have come up a moment ago. A datagram that waited would only be old.
bool ZmqPeerLinks::Sockets::transmit(ServerId to, Lane lane, std::vector<std::byte> header,
                                     Slice records) {
  ZABMQ_CHECK(records.size() <= options_.records_bytes_max);
  const auto found = peers_.find(to);
  if (found == peers_.end()) return false;
  Peer& peer = found->second;
  if (!peer.connected && lane != Lane::session) return false;
  const bool waiting = !peer.outbox.empty();
  if (!peer.outbox.push({lane, std::move(header), std::move(records)})) return false;
  // Behind others that wait, it waits for the turn of receive().
  if (!waiting) flush(peer);
  return true;
}

void ZmqPeerLinks::Sockets::drop_queued(ServerId to) {
  const auto found = peers_.find(to);
  if (found != peers_.end()) found->second.outbox.drop_session();
}

void ZmqPeerLinks::Sockets::flush(Peer& peer) {
  while (!peer.outbox.empty() && send_front(peer)) peer.outbox.pop();
}

bool ZmqPeerLinks::Sockets::send_front(Peer& peer) {
  const Outbox::Entry& entry = *peer.outbox.front();
  const bool has_records = !entry.records.empty();
  zmq::message_t header(entry.header.data(), entry.header.size());
  if (!send_part(peer.dealer, header, has_records)) {
    // A send looks only now and then at what the I/O thread has told the socket; asking for events
    // does so at once. Without that, a full queue would stay full for a millisecond.
    const auto events = peer.dealer.get(zmq::sockopt::events);
    if ((events & ZMQ_POLLOUT) == 0) return false;
    if (!send_part(peer.dealer, header, has_records)) return false;
  }
  if (!has_records) return true;
  // Fails only when the connection went between the two parts; then ZeroMQ has taken back the
  // first.
  zmq::message_t body = to_message(entry.records);
  return send_part(peer.dealer, body, false);
}

// A DEALER is waited for while it is behind: send_front has asked it, so its descriptor tells when
// there is room.
void ZmqPeerLinks::Sockets::poll_items(std::vector<pollfd>& items) const {
  items.push_back(inbox_.poll_item());
  for (const auto& [id, peer] : peers_) items.push_back(peer.news.poll_item());
  for (const auto& [id, peer] : peers_) {
    if (!peer.outbox.empty()) items.push_back({peer.dealer.get(zmq::sockopt::fd), POLLIN, 0});
  }
}

void ZmqPeerLinks::Sockets::polled(std::span<const pollfd> items) {
  inbox_.polled(items[0]);
  std::size_t at = 0;
  for (auto& [id, peer] : peers_) peer.news.polled(items[++at]);
}

bool ZmqPeerLinks::Sockets::has_input() {
  bool any = inbox_.has_input();
  for (auto& [id, peer] : peers_) any |= peer.news.has_input();
  return any;
}

std::size_t ZmqPeerLinks::Sockets::receive(std::size_t frames_max, Listener& listener) {
  for (auto& [id, peer] : peers_) read_news(id, peer, listener);
  std::size_t frames = 0;
  while (frames < frames_max && inbox_.may_have() && receive_frame(listener)) ++frames;
  for (auto& [id, peer] : peers_) flush(peer);
  return frames;
}

void ZmqPeerLinks::Sockets::read_news(ServerId id, Peer& peer, Listener& listener) {
  zmq::message_t part;
  while (peer.news.may_have() && peer.news.receive(part.handle())) {
    std::uint16_t event = 0;
    if (part.size() >= sizeof event) std::memcpy(&event, part.data(), sizeof event);
    while (part.more() && peer.news.receive(part.handle())) continue;  // the address
    peer.connected = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    if (peer.connected) continue;
    // Whatever the socket had taken may be lost, and what follows must not follow a hole.
    peer.outbox.clear();
    links_.disconnected(id, listener);
  }
}

// Parts beyond ours: ZeroMQ has the whole message already, so this ends.
void ZmqPeerLinks::Sockets::drop_rest(bool more) {
  while (more) {
    zmq::message_t surplus;
    more = inbox_.receive(surplus.handle()) && surplus.more();
  }
}

// One message: the connection's name, the header part and, with PROPOSE, the records.
bool ZmqPeerLinks::Sockets::receive_frame(Listener& listener) {
  zmq::message_t name;
  if (!inbox_.receive(name.handle())) return false;
  const std::uint32_t connection = connection_of(name);
  const auto known = speakers_.find(connection);
  const std::optional<Life> claimed =
      known == speakers_.end() ? std::nullopt : std::optional(known->second);
  zmq::message_t header;
  zmq::message_t records;
  bool readable = name.more() && inbox_.receive(header.handle());
  if (readable && header.more()) {
    readable = inbox_.receive(records.handle()) && !records.empty() && !records.more();
  }
  drop_rest(records.more());
  if (!readable) {
    links_.unreadable(claimed, listener);
    return true;
  }
  const Bytes bytes(header.data<std::byte>(), header.size());
  const auto speaker = links_.receive(bytes, to_slice(std::move(records)), claimed, listener);
  if (speaker && connection != 0) remember(connection, *speaker);
  return true;
}

// Whose connection it is, should it say something unreadable next. Connections that are gone are
// not told of, so at the bound all are forgotten, and named again by their next frame.
void ZmqPeerLinks::Sockets::remember(std::uint32_t connection, Life speaker) {
  if (speakers_.size() >= speakers_max) speakers_.clear();
  speakers_.insert_or_assign(connection, speaker);
}

// --- the public face ---

Result<std::unique_ptr<ZmqPeerLinks>> ZmqPeerLinks::open(zmq::context_t& context,
                                                         const ZmqPeerOptions& options) {
  const auto refuse = [](const std::string& endpoint, const std::string& why) {
    return Error(Code::refused, Outcome::no, "peer endpoint " + endpoint + ": " + why);
  };
  if (!is_tcp(options.bind)) return refuse(options.bind, "not a tcp:// endpoint");
  for (const auto& [id, endpoint] : options.peers) {
    if (!is_tcp(endpoint)) return refuse(endpoint, "not a tcp:// endpoint");
  }
  std::string at = options.bind;
  try {
    auto sockets = std::make_unique<Sockets>(context, options);
    sockets->bind(options.bind);
    sockets->connect(at);
    return std::unique_ptr<ZmqPeerLinks>(new ZmqPeerLinks(std::move(sockets)));
  } catch (const zmq::error_t& error) {
    return refuse(at, error.what());
  }
}

ZmqPeerLinks::ZmqPeerLinks(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}
ZmqPeerLinks::~ZmqPeerLinks() = default;

void ZmqPeerLinks::set_cluster(const Uuid& cluster) {
  sockets_->links().set_cluster(cluster);
}
void ZmqPeerLinks::open_session(ServerId leader) {
  sockets_->links().open_session(leader);
}
void ZmqPeerLinks::close_session(ServerId peer) {
  sockets_->links().close_session(peer);
}
bool ZmqPeerLinks::send(ServerId to, const zab::Message& message) {
  return sockets_->links().send(to, message);
}
bool ZmqPeerLinks::send_records(ServerId to, const zab::Message& message, Slice records) {
  return sockets_->links().send_records(to, message, std::move(records));
}
void ZmqPeerLinks::poll_items(std::vector<pollfd>& items) const {
  sockets_->poll_items(items);
}
void ZmqPeerLinks::polled(std::span<const pollfd> items) {
  sockets_->polled(items);
}
bool ZmqPeerLinks::has_input() {
  return sockets_->has_input();
}
std::size_t ZmqPeerLinks::receive(std::size_t frames_max, Listener& listener) {
  return sockets_->receive(frames_max, listener);
}
void ZmqPeerLinks::tick(std::uint64_t now_ms, Listener& listener) {
  sockets_->links().tick(now_ms, sockets_->deaf_ms(), listener);
}
const std::string& ZmqPeerLinks::endpoint() const {
  return sockets_->endpoint();
}
bool ZmqPeerLinks::connected(ServerId peer) const {
  return sockets_->connected(peer);
}
bool ZmqPeerLinks::has_session(ServerId peer) const {
  return sockets_->links().has_session(peer);
}
const PeerCounters& ZmqPeerLinks::counters() const {
  return sockets_->links().counters();
}

}  // namespace zabmq::net
