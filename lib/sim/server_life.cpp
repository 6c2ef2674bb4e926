// Life: composition, and what the witnesses pass on.
#include "sim/server_life.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::sim {
namespace {

constexpr std::uint64_t voter_set_hash = 42;

std::string voters_text(std::size_t servers) {
  std::string text;
  for (std::size_t i = 1; i <= servers; ++i) text += (i > 1 ? "," : "") + std::to_string(i);
  return text;
}

zab::Identity identity_of(const storage::IdentityRecord& record) {
  zab::Identity identity;
  identity.standing = static_cast<zab::Standing>(record.standing);
  identity.cluster = record.cluster;
  identity.history = record.history;
  identity.incarnation = record.incarnation;
  identity.generation = record.generation;
  identity.accepted = record.accepted;
  identity.current = record.current;
  return identity;
}

storage::IdentityRecord record_of(const zab::Identity& identity, ServerId self,
                                  std::size_t servers) {
  return {.standing = static_cast<std::uint8_t>(identity.standing),
          .server = self,
          .accepted = identity.accepted,
          .current = identity.current,
          .generation = identity.generation,
          .cluster = identity.cluster,
          .history = identity.history,
          .incarnation = identity.incarnation,
          .voters = voters_text(servers)};
}

}  // namespace

// --- sessions ---

SessionTag SessionWitness::stamp(ServerId to) {
  Peer& peer = peers_[to];
  return {.life = life_, .session = peer.mine, .answers = peer.theirs, .number = ++peer.sent};
}

std::optional<std::string> SessionWitness::check(const PeerFrame& frame, bool opens) {
  const SessionTag& tag = frame.tag;
  Peer& peer = peers_[frame.from];
  if (opens) {
    if (tag.number != 1) return "a CEPOCH that is not the first frame of its session";
    peer = {.mine = ++sessions_, .life = tag.life, .theirs = tag.session, .received = 1};
    return std::nullopt;
  }
  if (peer.mine == 0) return "a session frame without a session";
  if (peer.life == 0) {  // the leader's first answer
    if (tag.answers != peer.mine) return "an answer to another session";
    peer.life = tag.life;
    peer.theirs = tag.session;
  }
  if (tag.life != peer.life || tag.session != peer.theirs) return "a frame of another session";
  if (tag.answers != 0 && tag.answers != peer.mine) return "an answer to another session";
  if (tag.number != peer.received + 1) {
    return "frame " + std::to_string(tag.number) + " behind frame " + std::to_string(peer.received);
  }
  ++peer.received;
  return std::nullopt;
}

// --- start ---

Server::Life::Life(Server& server, std::uint64_t number)
    : server_(server),
      number_(number),
      files_(server.disk_, server.platter_),
      identity_file_(files_),
      state_of_log_(server.around_.parameters.replica.publisher_table()),
      links_(
          server.id_, peers(), [this] { return server_.random_.next(); }, *this),
      witness_(number << 24) {}

std::vector<ServerId> Server::Life::all_servers() const {
  std::vector<ServerId> all;
  for (std::uint32_t i = 1; i <= server_.around_.parameters.servers; ++i)
    all.push_back(ServerId{i});
  return all;
}

std::vector<ServerId> Server::Life::peers() const {
  std::vector<ServerId> others = all_servers();
  std::erase(others, server_.id_);
  return others;
}

storage::LogOptions Server::Life::log_options() const {
  storage::LogOptions options = server_.around_.parameters.log;
  options.cluster = identity_.cluster;
  options.history = identity_.history;
  options.generation = identity_.generation;
  options.server = server_.id_;
  return options;
}

void Server::Life::say(const std::string& text) {
  Trace& trace = server_.around_.trace;
  if (trace.words()) trace.say("server " + to_string(server_.id_) + ": " + text);
}

bool Server::Life::refuse(const storage::StartFailure& failure) {
  end_ = failure.kind == storage::StartFailure::Kind::corrupt ? End::corrupt : End::failed;
  why_ = failure.text;
  say("refuses to start: " + why_);
  return false;
}

bool Server::Life::open() {
  ZABMQ_CHECK(files_.open_directory());  // nobody else has this disk
  if (!load_identity()) return false;
  auto log = storage::SegmentedLog::open(files_, log_options(), *this);
  if (const auto* failure = std::get_if<storage::StartFailure>(&log)) return refuse(*failure);
  log_ = std::move(std::get<std::unique_ptr<storage::SegmentedLog>>(log));
  return true;
}

bool Server::Life::load_identity() {
  const auto loaded = identity_file_.load();
  if (const auto* failure = std::get_if<storage::StartFailure>(&loaded)) {
    return refuse(*failure);
  }
  if (const auto* record = std::get_if<storage::IdentityRecord>(&loaded)) {
    identity_ = identity_of(*record);
  } else {
    identity_.incarnation = server_.random_.uuid();
  }
  return true;
}

bool Server::Life::on_snapshot(const storage::Snapshot& snapshot) {
  recovered_from_ = snapshot.at.digest;
  return state_of_log_.restore(snapshot);
}

void Server::Life::on_record(const RecordHeader& header, Bytes body) {
  recovered_.push_back(header);
  state_of_log_.on_record(header, body);
}

void Server::Life::create_replica_when_ready() {
  if (replica_ || end_ != End::none) return;
  if (const auto& failure = log_->failure()) {
    return finish(failure->corrupt ? End::corrupt : End::failed, failure->text);
  }
  if (log_->ready()) create_replica();
}

void Server::Life::create_replica() {
  const storage::Recovered& recovered = log_->recovered();
  state_of_log_.finish_recovery();
  const Surroundings& around = server_.around_;
  around.invariants.started(server_.id_, identity_,
                            {recovered.floor, recovered_from_, recovered_, recovered.delivered});
  recovered_ = {};
  zab::History history;
  history.floor = recovered.floor;
  for (const auto& [epoch, last] : recovered.ends) history.ends.push_back({epoch, last});
  if (!is_none(identity_.cluster)) links_.set_cluster(identity_.cluster);
  witnessed_log_ = std::make_unique<WitnessedLog>(*log_, server_.id_, around.invariants);
  std::vector<replica::ServerAddress> addresses;
  for (const ServerId server : all_servers()) {
    addresses.push_back({server, ClientNetwork::endpoint_of(server)});
  }
  replica_ = std::make_unique<replica::Replica>(
      server_.id_, zab::Config(all_servers(), voter_set_hash), around.parameters.replica,
      replica::Recovered{identity_, std::move(history), recovered.delivered,
                         std::move(state_of_log_)},
      zab::FreshIds{server_.random_.uuid(), server_.random_.uuid(), server_.random_.uuid()},
      std::move(addresses), replica::Environment{*witnessed_log_, *this, *this, *this, *this});
  witnessed_log_->know(replica_->core());
  log_->set_listener(this);
  say("started with " + to_string(log_->last().zxid) + ", delivered " +
      to_string(recovered.delivered));
}

void Server::Life::finish(End end, const std::string& why) {
  if (end_ != End::none) return;
  end_ = end;
  why_ = why;
  say("stops: " + why);
}

// --- running ---

void Server::Life::tick(std::uint64_t now_ms, LogTime wall_us) {
  links_.tick(
      now_ms,
      net::peer_timeouts_until_deaf * server_.around_.parameters.replica.zab.peer_timeout_ms,
      *this);
  replica_->tick(now_ms, wall_us);
}

void Server::Life::receive(const PeerFrame& frame) {
  arriving_ = &frame;
  links_.receive(frame.header, frame.records, frame.life, *this);
  arriving_ = nullptr;
}

ServerState Server::Life::state() const {
  if (!replica_) return ServerState::recovering;
  const zab::Core& core = replica_->core();
  const bool leads = core.role() == Role::leading;
  if (core.role() == Role::looking) return ServerState::looking;
  switch (core.phase()) {
    case Phase::election:
      return ServerState::looking;
    case Phase::discovery:
      return leads ? ServerState::discovery_leader : ServerState::discovery_follower;
    case Phase::synchronization:
      return leads ? ServerState::sync_leader : sync_;
    case Phase::broadcast:
      return leads ? ServerState::broadcast_leader : ServerState::broadcast_follower;
  }
  return ServerState::looking;
}

// --- from the log ---

void Server::Life::on_durable(Zxid up_to) {
  server_.around_.invariants.durable(server_.id_, up_to);
  replica_->on_durable(up_to);
}

void Server::Life::on_rewound(bool matched) {
  const bool is_cut = matched && !log_->installing();
  if (is_cut) server_.around_.invariants.cut(server_.id_, witnessed_log_->rewinding_to());
  replica_->on_rewound(matched);
}

void Server::Life::on_drained(Zxid durable_end) {
  server_.around_.invariants.drained(server_.id_, durable_end);
  replica_->on_drained(durable_end);
}

void Server::Life::on_failed(const storage::Failure& failure) {
  finish(failure.corrupt ? End::corrupt : End::failed, failure.text);
  replica_->on_failed(failure);
}

// --- from and to the sessions ---

void Server::Life::on_peer_message(ServerId from, zab::Message message, Slice records) {
  if (!zab::is_datagram(message)) {
    const bool opens = std::holds_alternative<zab::CEpoch>(message);
    if (const auto trouble = witness_.check(*arriving_, opens)) {
      server_.around_.invariants.session_frame(server_.id_, from, *trouble);
    }
  }
  Invariants& invariants = server_.around_.invariants;
  std::optional<Epoch> promised;
  if (const auto* cepoch = std::get_if<zab::CEpoch>(&message)) promised = cepoch->accepted;
  if (promised) invariants.receiving_cepoch(server_.id_, replica_->core(), *promised);
  if (std::holds_alternative<zab::Diff>(message)) sync_ = ServerState::sync_diff;
  if (std::holds_alternative<zab::Trunc>(message)) sync_ = ServerState::sync_trunc;
  if (std::holds_alternative<zab::Snap>(message)) sync_ = ServerState::sync_snap;
  if (server_.around_.trace.words()) {
    say(std::string(zab::name_of(message)) + " from " + to_string(from));
  }
  replica_->on_peer_message(from, std::move(message), std::move(records));
  if (promised) {
    invariants.received_cepoch(server_.id_, replica_->core(), *promised, server_.now_ms());
  }
}

void Server::Life::on_session_lost(ServerId peer) {
  witness_.ended(peer);
  say("session with " + to_string(peer) + " lost");
  replica_->on_session_lost(peer);
}

void Server::Life::open_session(ServerId leader) {
  witness_.opened(leader);
  links_.open_session(leader);
}

void Server::Life::close_session(ServerId peer) {
  witness_.ended(peer);
  links_.close_session(peer);
}

bool Server::Life::send(ServerId to, const zab::Message& message) {
  server_.around_.invariants.sending(server_.id_, replica_->core(), to, message);
  if (std::holds_alternative<zab::Ping>(message) || std::holds_alternative<zab::Pong>(message)) {
    server_.around_.invariants.heartbeat(server_.id_, log_->oldest_write_age_ms(server_.now_ms()),
                                         server_.around_.parameters.replica.disk_stuck_ms);
  }
  return links_.send(to, message);
}

bool Server::Life::send_records(ServerId to, const zab::Message& message, Slice records) {
  return links_.send_records(to, message, std::move(records));
}

bool Server::Life::transmit(ServerId to, net::Lane lane, std::vector<std::byte> header,
                            Slice records) {
  PeerFrame frame{.from = server_.id_,
                  .to = to,
                  .life = {server_.id_, links_.incarnation()},
                  .lane = lane,
                  .header = std::move(header),
                  .records = std::move(records),
                  .tag = {}};
  if (lane == net::Lane::session) frame.tag = witness_.stamp(to);
  return server_.around_.peers.transmit(std::move(frame));
}

void Server::Life::drop_queued(ServerId to) {
  server_.around_.peers.drop_queued(server_.id_, to);
}

void Server::Life::reconnect(ServerId to) {
  server_.around_.peers.reconnect(server_.id_, to);
}

// --- to clients, identity file and people ---

Server::Life::Sent Server::Life::send(replica::ConnectionId to, const wire::ServerMessage& message,
                                      Slice body) {
  if (const auto* receipt = std::get_if<wire::Receipt>(&message)) {
    server_.around_.invariants.receipt(server_.id_, replica_->core(), receipt->zxid);
  }
  return server_.around_.clients.send(server_.id_, to, message, std::move(body));
}

void Server::Life::store(const zab::Identity& identity) {
  server_.around_.invariants.storing(server_.id_, replica_->core(), identity);
  const auto record = record_of(identity, server_.id_, server_.around_.parameters.servers);
  identity_file_.store(record, [this, identity](const storage::IoStatus& status) {
    if (!status) return finish(End::failed, status.what);
    server_.around_.invariants.stored(server_.id_, replica_->core(), identity);
    if (!is_none(identity.cluster) && identity.cluster != identity_.cluster) {
      log_->belongs_to(identity.cluster, identity.history);
      links_.set_cluster(identity.cluster);
    }
    identity_ = identity;
    replica_->on_stored();
  });
}

void Server::Life::on_event(const zab::Event& event) {
  if (event.kind == zab::Event::Kind::renounced) {
    server_.around_.invariants.renounced(server_.id_, server_.now_ms());
  }
  if (event.kind == zab::Event::Kind::alarm) {
    server_.around_.invariants.alarm(server_.id_, event.peer, event.text);
  }
  if (event.kind == zab::Event::Kind::protocol_error) {
    server_.around_.invariants.protocol_error(server_.id_, event.peer, event.text);
  }
  if (server_.around_.trace.words()) {
    say((event.peer == ServerId::none ? "" : "(" + to_string(event.peer) + ") ") + event.text);
  }
}

void Server::Life::on_fatal(const std::string& text) {
  if (end_ == End::none) server_.around_.invariants.fatal(server_.id_, text);
  finish(End::fatal, text);
}

}  // namespace zabmq::sim
