// Delivery: a cursor over the log up to what the core lets us deliver. Each record goes into the
// server state and to whoever waits for it, exactly once and in order.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "replica/server_state.hpp"
#include "storage/history_log.hpp"
#include "zabmq/record.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

class Delivery {
 public:
  // After the state has taken it.
  using OnRecord = std::function<void(const RecordHeader&, Bytes body)>;

  Delivery(storage::HistoryLog& log, ServerState& state, std::size_t read_bytes_max,
           OnRecord on_record)
      : log_(log),
        state_(state),
        read_bytes_max_(read_bytes_max),
        on_record_(std::move(on_record)),
        up_to_(state.delivered()) {}

  void advance_to(Zxid up_to);
  // The state was replaced by that of a SNAP; what is being read is of the old history.
  void start_anew();
  // Delivers at most one read's worth; the next one goes on. True: there is more to do now.
  bool step();

 private:
  void take(const storage::ReadResult& result);

  storage::HistoryLog& log_;
  ServerState& state_;
  std::size_t read_bytes_max_;
  OnRecord on_record_;
  Zxid up_to_;
  bool reading_ = false;
  std::uint64_t histories_ = 0;  // that began: a read of an older one counts for nothing
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // completions may outlive us
};

}  // namespace zabmq::replica
