// InputDigest: what the first messages of a publisher were, topics and payloads, as one checksum.
// So that a restarted program that skips what is taken notices when it was given other input.
#pragma once

#include <string_view>

#include "zabmq/types.hpp"

namespace zabmq::client {

struct InputDigest {
  Sequence count = 0;  // 0: nothing is known
  Digest digest = Digest::none;

  void add(std::string_view topic, Bytes payload);
  void add_batch(Bytes body);  // of a valid batch
  friend bool operator==(const InputDigest&, const InputDigest&) = default;
};

}  // namespace zabmq::client
