// Fakes: a log in memory whose completions the test decides, links that record what is sent, and
// what is needed to make records and batches.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/peer_links.hpp"
#include "replica/environment.hpp"
#include "storage/history_log.hpp"
#include "wire/batch.hpp"
#include "wire/client_frame.hpp"
#include "zab/message.hpp"
#include "zabmq/check.hpp"
#include "zabmq/record.hpp"

namespace zabmq::testing {

using replica::ConnectionId;

// --- bytes ---

Slice slice_of(std::vector<std::byte> bytes);
Slice make_body(const std::vector<std::string>& payloads, std::string_view topic = "t");
std::vector<std::string> payloads_of(Bytes records);  // of all batches, in order
Uuid make_uuid(unsigned seed);

// A record of one batch, or of another kind, that continues `last`; `last` moves to it.
Slice make_record(storage::LastRecord& last, Zxid zxid, const Slice& body, std::uint32_t count,
                  const Uuid& publisher = {}, Sequence first_sequence = 1);
RecordHeader header_of(const Slice& record);

// --- the log ---

// Everything appended and flushed becomes durable when the test says so; what survives a crash is
// what is durable. Hot unless `cold` is set; then reads wait for complete_reads().
class FakeLog final : public storage::HistoryLog {
 public:
  void set_listener(Listener* listener) { listener_ = listener; }

  // Ends what is under way: writes, then a rewind, then a drain. False: there was nothing.
  bool complete();
  bool complete_reads();
  void crash();  // forgets what is not durable and everything that waits
  zab::History history() const;
  void for_each_record(const std::function<void(const RecordHeader&, Bytes body)>& visit) const;
  std::size_t records() const { return records_.size(); }
  std::size_t cold_reads_waiting() const { return reads_.size(); }

  bool cold = false;
  bool full = false;                        // no_space()
  bool last_space = false;                  // and most of the reserve is used
  bool reads_fail = false;                  // cold reads come back empty
  storage::LastRecord kept_from;            // what is not above it cannot be read
  std::vector<storage::SegmentSpan> spans;  // segments()
  std::vector<storage::Snapshot> snapshots;
  std::optional<Zxid> held;  // hold_behind()
  std::uint64_t write_age_ms = 0;
  Zxid delivered;  // as last set
  std::size_t appends = 0;
  std::size_t flushes = 0;

  storage::LastRecord last() const override;
  Zxid durable() const override { return durable_; }
  storage::LastRecord floor() const override { return kept_from; }
  bool continues(Bytes records) const override;
  void append(Slice records) override;
  void flush() override;
  bool idle() const override { return written_ == records_.size() && is_idle(); }
  std::size_t unwritten_bytes() const override;
  std::uint64_t oldest_write_age_ms(std::uint64_t) const override { return write_age_ms; }
  storage::Space space() const override {
    if (last_space) return storage::Space::last;
    return full ? storage::Space::low : storage::Space::enough;
  }
  void rewind(Zxid to, Digest digest) override;
  void drain() override;
  // Frees at once what is not retained and not held.
  void save_snapshot(storage::Snapshot snapshot) override;
  bool saving_snapshot() const override { return false; }
  storage::SnapshotReport snapshot_report() const override;
  void hold_behind(std::optional<Zxid> zxid) override { held = zxid; }
  std::vector<storage::SegmentSpan> segments() const override { return spans; }
  // Histories that replace each other are for the real log.
  void install(storage::Installation) override { ZABMQ_CHECK(false); }
  void adopt_installed() override { ZABMQ_CHECK(false); }
  void remove_replaced() override {}
  bool installing() const override { return false; }
  // The history's end when this record was its last.
  storage::LastRecord end_at(Zxid zxid) const;
  void set_delivered(Zxid zxid) override;
  void tick(std::uint64_t) override {}
  std::optional<storage::ReadResult> read_hot(storage::ReadFrom from, Zxid up_to,
                                              std::size_t max_bytes) override;
  void read_cold(storage::ReadFrom from, Zxid up_to, std::size_t max_bytes, ReadDone done) override;
  void digest_at(Zxid zxid, DigestDone done) override;

 private:
  struct Stored {
    RecordHeader header;
    Slice record;
  };
  bool is_idle() const { return flushed_ == written_ && !rewind_ && !draining_; }
  storage::ReadResult read(storage::ReadFrom from, Zxid up_to, std::size_t max_bytes) const;
  void cut_behind(std::size_t count);

  Listener* listener_ = nullptr;
  std::vector<Stored> records_;
  std::size_t flushed_ = 0;  // records given to the disk
  std::size_t written_ = 0;  // durable ones
  Zxid durable_;
  std::optional<std::pair<Zxid, Digest>> rewind_;
  bool draining_ = false;
  std::deque<std::function<void()>> reads_;
};

// --- links ---

struct FakePeers final : net::PeerLinks {
  struct Sent {
    ServerId to;
    zab::Message message;
    Slice records;
  };
  std::vector<Sent> sent;
  std::vector<ServerId> opened, closed;
  bool fails = false;

  void set_cluster(const Uuid&) override {}
  void open_session(ServerId leader) override { opened.push_back(leader); }
  void close_session(ServerId peer) override { closed.push_back(peer); }
  bool send(ServerId to, const zab::Message& message) override;
  bool send_records(ServerId to, const zab::Message& message, Slice records) override;

  std::vector<Sent> take() { return std::exchange(sent, {}); }
};

struct FakeClients final : replica::ClientLinks {
  struct Frame {
    ConnectionId to;
    wire::ServerMessage message;
    Slice body;
  };
  std::vector<Frame> frames;
  std::map<ConnectionId, Sent> state;  // not ok
  std::size_t refusals = 0;            // sends that found a link that is not ok

  std::vector<ConnectionId> released;

  Sent send(ConnectionId to, const wire::ServerMessage& message, Slice body) override;
  void release(ConnectionId connection) override { released.push_back(connection); }

  std::vector<Frame> take() { return std::exchange(frames, {}); }
  // The frames of one kind to one connection, taken out.
  template <class T>
  std::vector<T> take(ConnectionId to) {
    std::vector<T> found;
    std::erase_if(frames, [&](const Frame& frame) {
      const T* message = std::get_if<T>(&frame.message);
      if (frame.to != to || !message) return false;
      found.push_back(*message);
      return true;
    });
    return found;
  }
};

}  // namespace zabmq::testing
