// Verdict: whether what the subscribers received keeps the promises, computed from nothing but the
// deliveries, the acknowledgements and the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "zabmq/publisher.hpp"
#include "zabmq/types.hpp"

namespace zabmq::demo {

struct Delivery {
  Offset offset = 0;
  Zxid zxid;
  std::string payload;
  friend bool operator==(const Delivery&, const Delivery&) = default;
};

// What one subscriber received, in the order in which it did.
using Deliveries = std::vector<Delivery>;

using Lines = std::vector<std::string_view>;

struct Verdict {
  bool same_order = true;        // every subscriber has the same offsets, zxids and payloads
  bool equal_to_file = true;     // every subscriber has the lines, all of them, in their order
  std::uint64_t gaps = 0;        // offsets that a subscriber skipped
  std::uint64_t duplicates = 0;  // deliveries that did not move a subscriber on
  std::uint64_t acknowledged = 0;
  std::uint64_t lost = 0;  // acknowledged, and not where the receipt says at some subscriber

  bool holds() const {
    return same_order && equal_to_file && gaps == 0 && duplicates == 0 && lost == 0;
  }
};

// `receipts[i]` acknowledges line i; receipts may be fewer than lines. The deliveries should begin
// behind offset `after`.
Verdict judge(const std::vector<Deliveries>& subscribers, const Lines& lines,
              const std::vector<Receipt>& receipts, Offset after);

// SHA-256 in hex of what a subscriber received, newlines between payloads as in the file: equal to
// `sha256sum FILE` when all is well.
std::string sha256_of(const Deliveries& deliveries, bool final_newline);
std::string sha256_of(std::string_view bytes);

// The lines of a file: any bytes, without their '\n'; bytes behind the last '\n' are a line.
Lines split_lines(std::string_view file);

}  // namespace zabmq::demo
