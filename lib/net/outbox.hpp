// Outbox: the frames that wait for one peer's socket. It is bounded in bytes, which a socket's own
// queue is not, and can be emptied when a session ends, which a socket's cannot.
//
// Datagrams and RESETs go ahead of session frames and only the newest of each lane is kept: a VOTE
// must not wait behind megabytes of records, and an old one is worth nothing.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "net/session_links.hpp"
#include "zabmq/slice.hpp"

namespace zabmq::net {

class Outbox {
 public:
  struct Entry {
    Lane lane = Lane::session;
    std::vector<std::byte> header;
    Slice records;
  };

  explicit Outbox(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // False: session frames would hold more than the bound. A single frame always fits.
  bool push(Entry entry);
  const Entry* front() const;
  void pop();
  void drop_session();
  void clear();
  bool empty() const { return ahead_.empty() && session_.empty(); }

  std::size_t bytes() const { return bytes_; }  // of session frames, with their overhead

 private:
  std::size_t bytes_max_;
  std::deque<Entry> ahead_;  // one a lane at most, oldest first
  std::deque<Entry> session_;
  std::size_t bytes_ = 0;
};

}  // namespace zabmq::net
