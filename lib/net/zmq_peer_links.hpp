// ZmqPeerLinks: PeerLinks over ZeroMQ. One bound ROUTER receives from all peers; one DEALER for
// each peer sends to it. What ZeroMQ loses (at a reconnect, silently) the session rules notice;
// what its monitor tells of a broken connection ends the session at once.
//
// One thread uses it: the one that polls. No call blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "net/peer_counters.hpp"
#include "net/peer_links.hpp"
#include "net/session.hpp"
#include "zabmq/result.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

struct pollfd;
namespace zmq {
class context_t;
}

namespace zabmq::net {

struct ZmqPeerOptions {
  ServerId self = ServerId::none;
  std::string bind;                       // "tcp://127.0.0.1:9570"
  std::map<ServerId, std::string> peers;  // all other servers, "tcp://host:port"
  Nonces nonces;  // good random numbers: they tell one process from the next

  std::size_t records_bytes_max = 4 << 20;  // of one frame; above the largest group
  std::size_t outbox_bytes_max = 64 << 20;  // for each peer; above the learner window
  int socket_frames_max = 256;              // in a socket's own queue, each way
  std::uint64_t deaf_ms = 4000;  // a peer that has not shown for so long that it hears us
};

class ZmqPeerLinks final : public PeerLinks {
 public:
  // Errors: an endpoint that is none, or cannot be bound; the text names it. `context` outlives the
  // links.
  static Result<std::unique_ptr<ZmqPeerLinks>> open(zmq::context_t& context,
                                                    const ZmqPeerOptions& options);
  ~ZmqPeerLinks() override;
  ZmqPeerLinks(const ZmqPeerLinks&) = delete;
  ZmqPeerLinks& operator=(const ZmqPeerLinks&) = delete;

  void set_cluster(const Uuid& cluster) override;
  void open_session(ServerId leader) override;
  void close_session(ServerId peer) override;
  bool send(ServerId to, const zab::Message& message) override;
  bool send_records(ServerId to, const zab::Message& message, Slice records) override;

  // Appends what poll(2) has to wait for; it changes from turn to turn.
  void poll_items(std::vector<pollfd>& items) const;
  // What poll found, of the same items in the same order.
  void polled(std::span<const pollfd> items);
  // True: do not wait, there is something that poll may not tell of.
  bool has_input();

  // Everything that is due: news of connections, then received frames, `frames_max` at most, then
  // what waited for a socket to take it. Returns the number of frames.
  std::size_t receive(std::size_t frames_max, Listener& listener);

  // Monotonic time, several times in deaf_ms: connections that carry nothing are made anew.
  void tick(std::uint64_t now_ms, Listener& listener);

  const std::string& endpoint() const;  // as bound, the port filled in
  bool connected(ServerId peer) const;  // as far as the last receive() saw
  bool has_session(ServerId peer) const;
  const PeerCounters& counters() const;

 private:
  class Sockets;
  explicit ZmqPeerLinks(std::unique_ptr<Sockets> sockets);

  std::unique_ptr<Sockets> sockets_;
};

}  // namespace zabmq::net
