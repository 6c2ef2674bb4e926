// ServerLink: states and times of a connection.
#include "server_link.hpp"

#include <utility>

namespace zabmq::cluster {

std::vector<wire::ServerMessage> ServerLink::turn(const wire::Hello& hello, std::uint64_t now_ms) {
  std::vector<wire::ServerMessage> arrived;
  while (auto frame = connection_.receive()) {
    heard_ms_ = now_ms;
    arrived.push_back(std::move(frame->message));
  }
  if (state_ != State::none && connection_.take_event() == client::Connection::Event::lost)
    drop(now_ms);
  if (state_ == State::greeting && now_ms > since_ms_ + welcome_patience_ms) drop(now_ms);
  if (state_ == State::open && now_ms > heard_ms_ + silence_max_ms) drop(now_ms);

  const bool waits = state_ == State::none || state_ == State::paused;
  if (waits && now_ms >= next_ms_) {
    if (state_ == State::none) {
      connection_.perform(client::Connect{endpoint_});
      ++number_;
    }
    state_ = State::greeting;
    since_ms_ = heard_ms_ = now_ms;
    send(hello);
  }
  if (state_ == State::open && now_ms >= pinged_ms_ + ping_ms) {
    pinged_ms_ = now_ms;
    send(wire::ClientPing{});
  }
  connection_.flush();
  return arrived;
}

void ServerLink::greet_again(std::uint64_t now_ms) {
  if (state_ == State::none) return;
  state_ = State::paused;
  next_ms_ = now_ms + pause_ms;
}

void ServerLink::drop(std::uint64_t now_ms) {
  connection_.perform(client::Disconnect{});
  state_ = State::none;
  next_ms_ = now_ms + pause_ms;
}

void ServerLink::send(wire::ClientMessage message, client::SharedBody body) {
  connection_.perform(client::SendFrame{std::move(message), std::move(body)});
}

}  // namespace zabmq::cluster
