// Disk: a server's log and identity record, as far as power losses can tell their parts apart.
// Which of the unsynced records a crash leaves, and when an operation ends, is the explorer's
// choice.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "zab/history.hpp"
#include "zab/ready.hpp"
#include "zabmq/types.hpp"

namespace zabmq::sim::exhaustive {

// A transaction: its zxid, the chain digest of everything before it, and of everything with it.
struct Record {
  Zxid zxid;
  Digest previous = Digest::none;
  Digest digest = Digest::none;
  std::optional<zab::Admit> admit;  // what it says, when it is one
  friend bool operator==(const Record&, const Record&) = default;
};

// Two leaders never propose the same value: the digest tells who proposed it.
Record make_record(Zxid zxid, Digest previous, ServerId proposer,
                   const std::optional<zab::Admit>& admit = {});

struct Disk {
  zab::Identity identity;                // durable
  std::optional<zab::Identity> storing;  // its next one, on the way
  std::vector<Record> log;               // durable records, then those given to the log
  std::size_t durable = 0;               // number of them
  std::optional<zab::Rewind> rewind;     // a cut on the way
  bool draining = false;

  Zxid zxid_at(std::size_t count) const { return count == 0 ? Zxid{} : log[count - 1].zxid; }
  Zxid last() const { return zxid_at(log.size()); }
  Zxid durable_end() const { return zxid_at(durable); }
  std::size_t unsynced() const { return log.size() - durable; }
  Digest last_digest() const { return log.empty() ? Digest::none : log.back().digest; }

  std::optional<std::size_t> count_up_to(Zxid z) const;  // nullopt: no such transaction
  bool contains(Zxid z) const { return count_up_to(z).has_value(); }
  bool is_durable(Zxid z) const { return contains(z) && z <= durable_end(); }
  std::optional<Digest> digest_at(Zxid z) const;
  bool continues(const std::vector<Record>& more) const;
  zab::History history() const;

  bool finish_rewind();             // true: the digests matched, what was behind is cut
  void keep(std::size_t unsynced);  // so many unsynced records become durable, the rest is gone
};

std::vector<zab::Run> runs_of(const std::vector<Record>& records);

}  // namespace zabmq::sim::exhaustive
