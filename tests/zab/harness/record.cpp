// Record: digests and tables computed the plain way, independent of the code under test.
#include "zab/harness/record.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace zabmq::zab::test {
namespace {

// FNV-1a: enough to tell two histories apart in a test.
class Hash {
 public:
  void add(std::uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8)
      add_byte(static_cast<std::uint8_t>(number >> shift));
  }
  void add(std::string_view text) {
    for (char c : text) add_byte(static_cast<std::uint8_t>(c));
  }
  Digest digest() const { return Digest{state_}; }

 private:
  void add_byte(std::uint8_t byte) { state_ = (state_ ^ byte) * 0x100'0000'01b3; }
  std::uint64_t state_ = 0xcbf2'9ce4'8422'2325;
};

}  // namespace

Record make_record(Zxid zxid, std::string value, Digest previous) {
  Hash hash;
  hash.add(static_cast<std::uint64_t>(previous));
  hash.add(static_cast<std::uint64_t>(zxid.epoch));
  hash.add(zxid.counter);
  hash.add(value);
  return {zxid, std::move(value), previous, hash.digest(), {}};
}

Record make_record(Zxid zxid, const Admit& admit, Digest previous) {
  Record record = make_record(
      zxid, "admit " + to_string(admit.server) + " " + to_string(admit.incarnation), previous);
  record.admit = admit;
  return record;
}

std::vector<Run> runs_of(const std::vector<Record>& records) {
  std::vector<Run> runs;
  for (const Record& record : records) {
    const bool same_run = !runs.empty() && runs.back().epoch == record.zxid.epoch;
    if (same_run) {
      runs.back().last = record.zxid.counter;
    } else {
      runs.push_back({record.zxid.epoch, record.zxid.counter, record.zxid.counter});
    }
  }
  return runs;
}

History history_of(const Floor& floor, const std::vector<Record>& records) {
  History history;
  history.floor = floor;
  std::vector<Record> kept;
  std::copy_if(records.begin(), records.end(), std::back_inserter(kept),
               [&](const Record& record) { return record.zxid > floor.zxid; });
  for (const Run& run : runs_of(kept)) history.ends.push_back({run.epoch, run.last});
  return history;
}

}  // namespace zabmq::zab::test
