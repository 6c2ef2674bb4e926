// Life: one process of a simulated server, from its start to its end, with its witnesses.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/server.hpp"

namespace zabmq::sim {

// Tells the invariants what enters and leaves the log, then lets the log do it.
class WitnessedLog final : public storage::HistoryLog {
 public:
  WitnessedLog(storage::SegmentedLog& log, ServerId server, Invariants& invariants)
      : log_(log), server_(server), invariants_(invariants) {}
  void know(const zab::Core& core) { core_ = &core; }

  storage::LastRecord last() const override { return log_.last(); }
  Zxid durable() const override { return log_.durable(); }
  storage::LastRecord floor() const override { return log_.floor(); }
  bool continues(Bytes records) const override { return log_.continues(records); }
  void append(Slice records) override {
    invariants_.appended(server_, *core_, records.bytes(), log_.no_space());
    log_.append(std::move(records));
  }
  void flush() override { log_.flush(); }
  bool idle() const override { return log_.idle(); }
  std::size_t unwritten_bytes() const override { return log_.unwritten_bytes(); }
  std::uint64_t oldest_write_age_ms(std::uint64_t now_ms) const override {
    return log_.oldest_write_age_ms(now_ms);
  }
  storage::Space space() const override { return log_.space(); }
  void rewind(Zxid to, Digest digest) override {
    invariants_.cutting(server_, to);
    rewinding_to_ = to;
    log_.rewind(to, digest);
  }
  Zxid rewinding_to() const { return rewinding_to_; }
  void drain() override { log_.drain(); }
  void save_snapshot(storage::Snapshot snapshot) override {
    invariants_.saving_snapshot(server_, snapshot.at.zxid);
    log_.save_snapshot(std::move(snapshot));
  }
  bool saving_snapshot() const override { return log_.saving_snapshot(); }
  storage::SnapshotReport snapshot_report() const override { return log_.snapshot_report(); }
  void hold_behind(std::optional<Zxid> zxid) override { log_.hold_behind(zxid); }
  std::vector<storage::SegmentSpan> segments() const override { return log_.segments(); }
  void install(storage::Installation installation) override {
    invariants_.installing(server_, installation.floor.digest, installation.snapshot.at.zxid);
    log_.install(std::move(installation));
  }
  void adopt_installed() override {
    log_.adopt_installed();
    invariants_.adopted(server_);
  }
  void remove_replaced() override { log_.remove_replaced(); }
  bool installing() const override { return log_.installing(); }
  void set_delivered(Zxid zxid) override {
    invariants_.delivered(server_, zxid);
    log_.set_delivered(zxid);
  }
  void tick(std::uint64_t now_ms) override {
    log_.tick(now_ms);
    invariants_.freed(server_, log_.floor().zxid);
  }
  std::optional<storage::ReadResult> read_hot(storage::ReadFrom from, Zxid up_to,
                                              std::size_t max_bytes) override {
    return log_.read_hot(from, up_to, max_bytes);
  }
  void read_cold(storage::ReadFrom from, Zxid up_to, std::size_t max_bytes,
                 ReadDone done) override {
    log_.read_cold(from, up_to, max_bytes, std::move(done));
  }
  void digest_at(Zxid zxid, DigestDone done) override { log_.digest_at(zxid, std::move(done)); }

 private:
  storage::SegmentedLog& log_;
  const ServerId server_;
  Invariants& invariants_;
  const zab::Core* core_ = nullptr;
  Zxid rewinding_to_;
};

// Numbers the frames of each session on their backs, and compares what arrives (I11).
class SessionWitness {
 public:
  explicit SessionWitness(std::uint64_t life) : life_(life) {}

  void opened(ServerId peer) { peers_[peer] = {.mine = ++sessions_}; }
  void ended(ServerId peer) { peers_[peer] = {}; }
  SessionTag stamp(ServerId to);
  // Nothing, or what is wrong. `opens`: it is a CEPOCH.
  std::optional<std::string> check(const PeerFrame& frame, bool opens);

 private:
  struct Peer {
    std::uint64_t mine = 0;  // number of our session with it; 0: none
    std::uint64_t sent = 0;
    std::uint64_t life = 0;    // of the peer
    std::uint64_t theirs = 0;  // number of its session with us
    std::uint64_t received = 0;
  };
  const std::uint64_t life_;
  std::uint64_t sessions_ = 0;
  std::map<ServerId, Peer> peers_;
};

class Server::Life final : public storage::HistoryLog::Listener,
                           public net::PeerLinks::Listener,
                           public net::PeerLinks,
                           public net::Transport,
                           public replica::ClientLinks,
                           public replica::IdentityStore,
                           public replica::EventSink,
                           public storage::RecoveryVisitor {
 public:
  Life(Server& server, std::uint64_t number);

  // False: the directory refuses; why() says it.
  bool open();
  void create_replica_when_ready();
  bool recovering() const { return !replica_; }
  const std::string& why() const { return why_; }

  std::uint64_t number() const { return number_; }
  replica::Replica* replica() { return replica_.get(); }
  storage::SegmentedLog& log() { return *log_; }
  End end() const { return end_; }
  ServerState state() const;

  void receive(const PeerFrame& frame);
  void disconnected(ServerId peer) { links_.disconnected(peer, *this); }
  void tick(std::uint64_t now_ms, LogTime wall_us);

 private:
  // From the log, on the way to the replica.
  void on_durable(Zxid up_to) override;
  void on_rewound(bool matched) override;
  void on_install_step() override { replica_->on_install_step(); }
  void on_drained(Zxid durable_end) override;
  void on_failed(const storage::Failure& failure) override;
  // From the sessions.
  void on_peer_message(ServerId from, zab::Message message, Slice records) override;
  void on_session_lost(ServerId peer) override;
  // From the replica, on the way to the sessions.
  void set_cluster(const Uuid& cluster) override { links_.set_cluster(cluster); }
  void open_session(ServerId leader) override;
  void close_session(ServerId peer) override;
  bool send(ServerId to, const zab::Message& message) override;
  bool send_records(ServerId to, const zab::Message& message, Slice records) override;
  // From the sessions, on the way to the network.
  bool transmit(ServerId to, net::Lane lane, std::vector<std::byte> header, Slice records) override;
  void drop_queued(ServerId to) override;
  void reconnect(ServerId to) override;
  // From the replica to clients, identity file and people.
  Sent send(replica::ConnectionId to, const wire::ServerMessage& message, Slice body) override;
  void release(replica::ConnectionId) override {}  // the network numbers for ever
  void store(const zab::Identity& identity) override;
  void on_event(const zab::Event& event) override;
  void on_fatal(const std::string& text) override;
  // Recovery.
  bool on_snapshot(const storage::Snapshot& snapshot) override;
  void on_record(const RecordHeader& header, Bytes body) override;
  void on_delivered(Zxid zxid) override { state_of_log_.on_delivered(zxid); }

  bool load_identity();
  bool refuse(const storage::StartFailure& failure);
  void create_replica();
  void finish(End end, const std::string& why);
  std::vector<ServerId> all_servers() const;
  std::vector<ServerId> peers() const;
  storage::LogOptions log_options() const;
  void say(const std::string& text);

  Server& server_;
  const std::uint64_t number_;
  WatchedFileSystem files_;
  storage::IdentityFile identity_file_;
  zab::Identity identity_;
  replica::ServerState state_of_log_;
  std::vector<RecordHeader> recovered_;  // behind recovered_from_
  Digest recovered_from_ = Digest::none;

  std::unique_ptr<storage::SegmentedLog> log_;
  std::unique_ptr<WitnessedLog> witnessed_log_;
  net::SessionLinks links_;
  SessionWitness witness_;
  const PeerFrame* arriving_ = nullptr;
  std::unique_ptr<replica::Replica> replica_;
  End end_ = End::none;
  std::string why_;
  ServerState sync_ = ServerState::sync_diff;  // how the session with the leader began
};

}  // namespace zabmq::sim
