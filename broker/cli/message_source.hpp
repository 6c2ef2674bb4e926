// MessageSource: where `zabmq pub` takes its messages from.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cli/commands.hpp"

namespace zabmq::cli {

// A message of standard input never grows beyond this while it is read; what the cluster takes is
// less and is the library's to say.
inline constexpr std::size_t input_message_max = 64u << 20;

struct InputFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Valid until the next call of next().
using Payload = std::string_view;

class MessageSource {
 public:
  virtual ~MessageSource() = default;
  // The next message; nullopt at the end, or when `stop_fd` became readable while waiting.
  // Throws InputFailed, and Error(too_large) above input_message_max.
  virtual std::optional<Payload> next() = 0;
};

// What the arguments ask for. `input` is read only when they do.
std::unique_ptr<MessageSource> make_source(const PubArguments& arguments, int input, int stop_fd);

}  // namespace zabmq::cli
