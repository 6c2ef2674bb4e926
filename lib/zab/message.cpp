// Message: the paper's names.
#include "zab/message.hpp"

namespace zabmq::zab {
namespace {

struct Name {
  const char* operator()(const Vote&) const { return "VOTE"; }
  const char* operator()(const StandingMessage&) const { return "STANDING"; }
  const char* operator()(const CEpoch&) const { return "CEPOCH"; }
  const char* operator()(const AckEpoch&) const { return "ACK-E"; }
  const char* operator()(const Progress&) const { return "PROGRESS"; }
  const char* operator()(const AckLeader&) const { return "ACK-LD"; }
  const char* operator()(const Ack&) const { return "ACK"; }
  const char* operator()(const Pong&) const { return "PONG"; }
  const char* operator()(const NewEpoch&) const { return "NEWEPOCH"; }
  const char* operator()(const Diff&) const { return "DIFF"; }
  const char* operator()(const Trunc&) const { return "TRUNC"; }
  const char* operator()(const Snap&) const { return "SNAP"; }
  const char* operator()(const Propose&) const { return "PROPOSE"; }
  const char* operator()(const NewLeader&) const { return "NEWLEADER"; }
  const char* operator()(const UpToDate&) const { return "UPTODATE"; }
  const char* operator()(const Commit&) const { return "COMMIT"; }
  const char* operator()(const Ping&) const { return "PING"; }
  const char* operator()(const EndQuestion&) const { return "END-QUESTION"; }
  const char* operator()(const EndAnswer&) const { return "END-ANSWER"; }
  const char* operator()(const Admitted&) const { return "ADMITTED"; }
  const char* operator()(const StateTaken&) const { return "STATE-TAKEN"; }
  const char* operator()(const Forward&) const { return "FORWARD"; }
  const char* operator()(const ForwardAnswer&) const { return "FORWARD-ANSWER"; }
};

}  // namespace

const char* name_of(const Message& message) {
  return std::visit(Name{}, message);
}

}  // namespace zabmq::zab
