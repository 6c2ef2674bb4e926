// Delivery: a cursor over the log up to what the core lets us deliver. Each record goes into the
// publishers' table and to whoever waits for it, exactly once and in order.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "replica/publisher_table.hpp"
#include "storage/history_log.hpp"
#include "zabmq/record.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

class Delivery {
 public:
  // After the table has taken it.
  using OnRecord = std::function<void(const RecordHeader&, Bytes body)>;

  Delivery(storage::HistoryLog& log, PublisherTable& table, std::size_t read_bytes_max,
           OnRecord on_record)
      : log_(log),
        table_(table),
        read_bytes_max_(read_bytes_max),
        on_record_(std::move(on_record)),
        up_to_(table.delivered()) {}

  void advance_to(Zxid up_to);
  // Delivers at most one read's worth; the next one goes on. True: there is more to do now.
  bool step();

 private:
  void take(const storage::ReadResult& result);

  storage::HistoryLog& log_;
  PublisherTable& table_;
  std::size_t read_bytes_max_;
  OnRecord on_record_;
  Zxid up_to_;
  bool reading_ = false;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // completions may outlive us
};

}  // namespace zabmq::replica
