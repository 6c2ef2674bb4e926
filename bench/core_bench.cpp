// CoreBench: the protocol alone: a transaction proposed, acknowledged by two followers, committed
// and delivered everywhere. Three cores, no disk, no network, no records.
#include <benchmark/benchmark.h>

#include <deque>
#include <memory>
#include <vector>

#include "zab/core.hpp"
#include "zabmq/check.hpp"

namespace zabmq::bench {

namespace {

constexpr int steps_max = 10000;

// Three voters; everything asked of a disk is done at once, every message arrives in order.
class Trio {
 public:
  Trio() {
    zab::Identity identity;
    identity.standing = zab::Standing::voter;
    identity.cluster.bytes[0] = identity.history.bytes[0] = std::byte{1};
    const std::vector<ServerId> ids{ServerId{1}, ServerId{2}, ServerId{3}};
    for (const ServerId id : ids) {
      identity.incarnation.bytes[0] = static_cast<std::byte>(id);
      cores_.push_back(std::make_unique<zab::Core>(id, zab::Config(ids, 1), zab::Options{},
                                                   identity, zab::History{}, Zxid{},
                                                   zab::FreshIds{}));
    }
    for (int step = 0; leader() == nullptr || !settled(); ++step) {
      ZABMQ_CHECK(step < steps_max);
      tick();
    }
  }

  // One transaction from proposal to delivery on all three.
  void broadcast() {
    zab::Core& leads = *leader();
    const auto zxid = leads.propose();
    ZABMQ_CHECK(zxid.has_value());
    leads.durable(*zxid);
    run();
    ZABMQ_CHECK(leads.last_delivered() == *zxid);
  }

 private:
  struct Frame {
    ServerId from;
    ServerId to;
    zab::Message message;
  };

  zab::Core& core(ServerId id) { return *cores_[static_cast<std::uint32_t>(id) - 1]; }

  zab::Core* leader() {
    for (const auto& candidate : cores_) {
      if (candidate->leading_in_broadcast()) return candidate.get();
    }
    return nullptr;
  }

  bool settled() const {
    for (const auto& core : cores_) {
      if (core->phase() != Phase::broadcast) return false;
    }
    return true;
  }

  void tick() {
    now_ms_ += 10;
    for (const auto& core : cores_) core->tick(now_ms_);
    run();
  }

  void run() {
    do {
      for (const auto& core : cores_) perform(*core, core->take_ready());
    } while (deliver_one());
  }

  bool deliver_one() {
    if (frames_.empty()) return false;
    const Frame frame = std::move(frames_.front());
    frames_.pop_front();
    zab::Core& to = core(frame.to);
    to.receive(frame.from, frame.message);
    const zab::Ready ready = to.take_ready();
    perform(to, ready);
    if (!ready.append) return true;
    to.durable(to.last_logged());
    perform(to, to.take_ready());
    return true;
  }

  void perform(zab::Core& core, const zab::Ready& ready) {
    ZABMQ_CHECK(!ready.fatal);
    for (const zab::Output& output : ready.outputs) send(core, output);
    if (ready.drain) core.drained(core.last_durable());
    if (ready.rewind) core.rewound(true);
    if (ready.store) core.stored();
    if (ready.drain || ready.rewind || ready.store) perform(core, core.take_ready());
  }

  void send(const zab::Core& from, const zab::Output& output) {
    if (const auto* message = std::get_if<zab::Send>(&output)) {
      frames_.push_back({from.self(), message->to, message->message});
    } else if (const auto* stream = std::get_if<zab::Stream>(&output)) {
      frames_.push_back({from.self(), stream->to, frame_of(from, *stream)});
    }
  }

  // Only transactions of one epoch are ever streamed here.
  static zab::Propose frame_of(const zab::Core& from, const zab::Stream& stream) {
    const bool same = stream.after.epoch == stream.up_to.epoch;
    const std::uint64_t first = same ? stream.after.counter + 1 : 1;
    zab::Propose propose;
    propose.runs = {{stream.up_to.epoch, first, stream.up_to.counter}};
    propose.commit = std::min(from.last_committed(), stream.up_to);
    return propose;
  }

  std::vector<std::unique_ptr<zab::Core>> cores_;
  std::deque<Frame> frames_;
  std::uint64_t now_ms_ = 0;
};

void propose_ack_commit(benchmark::State& state) {
  Trio trio;
  for (auto _ : state) trio.broadcast();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(propose_ack_commit);

}  // namespace

}  // namespace zabmq::bench
