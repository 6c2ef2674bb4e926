// Notice: what a running server tells people. The library makes them, whoever runs it shows them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "node/options.hpp"
#include "zab/ready.hpp"

namespace zabmq::node {

struct Notice {
  LogLevel level = LogLevel::info;
  std::string_view cause;  // a literal: what repeats of it can be limited by
  std::string text;
};

using Observer = std::function<void(const Notice&)>;  // called on the server's thread

Notice notice_of(const zab::Event& event);

}  // namespace zabmq::node
