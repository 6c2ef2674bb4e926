// Notice: the protocol's events in a person's words.
#include "node/notice.hpp"

namespace zabmq::node {
namespace {

struct Wording {
  LogLevel level;
  std::string_view cause;  // also how the line begins
};

Wording wording_of(zab::Event::Kind kind) {
  using Kind = zab::Event::Kind;
  switch (kind) {
    case Kind::role_changed:
      return {LogLevel::info, "role"};
    case Kind::phase_changed:
      return {LogLevel::info, "phase"};
    case Kind::dropped:
      return {LogLevel::debug, "dropped"};
    case Kind::protocol_error:
      return {LogLevel::error, "protocol error"};
    case Kind::refused_peer:
      return {LogLevel::warning, "refused server"};
    case Kind::learner_lost:
      return {LogLevel::warning, "session lost"};
    case Kind::renounced:
      return {LogLevel::warning, "renounced"};
    case Kind::founded:
      return {LogLevel::info, "founded"};
    case Kind::adopted:
      return {LogLevel::info, "adopted"};
    case Kind::wiped:
      return {LogLevel::warning, "wiped"};
    case Kind::admitted:
      return {LogLevel::info, "admitted"};
    case Kind::alarm:
      return {LogLevel::error, "ALARM"};
  }
  return {LogLevel::error, "unknown event"};
}

}  // namespace

Notice notice_of(const zab::Event& event) {
  const Wording wording = wording_of(event.kind);
  std::string text(wording.cause);
  if (event.peer != ServerId::none) text += " (server " + to_string(event.peer) + ")";
  text += ": " + event.text;
  return {wording.level, wording.cause, std::move(text)};
}

}  // namespace zabmq::node
