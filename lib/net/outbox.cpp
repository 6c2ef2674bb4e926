// Outbox: two queues and a sum.
#include "net/outbox.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::net {
namespace {

constexpr std::size_t frame_overhead = 128;  // of the entry and its allocation

std::size_t size_of(const Outbox::Entry& entry) {
  return entry.header.size() + entry.records.size() + frame_overhead;
}

}  // namespace

bool Outbox::push(Entry entry) {
  if (entry.lane == Lane::session) {
    const std::size_t size = size_of(entry);
    if (!session_.empty() && bytes_ + size > bytes_max_) return false;
    bytes_ += size;
    session_.push_back(std::move(entry));
    return true;
  }
  const auto same_lane = [&](const Entry& other) { return other.lane == entry.lane; };
  const auto older = std::find_if(ahead_.begin(), ahead_.end(), same_lane);
  if (older != ahead_.end()) ahead_.erase(older);
  ahead_.push_back(std::move(entry));  // behind the others: datagram numbers stay in order
  return true;
}

const Outbox::Entry* Outbox::front() const {
  if (!ahead_.empty()) return &ahead_.front();
  return session_.empty() ? nullptr : &session_.front();
}

void Outbox::pop() {
  ZABMQ_CHECK(!empty());
  if (!ahead_.empty()) return ahead_.pop_front();
  bytes_ -= size_of(session_.front());
  session_.pop_front();
}

void Outbox::drop_session() {
  session_.clear();
  bytes_ = 0;
}

void Outbox::clear() {
  ahead_.clear();
  drop_session();
}

}  // namespace zabmq::net
