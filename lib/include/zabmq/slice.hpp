// Slice: a range of shared, immutable bytes. The same memory is written to the log, kept in the
// tail cache and handed to sockets; whoever holds a Slice keeps it alive.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "zabmq/types.hpp"

namespace zabmq {

class Slice {
 public:
  Slice() = default;
  // `owner` keeps `bytes` alive and unchanged; it may be freed on any thread.
  Slice(std::shared_ptr<const void> owner, Bytes bytes) : owner_(std::move(owner)), bytes_(bytes) {}

  Bytes bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  Slice sub(std::size_t offset, std::size_t count) const {
    return {owner_, bytes_.subspan(offset, count)};
  }
  const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  std::shared_ptr<const void> owner_;
  Bytes bytes_;
};

}  // namespace zabmq
