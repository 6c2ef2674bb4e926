// PeerCounters: what happened on the links between servers; the composition root reads it.
#pragma once

#include <cstdint>

namespace zabmq::net {

struct PeerCounters {
  std::uint64_t frames_sent = 0;      // handed to the transport
  std::uint64_t bytes_sent = 0;       // headers and records
  std::uint64_t frames_received = 0;  // delivered to the listener
  std::uint64_t bytes_received = 0;
  std::uint64_t datagrams_unsent = 0;  // there was no connection

  // Received and dropped, by reason.
  std::uint64_t malformed = 0;       // checksum, layout, number of parts
  std::uint64_t unknown_sender = 0;  // no configured peer, or our own id
  std::uint64_t other_receiver = 0;  // not for this server id
  std::uint64_t other_cluster = 0;
  std::uint64_t stale_life = 0;       // of a process that the peer's newer one has replaced
  std::uint64_t other_life = 0;       // of another process, while the session's is still there
  std::uint64_t stale_datagram = 0;   // a newer one was delivered before
  std::uint64_t unknown_session = 0;  // answered RESET
  std::uint64_t stale_session = 0;    // a CEPOCH older than the session that replaced it

  std::uint64_t reconnected = 0;  // connections made anew to peers that did not hear us

  std::uint64_t duplicate_ids = 0;  // two processes with one server id were heard in turns

  // Sessions, and why they ended.
  std::uint64_t sessions_opened = 0;
  std::uint64_t ended_by_us = 0;           // close_session, or a newer open_session
  std::uint64_t ended_by_peer = 0;         // RESET
  std::uint64_t ended_by_replacement = 0;  // the peer opened a new one
  std::uint64_t ended_by_gap = 0;
  std::uint64_t ended_by_duplicate = 0;
  std::uint64_t ended_by_corruption = 0;
  std::uint64_t ended_by_other_life = 0;
  std::uint64_t ended_by_direction = 0;  // a message that only the other side may say
  std::uint64_t ended_by_disconnect = 0;
  std::uint64_t ended_by_full_queue = 0;
};

}  // namespace zabmq::net
