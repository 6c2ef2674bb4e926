// FileSystem: the same contract for every implementation.
#include "storage/file_system.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "ledger.hpp"
#include "sim/memory_disk.hpp"
#include "storage/identity_file.hpp"
#include "storage/posix_file_system.hpp"
#include "storage/verify.hpp"

namespace zabmq::storage {
namespace {

constexpr int wait_ms = 10'000;

struct TemporaryDirectory {
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "zabmq-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    path = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string path;
};

// One directory on some disk: opened, used and opened again.
class Place {
 public:
  virtual ~Place() = default;
  virtual FileSystem& fs() = 0;
  virtual void wait_until(const std::function<bool()>& condition) = 0;
  virtual void reopen() = 0;          // the program ends and starts again
  virtual FileSystem& another() = 0;  // what a second program would open
};

class InMemory final : public Place {
 public:
  FileSystem& fs() override { return disk_; }
  void wait_until(const std::function<bool()>& condition) override {
    while (!condition()) REQUIRE(disk_.step());
  }
  void reopen() override { disk_.crash_process(); }
  FileSystem& another() override { return disk_; }

 private:
  sim::MemoryDisk disk_;
};

class OnPosix final : public Place {
 public:
  OnPosix() { reopen(); }
  FileSystem& fs() override { return *fs_; }
  void wait_until(const std::function<bool()>& condition) override {
    while (!condition()) {
      pollfd item{fs_->completion_fd(), POLLIN, 0};
      REQUIRE(::poll(&item, 1, wait_ms) == 1);
      fs_->run_completions();
    }
  }
  void reopen() override {
    fs_.reset();
    fs_ = std::make_unique<PosixFileSystem>(directory_.path + "/data/of server");
  }
  FileSystem& another() override {
    another_ = std::make_unique<PosixFileSystem>(directory_.path + "/data/of server");
    return *another_;
  }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<PosixFileSystem> fs_;
  std::unique_ptr<PosixFileSystem> another_;
};

Slice text(const std::string& characters) {
  auto owner = std::make_shared<std::string>(characters);
  return {owner, std::as_bytes(std::span(*owner))};
}

std::string string_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Waits for one operation.
struct Waiter {
  explicit Waiter(Place& p) : place(p) {}
  FileSystem::Done done() {
    return [this](IoStatus s) { status = std::move(s); };
  }
  IoStatus wait() {
    place.wait_until([&] { return status.has_value(); });
    return *std::exchange(status, std::nullopt);
  }
  Place& place;
  std::optional<IoStatus> status;
};

std::string read_file(Place& place, FileId file, std::uint64_t position, std::size_t count) {
  std::optional<std::string> read;
  place.fs().read(file, position, count, [&](IoStatus status, Slice slice) {
    CHECK(status);
    read = string_of(slice.bytes());
  });
  place.wait_until([&] { return read.has_value(); });
  return *read;
}

}  // namespace

TEST_SUITE("storage/file system") {
  TEST_CASE_TEMPLATE("file system: contract", Kind, InMemory, OnPosix) {
    Kind place;
    Waiter w(place);
    REQUIRE(place.fs().open_directory());

    SUBCASE("a new directory -> empty") {
      std::vector<std::string> names = {"?"};
      CHECK(place.fs().list(names));
      CHECK(names.empty());
      CHECK(place.fs().free_bytes() > 0);
    }

    SUBCASE("dropped from the cache -> there as before, and later writes as well") {
      const FileId file = place.fs().create("a", w.done());
      REQUIRE(w.wait());
      place.fs().write(file, 0, {text("first ")}, true, w.done());
      REQUIRE(w.wait());
      place.fs().drop_cached(file);
      place.fs().write(file, 6, {text("second")}, true, w.done());
      REQUIRE(w.wait());
      CHECK(read_file(place, file, 0, 100) == "first second");
    }

    // A server that writes at full speed would meet ENOSPC before the next look.
    SUBCASE("a write is submitted, and makes its file longer -> no longer counted as free") {
      constexpr std::uint64_t growth = 1 << 20;
      const auto zeros = std::make_shared<std::vector<std::byte>>(growth);
      bool counted = false;
      for (int tries = 0; tries < 20 && !counted; ++tries) {  // others use this disk as well
        const FileId file = place.fs().create("f" + std::to_string(tries), w.done());
        REQUIRE(w.wait());
        const std::uint64_t before = place.fs().free_bytes();
        place.fs().write(file, 0, {Slice(zeros, *zeros)}, false, w.done());
        counted = place.fs().free_bytes() == before - growth;
        REQUIRE(w.wait());
        const std::uint64_t written = place.fs().free_bytes();
        place.fs().write(file, 0, {Slice(zeros, *zeros)}, false, w.done());
        counted = counted && place.fs().free_bytes() == written;
        REQUIRE(w.wait());
      }
      CHECK(counted);
    }

    SUBCASE("the directory is open -> nobody else can open it") {
      const IoStatus status = place.another().open_directory();
      CHECK(status.error == EWOULDBLOCK);
      CHECK(status.what.find("in use by another process") != std::string::npos);
    }

    SUBCASE("files -> usable at once after create, in order; there after a reopen") {
      const FileId file = place.fs().create("a", [](IoStatus status) { CHECK(status); });
      place.fs().write(file, 3, {text("def"), text(""), text("gh")}, true,
                       [](IoStatus status) { CHECK(status); });
      place.fs().write(file, 0, {text("abc")}, true, w.done());
      CHECK(w.wait());
      place.fs().sync_directory(w.done());
      CHECK(w.wait());
      CHECK(read_file(place, file, 0, 100) == "abcdefgh");
      CHECK(read_file(place, file, 2, 3) == "cde");
      CHECK(read_file(place, file, 8, 3).empty());
      CHECK(read_file(place, file, 100, 3).empty());
      CHECK(read_file(place, file, 0, 0).empty());

      place.reopen();
      REQUIRE(place.fs().open_directory());
      std::vector<std::string> names;
      REQUIRE(place.fs().list(names));
      CHECK(names == std::vector<std::string>{"a"});
      FileId again = FileId::none;
      std::uint64_t size = 0;
      REQUIRE(place.fs().open("a", again, size));
      CHECK(size == 8);
      std::array<std::byte, 6> bytes{};
      std::size_t count = 0;
      REQUIRE(place.fs().read_now(again, 4, bytes, count));
      CHECK(count == 4);
      CHECK(string_of(Bytes{bytes}.first(4)) == "efgh");
      place.fs().write(again, 8, {text("ij")}, true, w.done());
      CHECK(w.wait());
      CHECK(read_file(place, again, 0, 100) == "abcdefghij");
    }

    SUBCASE("a hole -> reads as zeros") {
      const FileId file = place.fs().create("a", w.done());
      CHECK(w.wait());
      place.fs().write(file, 5, {text("x")}, false, w.done());
      CHECK(w.wait());
      CHECK(read_file(place, file, 0, 10) == std::string(5, '\0') + "x");
    }

    SUBCASE("thousands of slices in one write -> all there, in order") {
      const FileId file = place.fs().create("a", w.done());
      CHECK(w.wait());
      std::vector<Slice> slices;
      std::string all;
      for (int i = 0; i < 5000; ++i) {
        slices.push_back(text(std::to_string(i) + ","));
        all += std::to_string(i) + ",";
      }
      place.fs().write(file, 0, slices, true, w.done());
      CHECK(w.wait());
      CHECK(read_file(place, file, 0, all.size() + 1) == all);
    }

    SUBCASE("create of what exists, open of what does not -> errors with the name") {
      place.fs().create("a", w.done());
      CHECK(w.wait());
      place.fs().create("a", w.done());
      const IoStatus exists = w.wait();
      CHECK(exists.error == EEXIST);
      CHECK(exists.what.find("create a: File exists") != std::string::npos);
      FileId file = FileId::none;
      std::uint64_t size = 0;
      CHECK(place.fs().open("b", file, size).error == ENOENT);
      place.fs().remove("b", w.done());
      CHECK(w.wait().error == ENOENT);
      place.fs().rename("b", "c", w.done());
      CHECK(w.wait().error == ENOENT);
    }

    SUBCASE("rename -> replaces, and the open file goes with it; remove -> gone") {
      const FileId a = place.fs().create("a", w.done());
      CHECK(w.wait());
      place.fs().create("b", w.done());
      CHECK(w.wait());
      place.fs().rename("a", "b", w.done());
      CHECK(w.wait());
      place.fs().write(a, 0, {text("content of a")}, true, w.done());
      CHECK(w.wait());
      std::vector<std::string> names;
      REQUIRE(place.fs().list(names));
      CHECK(names == std::vector<std::string>{"b"});
      FileId b = FileId::none;
      std::uint64_t size = 0;
      REQUIRE(place.fs().open("b", b, size));
      CHECK(size == 12);
      place.fs().remove("b", w.done());
      CHECK(w.wait());
      REQUIRE(place.fs().list(names));
      CHECK(names.empty());
      CHECK(read_file(place, a, 0, 7) == "content");  // as long as it is open
    }

    SUBCASE("close with operations under way -> they end as if it were open") {
      const FileId file = place.fs().create("a", [](IoStatus status) { CHECK(status); });
      place.fs().write(file, 0, {text("abc")}, true, w.done());
      place.fs().close(file);
      CHECK(w.wait());
      FileId again = FileId::none;
      std::uint64_t size = 0;
      REQUIRE(place.fs().open("a", again, size));
      CHECK(size == 3);
    }

    SUBCASE("completions -> in the order of submission, each exactly once") {
      const FileId file = place.fs().create("a", [](IoStatus) {});
      std::vector<int> order;
      for (int i = 0; i < 200; ++i) {
        place.fs().write(file, static_cast<std::uint64_t>(i), {text("x")}, i % 20 == 0,
                         [&order, i](IoStatus status) {
                           CHECK(status);
                           order.push_back(i);
                         });
      }
      place.fs().sync_directory(w.done());
      CHECK(w.wait());
      REQUIRE(order.size() == 200);
      CHECK(std::is_sorted(order.begin(), order.end()));
    }

    SUBCASE("defer -> not from inside the call, and in order") {
      std::vector<int> order;
      place.fs().defer([&] {
        order.push_back(1);
        place.fs().defer([&] { order.push_back(3); });
      });
      place.fs().defer([&] { order.push_back(2); });
      CHECK(order.empty());
      place.wait_until([&] { return order.size() == 3; });
      CHECK(order == std::vector{1, 2, 3});
    }
  }

  TEST_CASE_TEMPLATE("file system: a log and its identity -> written, closed, found again", Kind,
                     InMemory, OnPosix) {
    Kind place;
    LogOptions options = small_options();
    options.min_free_bytes = 1;
    options.spare_segments = 1;
    RecordMaker maker;
    std::size_t expected = 0;
    for (int round = 0; round < 3; ++round) {
      REQUIRE(place.fs().open_directory());
      Visited visited;
      auto opened = SegmentedLog::open(place.fs(), options, visited);
      REQUIRE(std::holds_alternative<std::unique_ptr<SegmentedLog>>(opened));
      const auto log = std::move(std::get<std::unique_ptr<SegmentedLog>>(opened));
      place.wait_until([&] { return log->ready(); });
      CHECK(visited.records.size() == expected);
      CHECK(log->last().digest == maker.last().digest);
      maker.continue_from(log->last());
      for (int i = 0; i < 200; ++i) {
        log->append(maker.group({300, 20, 1000}));
        log->flush();
        if (i % 50 == 0) place.wait_until([&] { return log->idle(); });
      }
      expected += 600;
      std::optional<ReadResult> answer;
      log->read_cold(After{{}}, no_end, 1 << 20, [&](ReadResult r) { answer = std::move(r); });
      place.wait_until([&] { return answer.has_value(); });
      CHECK(headers_of(*answer).front().zxid == Zxid{Epoch{1}, 1});
      bool stopped = false;
      log->stop([&] { stopped = true; });
      place.wait_until([&] { return stopped; });
      CHECK(log->durable() == maker.last().zxid);
      place.reopen();
    }
  }

  TEST_CASE_TEMPLATE("file system: snapshots, freed segments, another history -> found again", Kind,
                     InMemory, OnPosix) {
    Kind place;
    LogOptions options = small_options();
    options.min_free_bytes = 1;
    options.spare_segments = 1;
    RecordMaker maker;
    Ledger ledger;
    std::uint64_t now_ms = 1000;
    Zxid retained;
    for (int round = 0; round < 4; ++round) {
      REQUIRE(place.fs().open_directory());
      Visited visited;
      auto opened = SegmentedLog::open(place.fs(), options, visited);
      REQUIRE(std::holds_alternative<std::unique_ptr<SegmentedLog>>(opened));
      const auto log = std::move(std::get<std::unique_ptr<SegmentedLog>>(opened));
      place.wait_until([&] { return log->ready(); });
      CHECK(log->last().digest == ledger.last().digest);
      CHECK(visited.snapshots.empty() == (round == 0));
      CHECK(log->recovered().unused_snapshots.empty());
      for (int saved = 0; saved < 4; ++saved) {
        for (int i = 0; i < 40; ++i) {
          const Slice records = maker.batch(3000);
          ledger.add(records);
          log->append(records);
          log->flush();
          place.wait_until([&] { return log->durable() == maker.last().zxid; });
        }
        if (!log->segments().empty()) retained = log->segments().back().end.zxid;
        log->save_snapshot(
            ledger.snapshot(maker.last().zxid, retained, log->floor().zxid, 3 << 20));
        place.wait_until([&] { return !log->saving_snapshot(); });
        log->tick(now_ms += 10);
      }
      CHECK_FALSE(is_none(log->floor().zxid));
      CHECK(log->segments().size() < 10);
      std::optional<ReadResult> answer;
      log->read_cold(After{log->floor().zxid}, no_end, 1 << 20,
                     [&](ReadResult r) { answer = std::move(r); });
      place.wait_until([&] { return answer.has_value(); });
      CHECK(headers_of(*answer).front().zxid == next(log->floor().zxid));
      if (round == 2) {  // the same history once more, as if from a leader
        const Zxid floor = ledger.ends()[ledger.ends().size() - 2].zxid;
        bool installed = false;
        struct Told final : HistoryLog::Listener {
          explicit Told(bool& told) : installed(told) {}
          void on_durable(Zxid) override {}
          void on_rewound(bool) override { installed = true; }
          void on_drained(Zxid) override {}
          void on_failed(const Failure&) override {}
          bool& installed;
        } listener(installed);
        log->set_listener(&listener);
        const Slice last = joined(log->read_hot(After{floor}, no_end, 1)->slices);
        log->install({ledger.at(floor), ++options.generation,
                      ledger.snapshot(maker.last().zxid, floor, floor)});
        place.wait_until([&] { return installed; });
        log->append(last);
        log->flush();
        place.wait_until([&] { return log->durable() == maker.last().zxid; });
        log->adopt_installed();
        log->remove_replaced();
      }
      bool stopped = false;
      log->stop([&] { stopped = true; });
      place.wait_until([&] { return stopped; });
      place.reopen();
    }
  }

  TEST_CASE("posix: a directory that cannot be made, is a file, or is missing -> named errors") {
    const TemporaryDirectory directory;
    const std::string file = directory.path + "/file";
    std::filesystem::create_directory(directory.path + "/empty");
    {
      PosixFileSystem fs(directory.path);
      REQUIRE(fs.open_directory());
      bool created = false;
      fs.create("file", [&](IoStatus) { created = true; });
      while (!created) {
        pollfd item{fs.completion_fd(), POLLIN, 0};
        REQUIRE(::poll(&item, 1, wait_ms) == 1);
        fs.run_completions();
      }
    }

    const IoStatus in_file = PosixFileSystem(file + "/data").open_directory();
    CHECK(in_file.error == ENOTDIR);
    CHECK(in_file.what.find(file) != std::string::npos);
    CHECK(PosixFileSystem(file).open_directory().error == ENOTDIR);
    PosixFileSystem missing(directory.path + "/none", PosixFileSystem::Access::read_only);
    CHECK(missing.open_directory().error == ENOENT);
    CHECK_FALSE(std::filesystem::exists(directory.path + "/none"));
    PosixFileSystem slash(directory.path + "/empty/");
    CHECK(slash.open_directory());
  }

  TEST_CASE("posix: readers share the directory, a writer keeps it to itself") {
    const TemporaryDirectory directory;
    using Access = PosixFileSystem::Access;
    {
      PosixFileSystem one(directory.path, Access::read_only);
      PosixFileSystem two(directory.path, Access::read_only);
      PosixFileSystem writer(directory.path);
      CHECK(one.open_directory());
      CHECK(two.open_directory());
      CHECK(writer.open_directory().error == EWOULDBLOCK);
    }
    PosixFileSystem writer(directory.path);
    REQUIRE(writer.open_directory());

    const VerifyReport report = verify_directory(directory.path);

    CHECK(report.verdict == VerifyReport::Verdict::unreadable);
    CHECK(report.text.find("in use") != std::string::npos);
  }
}

}  // namespace zabmq::storage
