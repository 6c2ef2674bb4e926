// SessionFileTest: a publisher's memory on disk.
#include <doctest/doctest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>

#include "client/posix_session_file.hpp"
#include "zabmq/result.hpp"

namespace {

std::function<void()> before_next_lock;
bool directories_sync = true;

bool is_directory(int fd) {
  struct stat about {};
  return ::fstat(fd, &about) == 0 && S_ISDIR(about.st_mode);
}

}  // namespace

// In place of libc's: what another process does between opening and locking.
extern "C" int flock(int fd, int operation) noexcept {
  if (const auto meanwhile = std::exchange(before_next_lock, nullptr)) meanwhile();
  return static_cast<int>(::syscall(SYS_flock, fd, operation));
}

// In place of libc's: a disk that fails once the file has its name.
extern "C" int fsync(int fd) {
  if (directories_sync || !is_directory(fd)) return static_cast<int>(::syscall(SYS_fsync, fd));
  errno = EIO;
  return -1;
}

namespace zabmq::client {
namespace {

class Directory {
 public:
  Directory() {
    std::string name = std::filesystem::temp_directory_path() / "zabmq-session-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string file(const std::string& name = "session") const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

Error refused(const std::string& path) {
  try {
    const PosixSessionFile file(path);
  } catch (const Error& error) {
    return error;
  }
  FAIL("the file was taken");
  return {Code::protocol, Outcome::no, ""};
}

SessionRecord sample() {
  SessionRecord record;
  for (std::size_t i = 0; i < 16; ++i) record.publisher.bytes[i] = static_cast<std::byte>(i + 1);
  record.cluster.bytes[0] = std::byte{0xab};
  record.history.bytes[15] = std::byte{0xcd};
  record.instance = 3;
  record.last = 4242;
  record.input = {4096, static_cast<Digest>(0x0123456789abcdef)};
  return record;
}

}  // namespace

TEST_SUITE("client/session_file") {
  TEST_CASE("text: version 2 -> golden, version 1 knew nothing of the input and is read") {
    const std::string version_1 =
        "zabmq-session 1\n"
        "publisher 0102030405060708090a0b0c0d0e0f10\n"
        "cluster ab000000000000000000000000000000\n"
        "history 000000000000000000000000000000cd\n"
        "instance 3\n"
        "last 4242\n"
        "checksum f1fc2bed2aedcd6e\n";
    const Directory directory;
    write(directory.file(), version_1);
    SessionRecord known = sample();
    known.input = {};
    CHECK(PosixSessionFile(directory.file()).record() == known);
    write(directory.file(), version_1 + "input 0 0000000000000000\n");
    CHECK(refused(directory.file()).code == Code::refused);

    CHECK(to_text(sample()) ==
          "zabmq-session 2\n"
          "publisher 0102030405060708090a0b0c0d0e0f10\n"
          "cluster ab000000000000000000000000000000\n"
          "history 000000000000000000000000000000cd\n"
          "instance 3\n"
          "last 4242\n"
          "input 4096 0123456789abcdef\n"
          "checksum e93007e7d331fc40\n");
  }

  TEST_CASE("missing -> created with a new id, there -> the same id and what was stored") {
    const Directory directory;
    SessionRecord stored = sample();
    {
      PosixSessionFile file(directory.file());
      CHECK_FALSE(is_none(file.record().publisher));
      CHECK(file.record().last == 0);
      stored.publisher = file.record().publisher;
      file.store(stored);
      CHECK(file.record() == stored);
    }
    CHECK(PosixSessionFile(directory.file()).record() == stored);
    CHECK_FALSE(PosixSessionFile(directory.file("other")).record().publisher == stored.publisher);
    CHECK_FALSE(std::filesystem::exists(directory.file() + ".tmp"));
  }

  TEST_CASE("in use -> refused by name, also after the file was replaced, free again afterwards") {
    const Directory directory;
    {
      PosixSessionFile file(directory.file());
      CHECK(std::string(refused(directory.file()).what()).find(directory.file()) !=
            std::string::npos);
      file.store(file.record());
      CHECK(refused(directory.file()).code == Code::refused);
    }
    CHECK_NOTHROW(PosixSessionFile(directory.file()));
  }

  TEST_CASE("renamed, and then something fails -> told, and nobody else gets the file") {
    const Directory directory;
    PosixSessionFile file(directory.file());
    SessionRecord more = file.record();
    more.last = 1;
    directories_sync = false;
    CHECK_THROWS_AS(file.store(more), UsageError);
    directories_sync = true;
    REQUIRE(read(directory.file()) == to_text(more));

    CHECK(std::string(refused(directory.file()).what()).find("in use") != std::string::npos);
  }

  TEST_CASE("any damage, missing or additional bytes -> refused by name, file untouched") {
    const Directory directory;
    const std::string good = to_text(sample());
    write(directory.file(), good);
    REQUIRE(PosixSessionFile(directory.file()).record() == sample());
    for (std::size_t i = 0; i < good.size(); ++i) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 1);
      write(directory.file(), bad);
      CHECK(refused(directory.file()).code == Code::refused);
      write(directory.file(), good.substr(0, i));
      CHECK(refused(directory.file()).code == Code::refused);
    }
    write(directory.file(), good + "\n");
    CHECK(refused(directory.file()).code == Code::refused);
    CHECK(read(directory.file()) == good + "\n");
  }

  TEST_CASE("of a newer version -> refused as such, not a file -> refused") {
    const Directory directory;
    write(directory.file(), "zabmq-session 3\n");
    CHECK(std::string(refused(directory.file()).what()).find("version") != std::string::npos);
    std::filesystem::create_directory(directory.file("folder"));
    CHECK(refused(directory.file("folder")).code == Code::refused);
    const std::string missing = refused(directory.file("missing/session")).what();
    CHECK(missing.find(directory.file("missing/session") + ": creating it failed: No such") !=
          std::string::npos);
    CHECK(missing.find(".tmp") == std::string::npos);
  }

  TEST_CASE("another process creates and stores before ours is locked -> its publisher goes on") {
    const Directory directory;
    SessionRecord stored = sample();
    before_next_lock = [&] {
      PosixSessionFile other(directory.file());
      stored.publisher = other.record().publisher;
      other.store(stored);
    };
    CHECK(PosixSessionFile(directory.file()).record() == stored);

    // ... and stores no more before it ends: the file it created is the one that ours has open.
    before_next_lock = [&] {
      stored.publisher = PosixSessionFile(directory.file("second")).record().publisher;
    };
    CHECK(PosixSessionFile(directory.file("second")).record().publisher == stored.publisher);
    CHECK_FALSE(std::filesystem::exists(directory.file("second") + ".tmp"));
  }

  TEST_CASE("a file that is there when ours shall get its name -> is taken, nothing left over") {
    const Directory directory;
    before_next_lock = [&] { write(directory.file(), to_text(sample())); };

    CHECK(PosixSessionFile(directory.file()).record() == sample());
    CHECK_FALSE(std::filesystem::exists(directory.file() + ".tmp"));
  }

  TEST_CASE("a temporary file left by a crash -> in nobody's way") {
    const Directory directory;
    write(directory.file() + ".tmp", "half a li");
    const PosixSessionFile file(directory.file());
    CHECK(read(directory.file()) == to_text(file.record()));
  }

  TEST_CASE("the session file has the temporary name, too (Python, killed) -> can be stored") {
    const Directory directory;
    PosixSessionFile file(directory.file());
    std::filesystem::create_hard_link(directory.file(), directory.file() + ".tmp");
    CHECK_NOTHROW(file.store(file.record()));
    CHECK_FALSE(std::filesystem::exists(directory.file() + ".tmp"));
  }
}

}  // namespace zabmq::client
