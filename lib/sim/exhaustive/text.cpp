// Text: what a reader of a trace needs of each message, not every field.
#include "sim/exhaustive/text.hpp"

#include <variant>

namespace zabmq::sim::exhaustive {
namespace {

std::string standing_text(zab::Standing standing) {
  switch (standing) {
    case zab::Standing::empty:
      return "empty";
    case zab::Standing::founding:
      return "founding";
    case zab::Standing::voter:
      return "voter";
    case zab::Standing::wiped:
      return "wiped";
  }
  return "another standing";
}

struct Fields {
  template <class Other>
  std::string operator()(const Other&) const {
    return "";
  }
  std::string operator()(const zab::Vote& m) const {
    return " for " + to_string(m.leader) + " current=" + to_string(m.current_epoch) +
           " last=" + to_string(m.last) + " round=" + std::to_string(m.round) + " " +
           std::string(to_string(m.role)) + "/" + std::string(to_string(m.phase));
  }
  std::string operator()(const zab::StandingMessage& m) const {
    return " " + standing_text(m.standing) + (m.answer ? " (answer)" : "");
  }
  std::string operator()(const zab::CEpoch& m) const {
    return " accepted=" + to_string(m.accepted);
  }
  std::string operator()(const zab::AckEpoch& m) const {
    return " " + to_string(m.epoch) + (m.promised ? "" : " (promised before)") +
           " current=" + to_string(m.current) + " history=[" + text(m.history) + "]";
  }
  std::string operator()(const zab::Progress& m) const { return " " + to_string(m.durable); }
  std::string operator()(const zab::AckLeader& m) const { return " " + to_string(m.epoch); }
  std::string operator()(const zab::Ack& m) const { return " " + to_string(m.durable); }
  std::string operator()(const zab::Pong& m) const { return " " + std::to_string(m.number); }
  std::string operator()(const zab::NewEpoch& m) const { return " " + to_string(m.epoch); }
  std::string operator()(const zab::Diff& m) const { return " " + to_string(m.common); }
  std::string operator()(const zab::Trunc& m) const { return " " + to_string(m.common); }
  std::string operator()(const zab::Propose& m) const {
    std::string runs;
    for (const zab::Run& run : m.runs) {
      runs += " " + to_string(Zxid{run.epoch, run.first});
      if (run.last > run.first) runs += ".." + to_string(Zxid{run.epoch, run.last});
    }
    return runs + " commit=" + to_string(m.commit);
  }
  std::string operator()(const zab::NewLeader& m) const { return " " + to_string(m.epoch); }
  std::string operator()(const zab::UpToDate& m) const {
    return " " + to_string(m.epoch) + " commit=" + to_string(m.commit);
  }
  std::string operator()(const zab::Commit& m) const { return " " + to_string(m.commit); }
  std::string operator()(const zab::Ping& m) const {
    return " " + std::to_string(m.number) + " commit=" + to_string(m.commit);
  }
};

}  // namespace

std::string text(const zab::History& history) {
  std::string out;
  for (const zab::EpochEnd& end : history.ends) {
    if (!out.empty()) out += " ";
    out += to_string(end.epoch) + ":" + std::to_string(end.last);
  }
  return out;
}

std::string text(const zab::Message& message) {
  return name_of(message) + std::visit(Fields{}, message);
}

std::string text(const zab::Event& event) {
  const std::string peer = event.peer == ServerId::none ? "" : to_string(event.peer) + ": ";
  return "(" + peer + event.text + ")";
}

std::string text(const zab::Identity& identity) {
  return standing_text(identity.standing) + " accepted=" + to_string(identity.accepted) +
         " current=" + to_string(identity.current);
}

}  // namespace zabmq::sim::exhaustive
