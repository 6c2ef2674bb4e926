// Load: the publishing thread.
#include "failover_demo/load.hpp"

namespace zabmq::demo {

namespace {

constexpr const char* topic = "demo";
constexpr std::size_t under_way_max = 4096;

}  // namespace

Load::Load(Publisher& publisher, const Lines& lines, std::size_t hold_at)
    : publisher_(publisher), lines_(lines), hold_at_(hold_at), thread_([this] { run(); }) {}

Load::~Load() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  thread_.join();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return under_way_ == 0; });  // each has a deadline
}

void Load::release() {
  const std::lock_guard lock(mutex_);
  released_ = true;
  changed_.notify_all();
}

bool Load::wait_for(std::size_t acknowledged, Millis bound) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, bound, [&] { return failure_ || receipts_.size() >= acknowledged; });
  if (failure_) throw *failure_;
  return receipts_.size() >= acknowledged;
}

std::vector<Receipt> Load::receipts() const {
  const std::lock_guard lock(mutex_);
  return receipts_;
}

Millis Load::longest_silence() const {
  const std::lock_guard lock(mutex_);
  return std::chrono::duration_cast<Millis>(longest_silence_);
}

void Load::run() {
  for (std::size_t line = 0; line < lines_.size(); ++line) {
    if (!may_publish(line) || !publish(lines_[line])) return;
  }
}

bool Load::may_publish(std::size_t line) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    const bool held = line >= hold_at_ && !released_;
    return stopped_ || failure_ || (!held && under_way_ < under_way_max);
  });
  if (stopped_ || failure_) return false;
  ++under_way_;
  return true;
}

bool Load::publish(std::string_view line) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(line.data()), line.size());
  auto done = [this](const Result<Receipt>& result) { on_done(result); };
  while (true) {
    const auto taken = publisher_.try_publish(topic, bytes, done);
    if (taken) return true;
    if (taken.error().code != Code::busy) {
      on_done(taken.error());
      return false;
    }
    // The window is full of bytes rather than of lines: wait for an acknowledgement.
    std::unique_lock lock(mutex_);
    const std::size_t before = receipts_.size();
    changed_.wait_for(lock, Millis{100},
                      [&] { return stopped_ || failure_ || receipts_.size() != before; });
  }
}

void Load::on_done(const Result<Receipt>& result) {
  const std::lock_guard lock(mutex_);
  --under_way_;
  if (result && !failure_) {
    const auto now = Clock::now();
    longest_silence_ = std::max(longest_silence_, last_at_ ? now - *last_at_ : Clock::duration{0});
    last_at_ = now;
    receipts_.push_back(result.value());
  } else if (!result && !failure_) {
    failure_ = result.error();
  }
  changed_.notify_all();
}

}  // namespace zabmq::demo
