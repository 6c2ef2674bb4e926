// Client frames: what clients ask of this server, and what it answers when it may not do it.
#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "replica/clients.hpp"
#include "replica/proposals.hpp"
#include "replica/replica.hpp"
#include "replica/subscriptions.hpp"
#include "zabmq/mutant.hpp"
#include "zabmq/record.hpp"

namespace zabmq::replica {
namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

std::string both(const std::string& what, const std::string& theirs, const std::string& ours) {
  return what + " mismatch: the client has " + theirs + ", this server has " + ours;
}

std::string version_range(std::uint32_t min, std::uint32_t max) {
  return std::to_string(min) + ".." + std::to_string(max);
}

const char* name_of_standing(zab::Standing standing) {
  switch (standing) {
    case zab::Standing::empty:
      return "empty";
    case zab::Standing::founding:
      return "founding";
    case zab::Standing::voter:
      return "voter";
    case zab::Standing::wiped:
      return "wiped";
  }
  return "?";
}

}  // namespace

void Replica::on_client_frame(ConnectionId from, const Principal& principal, Bytes header,
                              Slice body) {
  if (fatal_) return;
  clients_->heard(from);
  std::optional<wire::ClientMessage> message = wire::decode_client(header);
  if (!message) return on_malformed_frame(from);
  if (const auto* hello = std::get_if<wire::Hello>(&*message)) {
    return on_hello(from, principal, *hello);
  }
  if (!clients_->find(from))
    return clients_->reset(from, "this connection is not known: say HELLO");
  on_frame(from, *message, std::move(body));
}

void Replica::on_malformed_frame(ConnectionId from) {
  ++counters_.client_frames_malformed;
  if (!clients_->find(from)) return clients_->reset(from, "this frame is malformed: say HELLO");
  clients_->answer(from, refused(wire::About::connection, 0, Code::protocol, Outcome::no,
                                 "a frame was malformed and was ignored"));
}

// The one place where a principal's rights will be asked: it stands on the connection.
void Replica::on_frame(ConnectionId from, wire::ClientMessage& message, Slice body) {
  std::visit(Overloaded{[](const wire::Hello&) {},
                        [&](const wire::Publish& m) { on_publish(from, m, std::move(body)); },
                        [&](const wire::Subscribe& m) { subscriptions_->subscribe(from, m); },
                        [&](const wire::Credit& m) { subscriptions_->add_credit(from, m); },
                        [&](const wire::Unsubscribe& m) {
                          subscriptions_->unsubscribe(from, m.subscription);
                        },
                        [&](const wire::ClientPing&) {
                          clients_->answer(from, wire::ServerPong{proposals_->committed_offset()});
                        },
                        [&](const wire::StatusQuestion& m) {
                          clients_->answer(from, make_status_answer(m.request));
                        },
                        [&](const wire::ClosePublisher& m) { on_close_publisher(from, m); },
                        [&](const wire::MoveCursor& m) { on_move_cursor(from, m); },
                        [&](const wire::ListCursors& m) { on_list_cursors(from, m); },
                        [&](const wire::Bye&) { clients_->leave(from); }},
             message);
}

void Replica::on_disconnected(ConnectionId connection) {
  clients_->forget(connection);
}

// --- HELLO ---

void Replica::on_hello(ConnectionId from, const Principal& principal, const wire::Hello& hello) {
  if (const auto refusal = mismatch(hello)) return clients_->answer_stranger(from, *refusal);
  Connection* connection = clients_->add(from);
  if (!connection) {
    return clients_->answer_stranger(
        from, refused(wire::About::connection, 0, Code::busy, Outcome::no,
                      "this server has its " + std::to_string(options_.connections_max) +
                          " connections: use another one"));
  }
  connection->principal = principal;
  const Instance known = hello.known.value_or(0);
  const bool again = connection->publisher == hello.publisher &&
                     connection->instance == hello.instance && connection->known == known;
  if (again && connection->publishing == Connection::Publishing::opening) return;  // under way
  connection->greeting = ++greetings_;
  connection->publisher = hello.publisher;
  connection->instance = hello.instance;
  connection->known = known;
  if (is_none(hello.publisher)) {
    connection->publishing = Connection::Publishing::none;
    return welcome(from);
  }
  connection->publishing = Connection::Publishing::wanted;
  settle_publisher(from);
}

// Both values of whatever does not fit; an all-zero cluster fits any.
std::optional<wire::Refused> Replica::mismatch(const wire::Hello& hello) const {
  const zab::Identity& identity = core_.identity();
  std::string text;
  if (hello.version_min > wire::version_max || hello.version_max < wire::version_min) {
    text = both("protocol version", version_range(hello.version_min, hello.version_max),
                version_range(wire::version_min, wire::version_max));
  } else if (!is_none(hello.cluster) && is_none(identity.cluster)) {
    // Not a mismatch: it may be about to join that very cluster.
    return refused(
        wire::About::connection, 0, Code::unavailable, Outcome::no,
        "server " + to_string(core_.self()) +
            " is empty and belongs to no cluster yet: try another server, or again later");
  } else if (!is_none(hello.cluster) && hello.cluster != identity.cluster) {
    text = both("cluster", to_string(hello.cluster), to_string(identity.cluster));
  } else if (!is_none(hello.history) && hello.history != identity.history) {
    text = both("history", to_string(hello.history), to_string(identity.history));
  } else if (hello.config_version != 0) {
    text = both("configuration version", std::to_string(hello.config_version), "0");
  } else {
    return std::nullopt;
  }
  return refused(wire::About::connection, 0, Code::refused, Outcome::no, std::move(text));
}

void Replica::settle_publishers() {
  for (ConnectionId id : clients_->take_wanting()) settle_publisher(id);
}

// A publisher is opened by the leader only, and only by one that has delivered all of the initial
// history: before that its table is not the cluster's. A server that follows asks its leader.
void Replica::settle_publisher(ConnectionId id) {
  Connection* connection = clients_->find(id);
  if (!connection || connection->publishing != Connection::Publishing::wanted) return;
  const Asker asker{.connection = id, .number = connection->greeting};
  wire::Hello hello;
  hello.publisher = connection->publisher;
  hello.instance = connection->instance;
  if (connection->known != 0) hello.known = connection->known;
  if (forwards()) {
    connection->publishing = Connection::Publishing::opening;
    return forward(asker, connection->publisher, hello, {});
  }
  if (!core_.leading_in_broadcast()) {
    connection->publishing = Connection::Publishing::none;
    return answer_not_opened(id);
  }
  if (!accepts_publishes()) return clients_->add_wanting(id);
  connection->publishing = Connection::Publishing::opening;
  open(asker, hello);
}

// With an instance the same process comes back, and goes on behind what was taken.
void Replica::open(const Asker& asker, const wire::Hello& hello) {
  if (hello.instance == 0) {
    if (proposals_->open(asker, hello.publisher, hello.known.value_or(0))) return;
    return answer(asker, refused(wire::About::connection, 0, Code::busy, Outcome::no, too_busy()));
  }
  if (auto refusal = refusal_to_continue(hello.publisher, hello.instance)) {
    return answer(asker, *std::move(refusal));
  }
  hold_verdict(asker, welcome_of(hello.publisher, hello.instance));
}

// WELCOME names the leader; without one there is nowhere to go, and the text says why.
void Replica::answer_not_opened(ConnectionId id) {
  if (known_leader() != ServerId::none) return welcome(id);
  clients_->answer(id, not_leading(wire::About::connection, 0));
}

// Why an instance that was opened before may not be gone on with, if so.
std::optional<wire::Refused> Replica::refusal_to_continue(const Uuid& publisher,
                                                          Instance instance) {
  const std::string name = "publisher " + to_string(publisher);
  const std::string theirs = std::to_string(instance);
  const std::optional<Taken> known = proposals_->taken(publisher);
  if (!known || known->closing) {
    return proposals_->refusal_of_ended(wire::About::connection, 0, publisher);
  }
  const std::string ours = std::to_string(known->instance);
  if (instance < known->instance && !ZABMQ_MUTANT(fencing_ignored)) {
    return proposals_->refusal_of_older(wire::About::connection, 0, publisher, instance);
  }
  if (instance > known->instance) {
    return refused(
        wire::About::connection, 0, Code::protocol, Outcome::no,
        "instance " + theirs + " of " + name + " was never opened, the newest is " + ours);
  }
  return std::nullopt;
}

// `last_sequence`: as the leader told it; none: what this server, which leads, knows.
void Replica::welcome(ConnectionId to, std::optional<Sequence> last_sequence) {
  const Connection* connection = clients_->find(to);
  if (!connection) return;
  const zab::Identity& identity = core_.identity();
  wire::Welcome answer;
  answer.cluster = identity.cluster;
  answer.history = identity.history;
  answer.server = core_.self();
  answer.leader = known_leader();
  answer.leader_endpoint = endpoint_of(answer.leader);
  answer.payload_max = options_.batch.payload_max;
  answer.batch_bytes_max = options_.batch.batch_max;
  answer.heartbeat_ms = options_.client_heartbeat_ms;
  if (connection->publishing == Connection::Publishing::open) {
    if (!last_sequence) {
      const std::optional<Taken> known = proposals_->taken(connection->publisher);
      last_sequence = known ? known->last_sequence : 0;
    }
    answer.publisher_open = true;
    answer.instance = connection->instance;
    answer.last_sequence = *last_sequence;
  }
  clients_->answer(to, std::move(answer));
}

// --- PUBLISH ---

void Replica::on_publish(ConnectionId from, const wire::Publish& publish, Slice body) {
  const Uuid publisher = clients_->find(from)->publisher;
  if (is_none(publisher)) {
    ++counters_.publishes_refused;
    return clients_->answer(
        from, refused(wire::About::publish, publish.first_sequence, Code::protocol, Outcome::no,
                      "HELLO on this connection named no publisher"));
  }
  if (forwards()) {
    return forward({.connection = from}, publisher, publish, std::move(body));
  }
  this->publish({.connection = from}, publisher, publish, std::move(body));
}

void Replica::publish(const Asker& from, const Uuid& publisher, const wire::Publish& publish,
                      Slice body) {
  if (auto refusal = refusal_of(publisher, publish, body)) {
    ++counters_.publishes_refused;
    return answer(from, *std::move(refusal));
  }
  if (!proposals_->publish(from, publisher, publish, std::move(body))) {
    ++counters_.publishes_refused;
    answer(from, refused(wire::About::publish, publish.first_sequence, Code::busy, Outcome::no,
                         too_busy()));
  }
}

std::string Replica::too_busy() const {
  return std::to_string(options_.in_flight_bytes_max) +
         " bytes are in flight at the leader: send it again later";
}

// Everything that can be said of a batch before its turn comes. Whatever is wrong with it concerns
// its publisher alone.
std::optional<wire::Refused> Replica::refusal_of(const Uuid& publisher,
                                                 const wire::Publish& publish, const Slice& body) {
  const std::uint64_t id = publish.first_sequence;
  const auto refusal = [id](Code code, std::string text) {
    return refused(wire::About::publish, id, code, Outcome::no, std::move(text));
  };
  if (!core_.leading_in_broadcast()) return not_leading(wire::About::publish, id);
  // Limits that were lowered since are nothing to a batch that was taken: it did happen.
  const std::optional<Taken> known = proposals_->taken(publisher);
  const bool old = known && publish.first_sequence <= known->last_sequence;
  wire::BatchLimits limits = options_.batch;
  if (old) limits.payload_max = limits.batch_max = body.size();
  if (body.size() > limits.batch_max) {
    return refusal(Code::too_large, "a batch of " + std::to_string(body.size()) +
                                        " bytes is over the limit of " +
                                        std::to_string(options_.batch.batch_max));
  }
  const bool sequences_fit = publish.first_sequence > 0 && publish.count > 0 &&
                             publish.count <= wire::batch_count_max &&
                             publish.first_sequence <= ~Sequence{0} - publish.count;
  if (!sequences_fit || checksum(body.bytes()) != publish.body_checksum) {
    ++counters_.batches_malformed;
    return refusal(Code::protocol, sequences_fit ? "the batch does not have its checksum"
                                                 : "the batch's sequences or count are impossible");
  }
  if (!wire::valid_batch(body.bytes(), publish.count, limits)) {
    ++counters_.batches_malformed;
    const wire::BatchLimits no_limits{body.size(), body.size()};
    if (wire::valid_batch(body.bytes(), publish.count, no_limits)) {
      return refusal(Code::too_large, "a message is over the limit of " +
                                          std::to_string(options_.batch.payload_max) + " bytes");
    }
    return refusal(Code::protocol, "the batch's count, lengths or topics do not fit its body");
  }
  return std::nullopt;
}

void Replica::on_close_publisher(ConnectionId from, const wire::ClosePublisher& close) {
  const Connection& connection = *clients_->find(from);
  if (is_none(connection.publisher)) {
    return clients_->answer(from,
                            refused(wire::About::close, close.instance, Code::protocol, Outcome::no,
                                    "HELLO on this connection named no publisher"));
  }
  if (forwards()) return forward({.connection = from}, connection.publisher, close, {});
  this->close({.connection = from}, connection.publisher, close.instance);
}

void Replica::close(const Asker& from, const Uuid& publisher, Instance instance) {
  if (!core_.leading_in_broadcast()) {
    return answer(from, not_leading(wire::About::close, instance));
  }
  if (!proposals_->close(from, publisher, instance)) {
    answer(from, refused(wire::About::close, instance, Code::busy, Outcome::no, too_busy()));
  }
}

// --- STATUS, and who leads ---

wire::StatusAnswer Replica::make_status_answer(std::uint64_t request) const {
  const Status now = status();
  wire::StatusAnswer answer;
  answer.request = request;
  answer.server = now.self;
  answer.role = now.role;
  answer.phase = now.phase;
  answer.epoch = now.epoch;
  answer.last_logged = now.last_logged;
  answer.last_committed = now.last_committed;
  answer.first_offset = now.first_offset;
  answer.last_offset = now.last_offset;
  answer.leader = now.leader;
  for (const ServerAddress& server : servers_) {
    answer.servers.push_back({server.id, server.client_endpoint});
  }
  answer.durability = "fsync";
  answer.standing = name_of_standing(now.standing);
  const auto count = [&answer](const char* name, std::uint64_t value) {
    answer.counters.push_back(std::string(name) + "=" + std::to_string(value));
  };
  count("proposals", counters_.proposals);
  count("messages_proposed", counters_.messages_proposed);
  count("commits", counters_.commits);
  count("messages_delivered", counters_.messages_delivered);
  count("publishes_refused", counters_.publishes_refused);
  count("duplicates", counters_.duplicates);
  count("fenced", counters_.fenced);
  count("forwarded", counters_.forwarded);
  count("cursors_overtaken", counters_.cursors_overtaken);
  const storage::SnapshotReport snapshots = env_.log.snapshot_report();
  count("snapshots_saved", snapshots.saved);
  count("snapshots_dropped", snapshots.dropped);
  count("snapshots_sent", counters_.snapshots_sent);
  count("snapshots_installed", counters_.snapshots_installed);
  count("client_frames_malformed", counters_.client_frames_malformed);
  count("batches_malformed", counters_.batches_malformed);
  count("resets", counters_.resets);
  count("peer_records_malformed", counters_.peer_records_malformed);
  count("sessions_lost", counters_.sessions_lost);
  count("dropped_peer_messages", counters_.dropped_peer_messages);
  count("elections", counters_.elections);
  count("alarms", counters_.alarms);
  count("protocol_errors", counters_.protocol_errors);
  count("connections", now.connections);
  count("subscriptions", now.subscriptions);
  count("publishers", now.publishers);
  return answer;
}

wire::Refused Replica::not_leading(wire::About about, std::uint64_t id) const {
  const ServerId leader = known_leader();
  wire::Refused answer = refused(about, id, Code::unavailable, Outcome::no,
                                 leader == ServerId::none
                                     ? why_unavailable()
                                     : "server " + to_string(core_.self()) +
                                           " does not lead, server " + to_string(leader) + " does");
  answer.not_leading = true;
  answer.leader_endpoint = endpoint_of(leader);
  return answer;
}

// An established leader only: one that is still synchronizing could not answer either.
ServerId Replica::known_leader() const {
  const bool established = core_.phase() == Phase::broadcast &&
                           (core_.role() != Role::leading || core_.leading_in_broadcast());
  return established ? core_.leader() : ServerId::none;
}

std::string Replica::endpoint_of(ServerId server) const {
  const auto at = std::find_if(servers_.begin(), servers_.end(),
                               [server](const ServerAddress& s) { return s.id == server; });
  return at == servers_.end() ? std::string() : at->client_endpoint;
}

// Names the servers that have not been heard of, which is what somebody has to look at.
std::string Replica::why_unavailable() const {
  const zab::Config& config = core_.config();
  std::string missing;
  for (ServerId id : config.voters()) {
    const auto heard = heard_ms_.find(id);
    const bool lately =
        heard != heard_ms_.end() && now_ms_ - heard->second <= options_.zab.peer_timeout_ms;
    if (id == core_.self() || lately) continue;
    const std::string endpoint = endpoint_of(id);
    missing += (missing.empty() ? "" : ", ") + to_string(id) +
               (endpoint.empty() ? "" : " (" + endpoint + ")");
  }
  const std::string needed = std::to_string(config.quorum()) + " of " +
                             std::to_string(config.voters().size()) + " servers are needed";
  if (missing.empty()) {
    return "no leader is established yet (server " + to_string(core_.self()) + " is in phase " +
           std::string(to_string(core_.phase())) + "; " + needed + "): try again";
  }
  return "no leader: " + needed + ", not heard of: " + missing +
         ": start them, or look at the network";
}

}  // namespace zabmq::replica
