// CoreServer: inputs, and Ready from top to bottom.
#include "core_server.hpp"

#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::fuzz {

using zab::test::Disk;
using zab::test::Record;

namespace {

constexpr Uuid founding_cluster{{std::byte{0xf1}}};
constexpr Uuid founding_history{{std::byte{0xf2}}};

}  // namespace

CoreServer::CoreServer(ServerId self, const zab::Config& config, Disk disk)
    : self_(self), config_(config), disk_(std::move(disk)), durable_(disk_.identity()) {}

// What a crash leaves is one server's life, so a start never finds a contradiction.
void CoreServer::start() {
  ZABMQ_CHECK(!up());
  acked_.clear();
  told_commit_ = {};
  claims_to_count_.clear();
  claims_synchronized_.clear();
  established_ = false;
  new_leader_at_.reset();
  acked_leader_ = false;
  delivered_admits_.clear();
  admitted_in_.clear();
  committed_ = delivered_ = disk_.marked();
  core_.emplace(self_, config_, zab::Options{}, disk_.identity(),
                zab::test::history_of(disk_.floor(), disk_.records()), disk_.marked(),
                zab::FreshIds{founding_cluster, founding_history,
                              Uuid{{std::byte{0xd4}, std::byte{++lives_}}}});
  perform_ready();
  ZABMQ_CHECK(up());
  tick(0, false);
}

void CoreServer::receive(ServerId from, const zab::Message& message) {
  if (!up()) return;
  const bool of_leader = core_->role() == Role::following && core_->leader() == from;
  if (of_leader && std::holds_alternative<zab::NewLeader>(message)) new_leader_at_ = disk_.last();
  note_claims(from, message);
  core_->receive(from, message);
  perform_ready();
}

// What a peer says of itself, and what a leader says is committed.
void CoreServer::note_claims(ServerId from, const zab::Message& message) {
  Zxid& acked = acked_[from];
  if (const auto* ack = std::get_if<zab::Ack>(&message)) acked = std::max(acked, ack->durable);
  if (std::holds_alternative<zab::AckLeader>(message)) {
    claims_synchronized_.insert(from);
    const auto* leading = std::get_if<zab::Leading>(&core_->role_state());
    const auto at = leading ? leading->learners.find(from) : decltype(leading->learners.end()){};
    if (leading && at != leading->learners.end()) acked = std::max(acked, at->second.target);
  }
  if (const auto* m = std::get_if<zab::CEpoch>(&message)) {
    claims_to_count_.erase(from);
    claims_synchronized_.erase(from);
    if (m->standing == zab::Standing::voter) claims_to_count_.insert(from);
  }
  if (std::holds_alternative<zab::Admitted>(message)) claims_to_count_.insert(from);
  if (const auto* m = std::get_if<zab::Commit>(&message))
    told_commit_ = std::max(told_commit_, m->commit);
  if (const auto* m = std::get_if<zab::Ping>(&message))
    told_commit_ = std::max(told_commit_, m->commit);
  if (const auto* m = std::get_if<zab::UpToDate>(&message))
    told_commit_ = std::max(told_commit_, m->commit);
}

void CoreServer::receive_records(ServerId from, const std::vector<Record>& records, Zxid commit) {
  if (!up()) return;
  const bool of_leader = core_->role() == Role::following && core_->leader() == from;
  // As lib/replica: frames that do not continue the log never reach the core.
  if (!of_leader || !disk_.continues(records)) return session_lost(from);
  told_commit_ = std::max(told_commit_, commit);
  incoming_records_ = true;
  core_->receive(from, zab::Propose{zab::test::runs_of(records), commit});
  perform_ready(records);
  incoming_records_ = false;
}

void CoreServer::tick(std::uint64_t ms, bool disk_stuck) {
  if (!up()) return;
  now_ms_ += ms;
  core_->tick(now_ms_, disk_stuck);
  perform_ready();
}

void CoreServer::propose(std::size_t count) {
  if (!up()) return;
  for (std::size_t i = 0; i < count; ++i) {
    const bool may = core_->leading_in_broadcast();
    const std::optional<Zxid> zxid = core_->propose();
    ZABMQ_CHECK(zxid.has_value() == may);
    if (!zxid) break;
    ZABMQ_CHECK(follows(*zxid, disk_.last()));
    ZABMQ_CHECK(zxid->epoch == disk_.identity().accepted);
    disk_.append({zab::test::make_record(*zxid, "v", disk_.last_digest())});
  }
  perform_ready();
}

void CoreServer::ask_quorum() {
  if (!up()) return;
  core_->ask_quorum();
  perform_ready();
}

void CoreServer::session_lost(ServerId peer) {
  if (!up()) return;
  core_->session_lost(peer);
  perform_ready();
}

void CoreServer::complete_log() {
  if (!up() || !disk_.log_busy()) return;
  const Disk::Completion completion = disk_.complete_log();
  if (const auto* done = std::get_if<Disk::Durable>(&completion)) {
    core_->durable(done->up_to);
  } else if (const auto* cut = std::get_if<Disk::Rewound>(&completion)) {
    core_->rewound(cut->matched);
  } else {
    core_->drained(std::get<Disk::Drained>(completion).durable_end);
  }
  perform_ready();
}

void CoreServer::complete_store() {
  if (!up() || !disk_.storing()) return;
  disk_.complete_store();
  core_->stored();
  perform_ready();
}

void CoreServer::crash(const zab::test::CrashChoice& choice) {
  if (!up()) return;
  core_.reset();
  disk_.crash(choice);
  check_identity();
}

void CoreServer::perform_ready(const std::vector<Record>& records) {
  zab::Ready ready = core_->take_ready();
  leaving_ = ready.drain;
  ZABMQ_CHECK(ready.append + ready.rewind.has_value() <= 1);
  ZABMQ_CHECK(!(ready.rewind && ready.drain));
  if (ready.append) {
    ZABMQ_CHECK(incoming_records_);
    disk_.append(records);
  }
  if (ready.rewind) {
    ZABMQ_CHECK(ready.rewind->to >= delivered_);  // what was delivered is never cut
    ZABMQ_CHECK(disk_.contains(ready.rewind->to));
    disk_.rewind(*ready.rewind);
  }
  if (ready.install) disk_.install(*ready.install, {});
  if (ready.adopt) {
    disk_.adopt(core_->last_delivered());
    delivered_ = core_->last_delivered();
  }
  if (ready.drain) {
    new_leader_at_.reset();
    acked_leader_ = false;
    disk_.drain();
  }
  if (ready.store) {
    check_store(*ready.store);
    disk_.store(*ready.store);
  }
  ZABMQ_CHECK(ready.outputs.size() <= 16 * config_.voters().size());
  for (const zab::Output& output : ready.outputs) {
    std::visit([this](const auto& o) { perform(o); }, output);
  }
  if (ready.deliver_up_to) deliver(*ready.deliver_up_to);
  if (ready.fatal) return stop(*ready.fatal);
  ZABMQ_CHECK(core_->take_ready().empty());
  check_state();
  follow_up(ready.admit);
}

// As the harness of tests/zab: admits that the leader wants are proposed, those that were delivered
// are told, each as an input of its own.
void CoreServer::follow_up(const std::vector<zab::Admit>& wanted) {
  std::vector<Record> group;
  for (const zab::Admit& admit : wanted) {
    const std::optional<Zxid> zxid = core_->propose();
    if (!zxid) break;
    const Digest previous = group.empty() ? disk_.last_digest() : group.back().digest;
    group.push_back(zab::test::make_record(*zxid, admit, previous));
  }
  if (!group.empty()) disk_.append(group);
  const std::vector<Record> delivered = std::exchange(delivered_admits_, {});
  for (const Record& record : delivered) {
    const zab::Admit own{self_, core_->identity().incarnation};
    if (*record.admit == own) admitted_in_.insert(record.zxid.epoch);
    core_->delivered_admit(record.zxid, *record.admit);
  }
  if (!group.empty() || !delivered.empty()) perform_ready({});
}

void CoreServer::perform(const zab::OpenSession& output) {
  ZABMQ_CHECK(output.leader != self_ && config_.is_voter(output.leader));
  new_leader_at_.reset();
  acked_leader_ = false;
}

void CoreServer::perform(const zab::CloseSession& output) {
  ZABMQ_CHECK(output.peer != self_);
}

void CoreServer::perform(const zab::Send& output) {
  ZABMQ_CHECK(output.to != self_);
  check_sent(output.to, output.message);
}

void CoreServer::perform(const zab::Stream& output) {
  ZABMQ_CHECK(output.after < output.up_to);
  if (leaving_) return;
  ZABMQ_CHECK(core_->role() == Role::leading);
  ZABMQ_CHECK(disk_.contains(output.after) && disk_.contains(output.up_to));
}

void CoreServer::deliver(Zxid up_to) {
  ZABMQ_CHECK(up_to > delivered_);
  ZABMQ_CHECK(up_to <= core_->last_committed());
  ZABMQ_CHECK(disk_.is_durable(up_to));
  for (const Record& record : disk_.range(delivered_, up_to)) {
    if (record.admit) delivered_admits_.push_back(record);
  }
  delivered_ = up_to;
  disk_.set_delivered(up_to);
}

// The only two reasons that peers can give. A core that has stopped says and does nothing any more.
void CoreServer::stop(const std::string& why) {
  ZABMQ_CHECK(why.find("wants this server to cut its history") != std::string::npos ||
              why.find("the epochs are exhausted") != std::string::npos);
  core_->tick(now_ms_ + 5000);
  core_->session_lost(core_->leader());
  ZABMQ_CHECK(!core_->propose());
  ZABMQ_CHECK(core_->take_ready().empty());
  crash({});
}

}  // namespace zabmq::fuzz
