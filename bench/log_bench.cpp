// LogBench: one group of records to a real disk, from append to the report that it is durable.
#include <benchmark/benchmark.h>
#include <poll.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <utility>

#include "samples.hpp"
#include "storage/posix_file_system.hpp"
#include "storage/segmented_log.hpp"
#include "zabmq/check.hpp"

namespace zabmq::bench {

namespace {

constexpr std::uint32_t messages = 100;

struct IgnoreRecovery final : storage::RecoveryVisitor {
  bool on_snapshot(const storage::Snapshot&) override { return true; }
  void on_record(const RecordHeader&, Bytes) override {}
  void on_delivered(Zxid) override {}
};

// A log in a temporary directory, and the loop that a server would run around it.
class LogUnderTest final : public storage::HistoryLog::Listener {
 public:
  LogUnderTest() : directory_(make_directory()), files_(directory_) {
    ZABMQ_CHECK(bool(files_.open_directory()));
    storage::LogOptions options;
    options.cluster.bytes[0] = options.history.bytes[0] = std::byte{1};
    options.server = ServerId{1};
    IgnoreRecovery visitor;
    auto opened = storage::SegmentedLog::open(files_, options, visitor);
    log_ = std::move(std::get<std::unique_ptr<storage::SegmentedLog>>(opened));
    log_->set_listener(this);
    while (!log_->ready()) wait();
  }
  ~LogUnderTest() override {
    bool stopped = false;
    log_->stop([&stopped] { stopped = true; });
    while (!stopped) wait();
    std::filesystem::remove_all(directory_);
  }
  LogUnderTest(const LogUnderTest&) = delete;
  LogUnderTest& operator=(const LogUnderTest&) = delete;

  void append_and_wait(const Slice& records, Zxid last) {
    log_->append(records);
    log_->flush();
    while (durable_ < last) wait();
  }

  void on_durable(Zxid up_to) override { durable_ = up_to; }
  void on_rewound(bool) override {}
  void on_drained(Zxid) override {}
  void on_failed(const storage::Failure&) override { ZABMQ_CHECK(false); }

 private:
  static std::string make_directory() {
    std::string name = std::filesystem::temp_directory_path() / "zabmq-bench.XXXXXX";
    ZABMQ_CHECK(mkdtemp(name.data()) != nullptr);
    return name;
  }

  void wait() {
    pollfd completed{.fd = files_.completion_fd(), .events = POLLIN, .revents = 0};
    poll(&completed, 1, 1000);
    files_.run_completions();
  }

  std::string directory_;
  storage::PosixFileSystem files_;
  std::unique_ptr<storage::SegmentedLog> log_;
  Zxid durable_;
};

void append_durably(benchmark::State& state) {
  const Buffer body = sample_body(messages, static_cast<std::size_t>(state.range(0)));
  LogUnderTest log;
  Before before;
  std::size_t size = 0;
  for (auto _ : state) {
    const Slice record = sample_record(before, body, messages);
    size = record.size();
    log.append_and_wait(record, before.zxid);
  }
  state.SetItemsProcessed(messages * state.iterations());
  state.SetBytesProcessed(static_cast<std::int64_t>(size) * state.iterations());
}
BENCHMARK(append_durably)->Arg(100)->Arg(1 << 10)->Arg(10 << 10)->UseRealTime();

}  // namespace

}  // namespace zabmq::bench
