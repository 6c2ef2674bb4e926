// CursorRemoval: questions and answers.
#include "sim/cursor_removal.hpp"

#include <utility>
#include <variant>

namespace zabmq::sim {
namespace {

constexpr Micros patience = 3 * second;
constexpr Micros pause = 100 * millisecond;

}  // namespace

void CursorRemoval::remove(std::string name, Done done) {
  name_ = std::move(name);
  done_ = std::move(done);
  asked_ = refused_ = 0;
  ask();
}

void CursorRemoval::ask() {
  ++asked_;
  network_.close(std::exchange(connection_, 0));
  const auto server = static_cast<std::uint32_t>(random_.between(1, servers_));
  connection_ = network_.connect(*this, ClientNetwork::endpoint_of(ServerId{server}));
  network_.send(connection_, wire::Hello{}, nullptr);
  network_.send(connection_, wire::MoveCursor{++question_, name_, 0, true}, nullptr);
  timeline_.after(patience, [this, question = question_] {
    if (question == question_ && done_) ask();
  });
}

void CursorRemoval::ask_again() {
  network_.close(std::exchange(connection_, 0));
  timeline_.after(pause, [this, question = question_] {
    if (question == question_ && done_) ask();
  });
}

void CursorRemoval::on_lost(std::uint64_t connection, const std::string&) {
  if (connection == connection_ && done_) ask_again();
}

void CursorRemoval::on_frame(std::uint64_t connection, const wire::ServerMessage& message, Slice) {
  if (connection != connection_ || !done_) return;
  if (const auto* moved = std::get_if<wire::CursorMoved>(&message)) {
    if (moved->request != question_) return;
    network_.close(std::exchange(connection_, 0));
    return std::exchange(done_, nullptr)(asked_ - refused_);
  }
  if (const auto* refused = std::get_if<wire::Refused>(&message)) {
    if (refused->outcome == Outcome::no) ++refused_;
    ask_again();
  }
  if (std::holds_alternative<wire::Reset>(message)) ask_again();
}

}  // namespace zabmq::sim
