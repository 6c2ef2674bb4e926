// FakeServer: just enough of a server to serve honest clients.
#include "client/fake_server.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "wire/batch.hpp"
#include "zabmq/record.hpp"

namespace zabmq::client::testing {
namespace {

constexpr int poll_ms = 2;

Uuid cluster_id() {
  Uuid id;
  id.bytes[0] = std::byte{1};
  return id;
}

Bytes bytes_of(const zmq::message_t& part) {
  return {static_cast<const std::byte*>(part.data()), part.size()};
}

}  // namespace

wire::Receipt FakeCluster::append(const wire::Publish& publish, const Uuid& publisher, Bytes body) {
  RecordHeader header;
  header.kind = RecordKind::batch;
  header.body_size = static_cast<std::uint32_t>(body.size());
  header.count = publish.count;
  header.zxid = {Epoch{1}, log.size() + 1};
  header.base_offset = last_offset() + 1;
  header.time = 1'000'000 + log.size();
  header.publisher = publisher;
  header.first_sequence = publish.first_sequence;
  header.body_checksum = publish.body_checksum;
  const auto bytes = std::make_shared<std::vector<std::byte>>(record_size(header.body_size));
  encode_header(header,
                std::span<std::byte, record_header_size>(bytes->data(), record_header_size));
  std::memcpy(bytes->data() + record_header_size, body.data(), body.size());
  log.push_back({Slice(bytes, *bytes), header.base_offset, header.count});
  return {publish.first_sequence, publish.count, header.base_offset, header.zxid};
}

std::vector<std::string> FakeCluster::payloads() {
  const std::lock_guard lock(mutex);
  std::vector<std::string> all;
  for (const FakeBatch& batch : log) {
    const Bytes record = batch.record.bytes();
    wire::BatchReader reader(record.subspan(record_header_size, parse_header(record)->body_size));
    while (const auto message = reader.next()) {
      all.emplace_back(reinterpret_cast<const char*>(message->payload.data()),
                       message->payload.size());
    }
  }
  return all;
}

FakeServer::FakeServer(std::shared_ptr<FakeCluster> cluster, const std::string& endpoint)
    : cluster_(std::move(cluster)), socket_(context_, zmq::socket_type::router) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind(endpoint.empty() ? "tcp://127.0.0.1:*" : endpoint);
  endpoint_ = socket_.get(zmq::sockopt::last_endpoint);
  thread_ = std::thread([this] { run(); });
}

FakeServer::~FakeServer() {
  stopping_ = true;
  thread_.join();
}

void FakeServer::lead() {
  const std::lock_guard lock(cluster_->mutex);
  cluster_->leader_endpoint = endpoint_;
}

void FakeServer::run() {
  while (!stopping_) {
    zmq::pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
    zmq_poll(&item, 1, poll_ms);
    receive();
    const std::lock_guard lock(cluster_->mutex);
    serve();
  }
}

void FakeServer::receive() {
  for (int i = 0; i < 1000 && !paused; ++i) {
    std::array<zmq::message_t, 3> parts;
    if (!socket_.recv(parts[0], zmq::recv_flags::dontwait)) return;
    if (!socket_.recv(parts[1])) return;
    if (parts[1].more() && !socket_.recv(parts[2])) return;
    const auto message = wire::decode_client(bytes_of(parts[1]));
    if (!message || mute) continue;
    const std::lock_guard lock(cluster_->mutex);
    on_frame(parts[0].to_string(), *message, bytes_of(parts[2]));
  }
}

void FakeServer::on_frame(const std::string& from, const wire::ClientMessage& message, Bytes body) {
  if (const auto* hello = std::get_if<wire::Hello>(&message)) return on_hello(from, *hello);
  if (!connections_.contains(from)) return send(from, wire::Reset{"unknown connection"});
  Connection& connection = connections_[from];
  if (const auto* publish = std::get_if<wire::Publish>(&message)) {
    on_publish(from, *publish, body);
  } else if (const auto* subscribe = std::get_if<wire::Subscribe>(&message)) {
    on_subscribe(from, *subscribe);
  } else if (const auto* credit = std::get_if<wire::Credit>(&message)) {
    connection.credit_messages += static_cast<std::int64_t>(credit->messages);
    connection.credit_bytes += static_cast<std::int64_t>(credit->bytes);
  } else if (std::holds_alternative<wire::ClientPing>(message)) {
    send(from, wire::ServerPong{cluster_->last_offset()});
  } else if (const auto* question = std::get_if<wire::StatusQuestion>(&message)) {
    on_status(from, *question);
  } else if (const auto* close = std::get_if<wire::ClosePublisher>(&message)) {
    cluster_->publishers.erase(connection.publisher);
    send(from, wire::Closed{close->instance});
  } else if (std::holds_alternative<wire::Bye>(message)) {
    connections_.erase(from);
  }
}

void FakeServer::on_hello(const std::string& from, const wire::Hello& hello) {
  connections_[from] = {.publisher = hello.publisher};
  if (hello.instance != 0 && leads() && !cluster_->publishers.contains(hello.publisher)) {
    wire::Refused refused;
    refused.about = wire::About::connection;
    refused.code = Code::expired;
    return send(from, refused);
  }
  wire::Welcome welcome;
  welcome.cluster = welcome.history = cluster_id();
  welcome.server = ServerId{static_cast<std::uint32_t>(id.load())};
  welcome.leader_endpoint = cluster_->leader_endpoint;
  welcome.payload_max = 1 << 20;
  welcome.batch_bytes_max = 2 << 20;
  welcome.heartbeat_ms = 1000;
  if (!is_none(hello.publisher) && leads()) {
    FakePublisher& publisher = cluster_->publishers[hello.publisher];
    if (hello.instance == 0) ++publisher.instance;
    welcome.publisher_open = true;
    welcome.instance = publisher.instance;
    welcome.last_sequence = publisher.last;
  }
  send(from, welcome);
}

void FakeServer::on_publish(const std::string& from, const wire::Publish& publish, Bytes body) {
  wire::Refused refused;
  refused.about = wire::About::publish;
  refused.id = publish.first_sequence;
  if (!leads()) {
    refused.code = Code::unavailable;
    refused.not_leading = true;
    refused.leader_endpoint = cluster_->leader_endpoint;
    return send(from, refused);
  }
  const Uuid& name = connections_[from].publisher;
  FakePublisher& publisher = cluster_->publishers[name];
  if (publish.instance != publisher.instance) return send(from, refused);
  if (publish.first_sequence > publisher.last + 1) {
    refused.hole = true;
    refused.last_sequence = publisher.last;
    return send(from, refused);
  }
  auto known = publisher.receipts.find(publish.first_sequence);
  const Offset last = cluster_->last_offset();
  if (known == publisher.receipts.end() && publish.expect_last_offset.value_or(last) != last) {
    refused.expect_last_offset = publish.expect_last_offset;
    refused.last_offset = last;
    return send(from, refused);
  }
  if (known == publisher.receipts.end()) {
    const wire::Receipt receipt = cluster_->append(publish, name, body);
    publisher.last = publish.first_sequence + publish.count - 1;
    known = publisher.receipts.emplace(publish.first_sequence, receipt).first;
  }
  if (!forget_answers) send(from, known->second);
}

void FakeServer::on_subscribe(const std::string& from, const wire::Subscribe& subscribe) {
  Connection& connection = connections_[from];
  connection.subscription = subscribe.subscription;
  connection.credit_messages = static_cast<std::int64_t>(subscribe.credit_messages);
  connection.credit_bytes = static_cast<std::int64_t>(subscribe.credit_bytes);
  const Offset last = cluster_->last_offset();
  if (subscribe.start == wire::StartKind::fresh) connection.covered = last;
  if (subscribe.start == wire::StartKind::offset) connection.covered = subscribe.offset - 1;
  if (subscribe.start == wire::StartKind::first) connection.covered = cluster_->first_offset - 1;
  if (connection.covered + 1 < cluster_->first_offset) {
    connection.subscription = 0;
    return send(from, wire::Gap{subscribe.subscription, cluster_->first_offset});
  }
  if (connection.covered > last) {
    wire::Refused refused;
    refused.about = wire::About::subscribe;
    refused.id = subscribe.subscription;
    refused.last_offset = last;
    connection.subscription = 0;
    return send(from, refused);
  }
  send(from,
       wire::Subscribed{subscribe.subscription, connection.covered + 1, last, subscribe.until_end});
}

void FakeServer::on_status(const std::string& from, const wire::StatusQuestion& question) {
  wire::StatusAnswer answer;
  answer.request = question.request;
  answer.server = ServerId{static_cast<std::uint32_t>(id.load())};
  answer.role = leads() ? Role::leading : Role::following;
  answer.phase = Phase::broadcast;
  answer.epoch = Epoch{1};
  answer.last_offset = cluster_->last_offset();
  answer.servers = {{answer.server, endpoint_}, {ServerId{9}, "tcp://127.0.0.1:1"}};
  send(from, answer);
}

void FakeServer::serve() {
  if (mute) return;
  for (auto& [name, connection] : connections_) {
    for (const FakeBatch& batch : cluster_->log) {
      const Offset up_to = batch.base + batch.count - 1;
      if (connection.subscription == 0 || up_to <= connection.covered) continue;
      if (connection.credit_messages <= 0 || connection.credit_bytes <= 0) break;
      send(name, wire::Deliver{connection.subscription, connection.covered, up_to}, batch.record);
      connection.credit_messages -= static_cast<std::int64_t>(up_to - connection.covered);
      connection.credit_bytes -= static_cast<std::int64_t>(batch.record.size());
      connection.covered = up_to;
    }
  }
}

void FakeServer::send(const std::string& to, const wire::ServerMessage& message,
                      const Slice& body) {
  auto header = wire::encode(message);
  if (garble) header.back() ^= std::byte{1};
  const auto more = body.empty() ? zmq::send_flags::none : zmq::send_flags::sndmore;
  socket_.send(zmq::buffer(to), zmq::send_flags::sndmore);
  socket_.send(zmq::buffer(header), more);
  if (!body.empty()) {
    socket_.send(zmq::buffer(body.bytes().data(), body.size()), zmq::send_flags::none);
  }
}

}  // namespace zabmq::client::testing
