// ClientLink: a client's one connection in a simulated world: what its session asks for goes out,
// what comes in goes to the session; the past's frames go nowhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "client/client_output.hpp"
#include "sim/client_network.hpp"

namespace zabmq::sim {

template <class Session>
class ClientLink final : public ClientEnd {
 public:
  using AfterInput = std::function<void()>;

  ClientLink(ClientNetwork& network, Timeline& timeline, AfterInput after_input)
      : network_(network), timeline_(timeline), after_input_(std::move(after_input)) {}
  ~ClientLink() override { network_.close(connection_); }
  ClientLink(const ClientLink&) = delete;
  ClientLink& operator=(const ClientLink&) = delete;

  // Whose connection it is from now on; the old one's is closed.
  void serve(Session* session) {
    network_.close(std::exchange(connection_, 0));
    session_ = session;
  }
  void perform_outputs() {
    for (client::Output& output : session_->take_outputs()) perform(output);
  }

 private:
  void perform(client::Output& output) {
    if (const auto* frame = std::get_if<client::SendFrame>(&output)) {
      network_.send(connection_, frame->message, frame->body);
      return;
    }
    network_.close(std::exchange(connection_, 0));
    if (const auto* connect = std::get_if<client::Connect>(&output)) {
      connection_ = network_.connect(*this, connect->endpoint);
    }
  }
  std::uint64_t now_ms() const { return timeline_.now() / millisecond; }

  void on_connected(std::uint64_t connection) override {
    if (connection != connection_) return;
    session_->connected(now_ms());
    after_input_();
  }
  void on_lost(std::uint64_t connection, const std::string& why) override {
    if (connection != connection_) return;
    session_->lost(why);
    after_input_();
  }
  void on_frame(std::uint64_t connection, const wire::ServerMessage& message, Slice body) override {
    if (connection != connection_) return;
    session_->receive(message, std::move(body), now_ms());
    last_ = &message;
    after_input_();
    last_ = nullptr;
  }

 public:
  // The frame that after_input() was called for, if it was one.
  const wire::ServerMessage* last_frame() const { return last_; }

 private:
  ClientNetwork& network_;
  Timeline& timeline_;
  AfterInput after_input_;
  Session* session_ = nullptr;
  std::uint64_t connection_ = 0;
  const wire::ServerMessage* last_ = nullptr;
};

}  // namespace zabmq::sim
