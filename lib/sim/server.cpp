// Server: a process with its disk, its clock and its loop.
#include "sim/server.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "sim/server_life.hpp"
#include "storage/snapshot.hpp"
#include "zabmq/check.hpp"

namespace zabmq::sim {
namespace {

constexpr LogTime wall_at_start_us = 1'790'000'000'000'000;  // some day in 2026

Fault fault_of(MemoryDisk::Operation operation) {
  switch (operation) {
    case MemoryDisk::Operation::write:
      return Fault::write_error;
    case MemoryDisk::Operation::sync:
      return Fault::sync_error;
    case MemoryDisk::Operation::create:
      return Fault::create_error;
    case MemoryDisk::Operation::rename:
      return Fault::rename_error;
    case MemoryDisk::Operation::remove:
      return Fault::remove_error;
    case MemoryDisk::Operation::sync_directory:
      return Fault::directory_sync_error;
    case MemoryDisk::Operation::read:
      break;
  }
  return Fault::read_error;
}

}  // namespace

Server::Server(ServerId id, const Surroundings& around, Random random)
    : id_(id), around_(around), random_(random) {
  around_.invariants.watch(id_, platter_, disk_);
  clock_us_ = random_.below(1000) * second;
  disk_.when_it_fails(
      [this](MemoryDisk::Operation operation, int error) { meet_error(operation, error); });
}

Server::~Server() = default;

// --- its process ---

void Server::start() {
  ZABMQ_CHECK(!life_);
  end_ = End::none;
  end_text_.clear();
  error_met_ = read_error_met_ = false;
  life_ = std::make_unique<Life>(*this, ++lives_);
  if (!life_->open()) return after_event();
  life_->create_replica_when_ready();
  tick_chain(lives_);
  pump_disk();
  after_event();
}

void Server::end_life() {
  if (!life_) return;
  around_.clients.process_died(id_);
  around_.peers.process_died(id_, around_.parameters.servers);
  forwarded_before_ = forwarded();
  life_.reset();
  backlog_.clear();
  paused_ = false;
  step_planned_ = writer_planned_ = reader_planned_ = false;
  ++disk_generation_;
}

std::uint64_t Server::forwarded() const {
  const replica::Replica* now = replica();
  return forwarded_before_ + (now ? now->counters().forwarded : 0);
}

void Server::kill() {
  if (!life_) return;
  end_life();
  disk_.crash_process();
  around_.invariants.crashed(id_, false);
}

// Sectors survive one by one, or all, or none: each has shown bugs that the others had not.
MemoryDisk::Loss Server::lose_power(bool directory_too) {
  end_life();
  MemoryDisk::Survival survival = MemoryDisk::everything();
  const std::uint64_t sort = random_.below(directory_too ? 4 : 7) % 4;  // all: seldom alone
  if (sort == 0) survival = MemoryDisk::nothing();
  if (sort == 1) survival.sector = [this](std::size_t) { return random_.coin(); };
  if (sort == 2) {
    const std::size_t first = random_.below(disk_.dirty_sectors().size());
    survival.sector = [first](std::size_t ordinal) { return ordinal < first; };
  }
  const std::size_t changes = disk_.directory_changes();
  survival.directory_changes = directory_too ? random_.below(changes) : changes;
  const MemoryDisk::Loss loss = disk_.lose_power(survival);
  platter_.power_lost();
  around_.invariants.crashed(id_, true);
  return loss;
}

void Server::pause(Micros until) {
  if (!life_ || paused_) return;
  paused_ = true;
  around_.timeline.at(until, [this, life = lives_] {
    if (life == lives_ && life_) resume();
  });
}

// The clock comes first: a server that was paused must know it before it believes what has waited.
void Server::resume() {
  if (!paused_) return;
  paused_ = false;
  if (!life_->recovering()) life_->tick(now_ms(), wall_us());
  for (auto& action : std::exchange(backlog_, {})) {
    if (life_ && life_->end() == End::none) action(*life_);
  }
  if (!life_) return;
  pump_disk();
  wake();
  after_event();
}

void Server::act(std::function<void(Life&)> action) {
  if (!life_) return;
  if (paused_) return backlog_.push_back(std::move(action));
  action(*life_);
  wake();
  pump_disk();
  after_event();
}

// Fail-stop is for what the disk did, and nothing else. (Ends of the other sort are judged where
// they come from.)
void Server::judge_end() {
  if (end_ == End::failed && !error_met_) around_.invariants.stopped(id_, end_text_);
  if (end_ != End::corrupt || read_error_met_) return;
  if (!around_.invariants.is_damaged(id_)) around_.invariants.stopped(id_, end_text_);
}

// What ended the process is found out here, when no call of it is on the stack any more.
void Server::after_event() {
  if (!life_) return;
  if (life_->end() != End::none) {
    end_ = life_->end();
    end_text_ = life_->why();
    judge_end();
    return kill();
  }
  feel_low_space();
  if (const replica::Replica* replica = life_->replica()) {
    around_.invariants.look(id_, replica->core());
    around_.invariants.bounded(id_, replica->queues(), around_.parameters.replica);
  }
}

const replica::Replica* Server::replica() const {
  return life_ ? life_->replica() : nullptr;
}

bool Server::no_space() const {
  return life_ && !life_->recovering() && life_->log().no_space();
}

std::vector<storage::SegmentSpan> Server::segments() const {
  return replica() ? life_->log().segments() : std::vector<storage::SegmentSpan>();
}

std::optional<Zxid> Server::unwanted_by_snapshots() const {
  std::optional<Zxid> unwanted;
  for (const std::string& name : disk_.names()) {
    if (!storage::parse_snapshot_name(name)) continue;
    const auto bytes = std::make_shared<std::vector<std::byte>>(disk_.content(name));
    const auto parsed = storage::parse_snapshot(Slice(bytes, Bytes{*bytes}));
    if (parsed.kind != storage::ParsedSnapshot::Kind::valid) return std::nullopt;
    const Zxid begins = parsed.snapshot.retained.zxid;
    unwanted = std::min(unwanted.value_or(begins), begins);
  }
  if (unwanted && is_none(*unwanted)) return std::nullopt;  // all is wanted, from the beginning on
  return unwanted;
}

void Server::hit(Fault fault, ServerState state) {
  around_.hits.add(fault, state);
  if (!around_.trace.words()) return;
  around_.trace.say("*** " + std::string(name_of(fault)) + " at server " + to_string(id_) + " (" +
                    std::string(name_of(state)) + ")");
}

ServerState Server::state() const {
  return life_ ? life_->state() : ServerState::down;
}

// --- its disk ---

void Server::flip_bit(const std::string& name, std::uint64_t position) {
  platter_.damaging(name, position);
  disk_.flip_bit(name, position, static_cast<unsigned>(random_.below(8)));
}

void Server::wipe() {
  ZABMQ_CHECK(!life_);
  disk_.replace({});
  platter_.forget();
  around_.invariants.wiped(id_);
}

void Server::replace_disk(MemoryDisk::State state) {
  ZABMQ_CHECK(!life_);
  disk_.replace(std::move(state));
  platter_.learn();
  around_.invariants.rolled_back(id_);
}

void Server::meet_error(MemoryDisk::Operation operation, int error) {
  error_met_ = true;
  if (operation == MemoryDisk::Operation::read) read_error_met_ = true;
  if (error != ENOSPC) return hit(fault_of(operation));
  if (std::exchange(space_limit_unfelt_, false)) hit(Fault::no_space);
}

void Server::limit_space(std::uint64_t bytes) {
  disk_.set_capacity(bytes);
  space_limit_unfelt_ = true;
}

void Server::space_returns() {
  disk_.set_capacity(MemoryDisk::roomy);
  space_limit_unfelt_ = false;
}

void Server::feel_low_space() {
  if (!space_limit_unfelt_ || !no_space()) return;
  space_limit_unfelt_ = false;
  hit(Fault::no_space);
}

void Server::disk_latency(Fault fault, Micros each, Micros until) {
  slow_fault_ = fault;
  slow_each_ = each;
  slow_until_ = until;
}

void Server::disk_recovers() {
  slow_until_ = 0;
  ++disk_generation_;
  writer_planned_ = reader_planned_ = false;
  pump_disk();
}

Micros Server::disk_delay(Micros usual) {
  if (around_.timeline.now() >= slow_until_) return random_.about(usual);
  if (slow_fault_) hit(*std::exchange(slow_fault_, std::nullopt));
  return random_.about(slow_each_);
}

// A step of each queue is under way as long as something waits in it.
void Server::pump_disk() {
  if (!life_ || paused_) return;
  const DiskParameters& disks = around_.parameters.disks;
  if (!writer_planned_ && disk_.writer_waiting()) {
    writer_planned_ = true;
    const Micros usual = random_.coin() ? disks.write : disks.sync;
    around_.timeline.after(disk_delay(usual),
                           [this, generation = disk_generation_] { disk_step(true, generation); });
  }
  if (!reader_planned_ && disk_.reader_waiting()) {
    reader_planned_ = true;
    around_.timeline.after(random_.about(disks.read),
                           [this, generation = disk_generation_] { disk_step(false, generation); });
  }
}

void Server::disk_step(bool writer, std::uint64_t generation) {
  if (generation != disk_generation_ || !life_) return;
  (writer ? writer_planned_ : reader_planned_) = false;
  if (paused_) return;  // goes on when it is resumed
  if (writer) {
    disk_.step_writer();
  } else {
    disk_.step_reader();
  }
  around_.trace.count(EventKind::disk, static_cast<std::uint64_t>(id_), disk_.steps());
  life_->create_replica_when_ready();
  wake();
  pump_disk();
  after_event();
}

// --- its clock ---

void Server::set_clock_rate(std::uint32_t per_thousand) {
  const Micros now = around_.timeline.now();
  clock_us_ += (now - rate_since_) * rate_per_thousand_ / 1000;
  rate_since_ = now;
  rate_per_thousand_ = per_thousand;
}

std::uint64_t Server::now_ms() const {
  return (clock_us_ + (around_.timeline.now() - rate_since_) * rate_per_thousand_ / 1000) / 1000;
}

LogTime Server::wall_us() const {
  return wall_at_start_us + around_.timeline.now() + static_cast<LogTime>(wall_offset_us_);
}

// --- its loop ---

// One step handles everything that has come until then, as a turn of the real loop does.
void Server::wake() {
  if (step_planned_ || !life_ || life_->recovering()) return;
  step_planned_ = true;
  around_.timeline.after(random_.about(around_.parameters.turn), [this, life = lives_] {
    if (life != lives_ || !life_) return;
    step_planned_ = false;
    turn();
  });
}

void Server::turn() {
  if (paused_ || life_->recovering()) return;
  life_->tick(now_ms(), wall_us());
  const bool more = life_->replica()->step();
  if (more) wake();
  pump_disk();
  after_event();
}

void Server::tick_chain(std::uint64_t life) {
  around_.timeline.after(tick_every, [this, life] {
    if (life != lives_ || !life_) return;
    turn();
    tick_chain(life);
  });
}

// --- from the networks ---

void Server::receive(const PeerFrame& frame) {
  if (!life_ || life_->recovering()) return;
  around_.trace.count_frame(EventKind::peer_frame, static_cast<std::uint64_t>(id_), frame.header,
                            frame.records.bytes());
  if (paused_) return backlog_.push_back([frame](Life& life) { life.receive(frame); });
  life_->receive(frame);
  wake();
  pump_disk();
  after_event();
}

void Server::disconnected(ServerId peer) {
  if (!life_ || life_->recovering()) return;
  act([peer](Life& life) { life.disconnected(peer); });
}

void Server::receive(const ClientNetwork::ToServer& frame) {
  if (!life_ || life_->recovering()) return;
  around_.trace.count_frame(EventKind::client_frame, frame.connection, frame.header,
                            frame.body.bytes());
  act([connection = replica::ConnectionId{frame.connection}, header = frame.header,
       body = frame.body](Life& life) {
    life.replica()->on_client_frame(connection, {}, header, body);
  });
}

}  // namespace zabmq::sim
