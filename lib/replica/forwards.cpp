// Forwards: passing on, and the three ways in which a request ends.
#include "replica/forwards.hpp"

#include <string>
#include <vector>

#include "replica/clients.hpp"

namespace zabmq::replica {
namespace {

constexpr std::size_t request_overhead = 256;  // what a request counts for, beside its body

}  // namespace

wire::Refused Forwards::refusal_of(const wire::ClientMessage& message, Code code, Outcome outcome,
                                   std::string text) {
  wire::About about = wire::About::connection;
  std::uint64_t id = 0;
  if (const auto* publish = std::get_if<wire::Publish>(&message)) {
    about = wire::About::publish;
    id = publish->first_sequence;
  } else if (const auto* close = std::get_if<wire::ClosePublisher>(&message)) {
    about = wire::About::close;
    id = close->instance;
  } else if (const auto* move = std::get_if<wire::MoveCursor>(&message)) {
    about = wire::About::cursor;
    id = move->request;
  }
  return refused(about, id, code, outcome, std::move(text));
}

bool Forwards::forward(const Asker& from, const Uuid& publisher, const wire::ClientMessage& message,
                       Slice body) {
  const std::size_t bytes = request_overhead + body.size();
  if (bytes_ + bytes > bytes_max_) return false;
  const std::uint64_t number = ++last_number_;
  requests_.emplace(number, Request{from, publisher, message, bytes});
  if (const auto* publish = std::get_if<wire::Publish>(&message)) {
    batches_.emplace(Batch{publisher, publish->first_sequence}, number);
  }
  bytes_ += bytes;
  if (!send_(number, publisher, message, std::move(body))) give_up();
  return true;
}

void Forwards::on_answer(std::uint64_t number, wire::ServerMessage message) {
  const auto request = requests_.find(number);
  if (request != requests_.end()) answer(request, std::move(message));
}

// The leader took it from us, or from whoever sent another copy: in either case this is its place.
// Another batch under this sequence is none of ours: the leader refuses that one. Nor is one of
// another instance: it may be of an earlier life of this publisher, whose sequences began at 1 as
// well. The leader knows, and answers itself.
void Forwards::on_delivered(const RecordHeader& header) {
  if (batches_.empty() || header.kind != RecordKind::batch) return;
  const auto [begin, end] = batches_.equal_range({header.publisher, header.first_sequence});
  std::vector<std::uint64_t> delivered;
  for (auto at = begin; at != end; ++at) {
    const auto& publish = std::get<wire::Publish>(requests_.at(at->second).message);
    if (publish.count == header.count && publish.instance == header.instance) {
      delivered.push_back(at->second);
    }
  }
  for (const std::uint64_t number : delivered) {
    on_answer(number,
              wire::Receipt{header.first_sequence, header.count, header.base_offset, header.zxid});
  }
}

void Forwards::give_up() {
  batches_.clear();
  bytes_ = 0;
  for (auto& [number, request] : std::exchange(requests_, {})) {
    answer_(request.asker,
            refusal_of(request.message, Code::unavailable, Outcome::maybe,
                       "the leader to which this was forwarded is lost: ask the next one by "
                       "sending it again"));
  }
}

// Answering may ask anew, so what is answered leaves the lists first.
void Forwards::answer(Requests::iterator at, wire::ServerMessage message) {
  const Request request = std::move(at->second);
  if (const auto* publish = std::get_if<wire::Publish>(&request.message)) {
    const auto [begin, end] = batches_.equal_range({request.publisher, publish->first_sequence});
    for (auto batch = begin; batch != end; ++batch) {
      if (batch->second != at->first) continue;
      batches_.erase(batch);
      break;
    }
  }
  bytes_ -= request.bytes;
  requests_.erase(at);
  answer_(request.asker, std::move(message));
}

}  // namespace zabmq::replica
