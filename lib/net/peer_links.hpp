// PeerLinks: what lib/replica needs of the links between servers. A session keeps Zab's channel
// promise (integrity, prefix, single iteration) or ends; its end is told once.
#pragma once

#include "zab/message.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::net {

class PeerLinks {
 public:
  // Called from within the loop's receive call only, never from within a call below.
  struct Listener {
    virtual ~Listener() = default;
    // `records` is empty but for PROPOSE: the frame's records, back to back, not yet verified; and
    // SNAP: a part of the encoded snapshot.
    // FORWARD: the body of its client's frame, if there was one.
    virtual void on_peer_message(ServerId from, zab::Message message, Slice records) = 0;
    virtual void on_session_lost(ServerId peer) = 0;
  };

  virtual ~PeerLinks() = default;

  // Frames of other clusters are dropped and counted.
  virtual void set_cluster(const Uuid& cluster) = 0;
  // Learner: a fresh session, replacing any other with this peer; its first message is CEPOCH.
  virtual void open_session(ServerId leader) = 0;
  // Drops what is queued both ways; not reported back.
  virtual void close_session(ServerId peer) = 0;
  // Datagram or session frame, by the message's kind. Never blocks. False: the frame could not be
  // sent; for a session message the session is over (not reported again).
  virtual bool send(ServerId to, const zab::Message& message) = 0;
  // PROPOSE with its records, SNAP with its part, or FORWARD with its body (one contiguous slice,
  // never empty), shared
  // with the socket, not copied.
  virtual bool send_records(ServerId to, const zab::Message& message, Slice records) = 0;
};

}  // namespace zabmq::net
