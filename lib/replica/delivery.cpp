// Delivery: reading on, hot or cold.
#include "replica/delivery.hpp"

#include "replica/records.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {

using storage::After;
using storage::ReadResult;

void Delivery::advance_to(Zxid up_to) {
  ZABMQ_CHECK(up_to >= up_to_);
  up_to_ = up_to;
}

void Delivery::start_anew() {
  ++histories_;
  reading_ = false;
  up_to_ = state_.delivered();
  log_.set_delivered(up_to_);
}

bool Delivery::step() {
  if (reading_ || log_.installing() || state_.delivered() >= up_to_) return false;
  const After from{state_.delivered()};
  if (const auto hot = log_.read_hot(from, up_to_, read_bytes_max_)) {
    take(*hot);
    return !hot->slices.empty() && state_.delivered() < up_to_;
  }
  reading_ = true;
  log_.read_cold(
      from, up_to_, read_bytes_max_,
      [this, alive = std::weak_ptr<char>(alive_), history = histories_](const ReadResult& result) {
        if (alive.expired() || history != histories_) return;
        reading_ = false;
        take(result);
      });
  return false;
}

void Delivery::take(const ReadResult& result) {
  if (result.slices.empty() || log_.installing()) return;
  for (const Slice& slice : result.slices) {
    RecordWalk walk(slice.bytes());
    while (const auto header = walk.next()) {
      ZABMQ_CHECK(header->zxid <= up_to_);
      state_.deliver(*header, walk.body());
      on_record_(*header, walk.body());
    }
  }
  const Zxid durable = log_.durable();
  log_.set_delivered(ZABMQ_MUTANT(delivered_before_durable) ? std::min(durable, state_.delivered())
                                                            : state_.delivered());
}

}  // namespace zabmq::replica
