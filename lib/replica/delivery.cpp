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

bool Delivery::step() {
  if (reading_ || table_.delivered() >= up_to_) return false;
  const After from{table_.delivered()};
  if (const auto hot = log_.read_hot(from, up_to_, read_bytes_max_)) {
    take(*hot);
    return !hot->slices.empty() && table_.delivered() < up_to_;
  }
  reading_ = true;
  log_.read_cold(from, up_to_, read_bytes_max_,
                 [this, alive = std::weak_ptr<char>(alive_)](const ReadResult& result) {
                   if (alive.expired()) return;
                   reading_ = false;
                   take(result);
                 });
  return false;
}

void Delivery::take(const ReadResult& result) {
  if (result.slices.empty()) return;
  for (const Slice& slice : result.slices) {
    RecordWalk walk(slice.bytes());
    while (const auto header = walk.next()) {
      ZABMQ_CHECK(header->zxid <= up_to_);
      table_.deliver(*header);
      on_record_(*header, walk.body());
    }
  }
  const Zxid durable = log_.durable();
  log_.set_delivered(ZABMQ_MUTANT(delivered_before_durable) ? std::min(durable, table_.delivered())
                                                            : table_.delivered());
}

}  // namespace zabmq::replica
