// Text: messages and events as a trace prints them.
#pragma once

#include <string>

#include "zab/history.hpp"
#include "zab/message.hpp"
#include "zab/ready.hpp"

namespace zabmq::sim::exhaustive {

std::string text(const zab::History& history);
std::string text(const zab::Message& message);
std::string text(const zab::Event& event);
std::string text(const zab::Identity& identity);

}  // namespace zabmq::sim::exhaustive
