// Server: starting from what the fakes kept, and driving.
#include "server.hpp"

#include "zabmq/check.hpp"

namespace zabmq::testing {

using replica::Recovered;
using replica::Replica;

Host::Host(ServerId server, std::vector<ServerId> voters, replica::Options server_options,
           net::PeerLinks& links)
    : id(server), options(server_options), voters_(std::move(voters)), links_(links) {
  identity.standing = zab::Standing::voter;
  identity.cluster = make_uuid(1000);
  identity.history = make_uuid(1001);
  identity.incarnation = make_uuid(static_cast<unsigned>(id));
}

zab::FreshIds Host::fresh_ids() {
  return {make_uuid(1000), make_uuid(1001),
          make_uuid(10'000 + 100 * static_cast<unsigned>(id) + ++lives_)};
}

Host::~Host() = default;

replica::ServerState Host::empty_state() const {
  return replica::ServerState(options.publisher_table());
}

void Host::run(Recovered recovered, storage::HistoryLog& log) {
  std::vector<replica::ServerAddress> addresses;
  for (ServerId voter : voters_) {
    addresses.push_back({voter, "tcp://server-" + to_string(voter)});
  }
  replica = std::make_unique<Replica>(id, zab::Config(voters_, 42), options, std::move(recovered),
                                      fresh_ids(), std::move(addresses),
                                      replica::Environment{log, links_, clients, *this, *this});
}

void Host::tick(std::uint64_t ms) {
  now_ms += ms;
  replica->tick(now_ms, wall_at_start_us + now_ms * 1000);
}

void Server::start() {
  Recovered recovered;
  recovered.identity = identity;
  recovered.history = log.history();
  recovered.delivered = log.delivered;
  recovered.state = empty_state();
  log.for_each_record(
      [&](const RecordHeader& h, Bytes body) { recovered.state.on_record(h, body); });
  recovered.state.on_delivered(log.delivered);
  recovered.state.finish_recovery();
  run(std::move(recovered), log);
  log.set_listener(replica.get());
  tick();
}

void Server::crash() {
  replica.reset();
  log.set_listener(nullptr);
  log.crash();
  storing.reset();
}

void Server::lose_disk() {
  ZABMQ_CHECK(!up());
  log = FakeLog();
  identity = zab::Identity{};
  identity.incarnation = fresh_ids().incarnation;
}

bool Server::finish() {
  bool progress = replica->step();
  if (disk_works) {
    progress |= log.complete();
    if (storing) {
      identity = *std::exchange(storing, std::nullopt);
      replica->on_stored();
      progress = true;
    }
  }
  return log.complete_reads() || progress;
}

void Host::settle() {
  constexpr int turns_max = 10000;
  for (int turn = 0; finish(); ++turn) ZABMQ_CHECK(turn < turns_max);
}

bool Host::lead() {
  for (int ticks = 0; ticks < 200; ++ticks) {
    settle();
    if (replica->status().accepts_publishes) return true;
    tick();
  }
  return false;
}

void Host::say(ConnectionId from, const wire::ClientMessage& message, Slice body) {
  const std::vector<std::byte> header = wire::encode(message);
  replica->on_client_frame(from, {}, header, std::move(body));
}

void Host::publish(ConnectionId from, Sequence first, const std::vector<std::string>& payloads,
                   Instance instance, std::optional<Offset> expect_last_offset) {
  const Slice body = make_body(payloads);
  wire::Publish frame;
  frame.instance = instance;
  frame.first_sequence = first;
  frame.count = static_cast<std::uint32_t>(payloads.size());
  frame.body_checksum = checksum(body.bytes());
  frame.expect_last_offset = expect_last_offset;
  say(from, frame, body);
}

wire::Welcome Host::open_publisher(ConnectionId from, const Uuid& publisher) {
  wire::Hello hello;
  hello.publisher = publisher;
  say(from, hello);
  settle();
  const auto answers = clients.take<wire::Welcome>(from);
  return answers.empty() ? wire::Welcome{} : answers.back();
}

void Host::subscribe(ConnectionId from, wire::Subscribe request) {
  say(from, wire::Hello{});
  say(from, request);
}

std::vector<std::string> Host::take_delivered(ConnectionId to) {
  std::vector<std::string> payloads;
  std::erase_if(clients.frames, [&](const FakeClients::Frame& frame) {
    if (frame.to != to || !std::holds_alternative<wire::Deliver>(frame.message)) return false;
    for (std::string& payload : payloads_of(frame.body.bytes())) {
      payloads.push_back(std::move(payload));
    }
    return true;
  });
  return payloads;
}

void Server::store(const zab::Identity& wanted) {
  ZABMQ_CHECK(!storing);
  storing = wanted;
}

wire::Subscribe from_first(std::uint64_t name, std::uint64_t messages, std::uint64_t bytes) {
  wire::Subscribe request;
  request.subscription = name;
  request.start = wire::StartKind::first;
  request.credit_messages = messages;
  request.credit_bytes = bytes;
  return request;
}

wire::Subscribe from_offset(std::uint64_t name, Offset offset) {
  wire::Subscribe request = from_first(name);
  request.start = wire::StartKind::offset;
  request.offset = offset;
  return request;
}

Solo::Solo(replica::Options options) : server(ServerId{1}, {ServerId{1}}, options, peers) {
  server.start();
  ZABMQ_CHECK(server.lead());
}

}  // namespace zabmq::testing
