// Disk: a server's log and identity record, as far as crashes can tell them apart: what is durable,
// what a running write may or may not have put there, and what only memory knows.
//
// Freed and installed histories keep their whole past for the checkers: what the core must not see
// of it lies at or below floor().
//
// It has two devices, the log writer and the identity record, each with at most one operation under
// way; the test decides when one ends.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "zab/harness/record.hpp"
#include "zab/ready.hpp"
#include "zabmq/types.hpp"

namespace zabmq::zab::test {

// What a power loss leaves of the operations that were under way.
struct CrashChoice {
  std::size_t records_kept = 0;  // of the running write, from its front
  bool identity_kept = false;    // the new identity record had reached the disk
  bool rewind_kept = false;      // the cut had
};

class Disk {
 public:
  struct Durable {
    Zxid up_to;
  };
  struct Rewound {
    bool matched = false;
  };
  struct Drained {
    Zxid durable_end;
  };
  using Completion = std::variant<Durable, Rewound, Drained>;

  // Everything in `records` is durable; `delivered` is what the newest mark says.
  Disk(Identity identity, Floor floor, std::vector<Record> records, Zxid delivered);

  // --- the log: what is logged, durable or not ---
  Floor floor() const;
  const std::vector<Record>& records() const { return records_; }
  // What a crash would leave, but for the operations that are under way.
  const std::vector<Record>& crash_records() const { return aside_ ? aside_->records : records_; }
  std::size_t crash_count() const { return aside_ ? aside_->durable_count : durable_count_; }
  Zxid last() const { return zxid_at(records_.size()); }
  Digest last_digest() const;
  Zxid durable_end() const { return zxid_at(durable_count_); }
  std::size_t durable_count() const { return durable_count_; }
  bool is_durable(Zxid z) const { return contains(z) && z <= durable_end(); }
  bool contains(Zxid z) const { return count_up_to(z).has_value(); }
  std::optional<Digest> digest_at(Zxid z) const;
  std::vector<Record> range(Zxid after, Zxid up_to) const;
  std::optional<std::size_t> count_up_to(
      Zxid z) const;  // records at or below z; nullopt: no such z
  bool continues(const std::vector<Record>& more) const;
  std::uint64_t version() const { return version_; }  // raised whenever `records` changes

  void append(const std::vector<Record>& more);
  void rewind(const Rewind& rewind);
  void drain();
  void free_up_to(Zxid z);
  // Behind `past`, all of which lies at or below the floor.
  void install(const Install& install, std::vector<Record> past);
  void adopt(Zxid state);
  void set_delivered(Zxid z) { delivered_ = z; }
  Zxid marked() const { return marked_; }  // what a restart will take as delivered
  bool replacing() const { return aside_.has_value(); }
  bool log_busy() const { return writing_ || rewind_ || draining_ || installing_; }
  bool rewinding() const { return rewind_ || installing_; }
  Completion complete_log();  // precondition: log_busy()

  // --- the identity record ---
  const Identity& identity() const { return identity_; }  // durable
  void store(const Identity& identity);
  bool storing() const { return storing_.has_value(); }
  const std::optional<Identity>& being_stored() const { return storing_; }
  void complete_store();  // precondition: storing()

  void crash(const CrashChoice& choice);
  std::size_t records_being_written() const { return writing_ ? *writing_ - durable_count_ : 0; }

 private:
  Zxid zxid_at(std::size_t count) const;
  void write_next();
  void cut(Zxid last_kept);
  void take_back();

  struct Aside {  // of an installation whose identity record is not durable
    std::vector<Record> records;
    std::size_t durable_count = 0;
    Floor floor;
    std::size_t freed = 0;
    Zxid marked;
  };

  Identity identity_;
  std::optional<Identity> storing_;

  Floor floor_;
  std::vector<Record> records_;
  std::size_t durable_count_;
  std::size_t freed_ = 0;  // records at or below the floor
  std::optional<Aside> aside_;
  bool installing_ = false;  // the first segment of it is being made
  bool adopted_ = false;
  std::optional<std::size_t> writing_;  // the running write makes this many records durable
  std::optional<Rewind> rewind_;
  bool draining_ = false;
  Zxid delivered_;  // goes into the next mark
  Zxid mark_being_written_;
  Zxid marked_;
  std::uint64_t version_ = 0;
};

}  // namespace zabmq::zab::test
