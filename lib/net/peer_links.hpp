// PeerLinks: what lib/replica needs of the links between servers. A session keeps Zab's channel
// promise (integrity, prefix, single iteration) or ends; its end is told once.
#pragma once

#include <vector>

#include "zabmq/slice.hpp"
#include "zab/message.hpp"
#include "zabmq/types.hpp"

namespace zabmq::net {

class PeerLinks {
 public:
  struct Listener {
    virtual ~Listener() = default;
    // `records` is empty but for PROPOSE: the frame's records, back to back, not yet verified.
    virtual void on_peer_message(ServerId from, zab::Message message, Slice records) = 0;
    virtual void on_session_lost(ServerId peer) = 0;
  };

  virtual ~PeerLinks() = default;

  virtual void set_cluster(const Uuid& cluster) = 0;   // frames of other clusters are dropped and counted
  virtual void open_session(ServerId leader) = 0;      // learner: the next session message opens it
  virtual void close_session(ServerId peer) = 0;       // drops what is queued both ways; not reported back
  // Datagram or session frame, by the message's kind. Never blocks. False: the frame could not be
  // sent; for a session message the session is over (not reported again).
  virtual bool send(ServerId to, const zab::Message& message) = 0;
  // PROPOSE with its records (one contiguous slice), shared with the socket, not copied.
  virtual bool send_records(ServerId to, const zab::Propose& message, Slice records) = 0;
};

}  // namespace zabmq::net
