// SessionLinks: PeerLinks over any transport that moves frames to a server, sometimes. It joins the
// session rules and the codec; sockets (or a simulated network) are the Transport's.
//
// Events reach the listener only from receive(), unreadable() and disconnected(), in the order in
// which they happened; the listener may call any PeerLinks function from within.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "net/peer_codec.hpp"
#include "net/peer_counters.hpp"
#include "net/peer_links.hpp"
#include "net/session.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::net {

// What a frame is worth when it has to wait for the transport.
enum class Lane : std::uint8_t {
  session,  // in order, all of them
  vote,     // the newest of each sort is enough
  standing,
  reset,
  probe,
  probe_answer
};

// A peer is deaf when it has not shown for so many peer time-outs that it hears us.
inline constexpr std::uint64_t peer_timeouts_until_deaf = 4;

class Transport {
 public:
  virtual ~Transport() = default;
  // Never blocks. False: not taken; on the session lane the session is then over.
  virtual bool transmit(ServerId to, Lane lane, std::vector<std::byte> header, Slice records) = 0;
  // Drop what waits on the session lane.
  virtual void drop_queued(ServerId to) = 0;
  // Give up the connection to the peer, in whatever state it is, with what waits for it, and make a
  // new one.
  virtual void reconnect(ServerId to) = 0;
};

// The process a connection claims to come from, for frames that do not even say that.
struct Life {
  ServerId server = ServerId::none;
  std::uint64_t incarnation = 0;
};

class SessionLinks final : public PeerLinks {
 public:
  SessionLinks(ServerId self, const std::vector<ServerId>& peers, const Nonces& nonces,
               Transport& transport)
      : sessions_(self, peers, nonces), transport_(transport) {
    for (ServerId peer : peers) ears_.try_emplace(peer);
  }

  void set_cluster(const Uuid& cluster) override { sessions_.set_cluster(cluster); }
  void open_session(ServerId leader) override;
  void close_session(ServerId peer) override;
  bool send(ServerId to, const zab::Message& message) override;
  bool send_records(ServerId to, const zab::Message& message, Slice records) override;

  // One received frame, as it came. `claimed`: who spoke last on its connection, if anybody. Who
  // speaks now, when it can be read.
  std::optional<Life> receive(Bytes header, Slice records, std::optional<Life> claimed,
                              Listener& listener);
  // A frame that had not even the form of one.
  void unreadable(std::optional<Life> claimed, Listener& listener);
  // Frames to the peer may have been lost.
  void disconnected(ServerId peer, Listener& listener);
  // Asks, now and then, whether each peer hears us, and has the connection made anew to one that
  // has not shown it for `deaf_ms`. A connection can be up for ever and carry nothing: one damaged
  // length in its byte stream swallows all that follows; and ZeroMQ never connects again after what
  // it takes for an error of the peer's program (found by the nemesis, seed 1478350711).
  void tick(std::uint64_t now_ms, std::uint64_t deaf_ms, Listener& listener);

  std::uint64_t incarnation() const { return sessions_.incarnation(); }
  bool has_session(ServerId peer) const { return sessions_.has_session(peer); }
  PeerCounters& counters() { return sessions_.counters(); }
  const PeerCounters& counters() const { return sessions_.counters(); }

 private:
  bool send_frame(ServerId to, const zab::Message& message, Slice records);
  void end_session(ServerId peer, Reason reason);
  Verdict judge(const Frame& frame, Listener& listener);
  void send_control(const ControlFrame& frame);
  void lost(ServerId peer, Listener& listener);

  struct Ear {
    std::uint64_t heard_ms =
        0;  // when the peer last showed that it hears us, or was connected anew
    std::uint64_t asked_ms = 0;
  };

  Sessions sessions_;
  Transport& transport_;
  std::map<ServerId, Ear> ears_;
  std::uint64_t now_ms_ = 0;
};

}  // namespace zabmq::net
