// History events: from plain data to calls of the checker.
#include "sim/history_event.hpp"

namespace zabmq::sim {

HistoryChecker::Drain drain_of(const HistoryEvent& event) {
  return {event.server, event.subscription, event.offset, event.first};
}

void tell(HistoryChecker& checker, const HistoryEvent& e) {
  using Kind = HistoryEvent::Kind;
  switch (e.kind) {
    case Kind::invoke:
      return checker.invoke(e.time, e.publisher, e.sequence, e.topic, e.payload_hash);
    case Kind::acknowledge:
      return checker.acknowledge(e.time, e.publisher, e.sequence, e.offset, e.zxid);
    case Kind::confirm:
      return checker.confirm(e.time, e.publisher, e.sequence);
    case Kind::refuse:
      return checker.refuse(e.time, e.publisher, e.sequence);
    case Kind::subscribe:
      return checker.subscribe(e.time, e.subscription, e.offset, e.topics);
    case Kind::deliver:
      return checker.deliver(e.time, e.subscription, e.offset, e.zxid, e.publisher, e.sequence,
                             e.topic, e.payload_hash);
    case Kind::mark:
      return checker.mark(e.time, e.subscription, e.offset);
    case Kind::end:
      return checker.end(e.time, e.subscription);
    case Kind::drain:
      return;
  }
}

HistoryChecker checked(std::span<const HistoryEvent> history) {
  HistoryChecker checker;
  std::vector<HistoryChecker::Drain> drains;
  for (const HistoryEvent& event : history) {
    tell(checker, event);
    if (event.kind == HistoryEvent::Kind::drain) drains.push_back(drain_of(event));
  }
  checker.finish(drains);
  return checker;
}

}  // namespace zabmq::sim
