// Askers: who waits for the answer to a publisher's request. It came on a connection of this
// server, or a learner has forwarded it from one of its own.
#pragma once

#include <cstdint>
#include <optional>

#include "replica/environment.hpp"
#include "wire/client_frame.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

struct Asker {
  ConnectionId connection = ConnectionId::none;
  ServerId learner = ServerId::none;  // who forwarded it; none: the connection asks
  std::uint64_t number = 0;           // the learner's of its request; the connection's of its HELLO
  friend bool operator==(const Asker&, const Asker&) = default;
};

inline bool is_forwarded(const Asker& asker) {
  return asker.learner != ServerId::none;
}

class Askers {
 public:
  virtual ~Askers() = default;
  // False: it is gone, and what it asked for need not be done.
  virtual bool waits(const Asker& asker) const = 0;
  virtual void answer(const Asker& asker, wire::ServerMessage message) = 0;
  // The cursor stands there without a transaction, as far as this leader knows.
  virtual void answer_unmoved(const Asker& asker, wire::CursorMoved place) = 0;
  // An opening is over: delivered with this instance, or given up without one.
  virtual void opened(const Asker& asker, const Uuid& publisher, std::optional<Instance>) = 0;
};

}  // namespace zabmq::replica
