// CursorRemoval: a program that removes a durable cursor: it asks one server after the other until
// one says that it is done.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/client_network.hpp"
#include "sim/random.hpp"
#include "sim/timeline.hpp"

namespace zabmq::sim {

class CursorRemoval final : public ClientEnd {
 public:
  // `asked`: so often, but for the times when it was refused. Of all but one of these no answer has
  // come, and they may still do what they ask.
  using Done = std::function<void(std::uint64_t asked)>;

  CursorRemoval(ClientNetwork& network, Timeline& timeline, Random random, std::size_t servers)
      : network_(network), timeline_(timeline), random_(random), servers_(servers) {}
  ~CursorRemoval() override { network_.close(connection_); }
  CursorRemoval(const CursorRemoval&) = delete;
  CursorRemoval& operator=(const CursorRemoval&) = delete;

  void remove(std::string name, Done done);

 private:
  void ask();
  void ask_again();
  void on_connected(std::uint64_t) override {}
  void on_lost(std::uint64_t connection, const std::string& why) override;
  void on_frame(std::uint64_t connection, const wire::ServerMessage& message, Slice body) override;

  ClientNetwork& network_;
  Timeline& timeline_;
  Random random_;
  const std::size_t servers_;
  std::string name_;
  Done done_;
  std::uint64_t asked_ = 0;
  std::uint64_t refused_ = 0;   // those that were answered: not done
  std::uint64_t question_ = 0;  // numbers those of all removals
  std::uint64_t connection_ = 0;
};

}  // namespace zabmq::sim
