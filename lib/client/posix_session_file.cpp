// PosixSessionFile: the text's form, and the steps that make a change durable.
#include "client/posix_session_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "client/posix_random.hpp"
#include "zabmq/publisher.hpp"
#include "zabmq/record.hpp"

namespace zabmq::client {
namespace {

// Version 1 had no `input`; such a file is read, and written again in version 2.
constexpr std::uint64_t version_now = 2;
constexpr std::uint64_t version_without_input = 1;
constexpr std::size_t file_size_max = 4096;
constexpr int attempts_max = 100;  // to open a file before another process replaces it

constexpr bool is_known(std::uint64_t version) {
  return version_without_input <= version && version <= version_now;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

UsageError unusable(const std::string& path, const std::string& why) {
  return UsageError("session file " + path + ": " + why);
}

UsageError failed(const std::string& path, const std::string& step) {
  return unusable(path, step + " failed: " + std::strerror(errno));
}

std::string hex(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

std::string sealed(const std::string& text) {
  const Digest digest = checksum({reinterpret_cast<const std::byte*>(text.data()), text.size()});
  return text + "checksum " + hex(static_cast<std::uint64_t>(digest)) + "\n";
}

std::string text_of(const SessionRecord& record, std::uint64_t version) {
  std::string text = "zabmq-session " + std::to_string(version) + "\npublisher " +
                     to_string(record.publisher) + "\ncluster " + to_string(record.cluster) +
                     "\nhistory " + to_string(record.history) + "\ninstance " +
                     std::to_string(record.instance) + "\nlast " + std::to_string(record.last) +
                     "\n";
  if (version != version_without_input) {
    text += "input " + std::to_string(record.input.count) + " " +
            hex(static_cast<std::uint64_t>(record.input.digest)) + "\n";
  }
  return sealed(text);
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base = 10) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The value behind "name " in the next line.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view name) {
  const std::size_t end = text.find('\n');
  if (end == text.npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') {
    return std::nullopt;
  }
  return line.substr(name.size() + 1);
}

// "COUNT DIGEST"
std::optional<InputDigest> parse_input(std::string_view text) {
  const std::size_t blank = text.find(' ');
  if (blank == text.npos) return std::nullopt;
  const auto count = parse_number(text.substr(0, blank));
  const auto digest = parse_number(text.substr(blank + 1), 16);
  if (!count || !digest) return std::nullopt;
  return InputDigest{*count, static_cast<Digest>(*digest)};
}

// Written again it must be the same: no other bytes are left over, and the checksum fits.
std::optional<SessionRecord> parse(const std::string& whole) {
  std::string_view text = whole;
  const auto version = parse_number(take_line(text, "zabmq-session").value_or(""));
  if (!version || !is_known(*version)) return std::nullopt;
  const auto publisher = take_line(text, "publisher");
  const auto cluster = take_line(text, "cluster");
  const auto history = take_line(text, "history");
  const auto instance = take_line(text, "instance");
  const auto last = take_line(text, "last");
  if (!publisher || !cluster || !history || !instance || !last) return std::nullopt;
  const auto id = parse_uuid(*publisher);
  const auto cluster_id = parse_uuid(*cluster);
  const auto history_id = parse_uuid(*history);
  const auto instance_number = parse_number(*instance);
  const auto last_number = parse_number(*last);
  if (!id || is_none(*id) || !cluster_id || !history_id || !instance_number || !last_number) {
    return std::nullopt;
  }
  SessionRecord record{*id, *cluster_id, *history_id, *instance_number, *last_number, {}};
  if (version != version_without_input) {
    const auto input = parse_input(take_line(text, "input").value_or(""));
    if (!input || input->count > record.last) return std::nullopt;
    record.input = *input;
  }
  if (text_of(record, *version) != whole) return std::nullopt;
  return record;
}

bool is_of_other_version(std::string_view text) {
  const auto number = parse_number(take_line(text, "zabmq-session").value_or(""));
  return number && !is_known(*number);
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

void sync_directory(const std::string& path) {
  const Descriptor directory(
      ::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) throw failed(path, "opening its directory");
  if (::fsync(directory.get()) != 0) throw failed(path, "syncing its directory");
}

void write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw failed(path, "writing it");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

bool is_same_file(int fd, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

UsageError in_use(const std::string& path) {
  return unusable(path, "in use by another process: one publisher at a time");
}

UsageError replaced_again(const std::string& path) {
  return unusable(path, "another process replaces it again and again");
}

// Before it was locked, another process that creates the session file may have renamed this one:
// then it is that publisher's memory, and not ours to write.
int open_temporary(const std::string& temporary, const std::string& path) {
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    Descriptor file(::open(temporary.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (file.get() < 0) throw failed(path, "creating it");
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) throw in_use(path);
    if (is_same_file(file.get(), temporary)) return file.release();
  }
  throw replaced_again(path);
}

}  // namespace

std::string to_text(const SessionRecord& record) {
  return text_of(record, version_now);
}

PosixSessionFile::PosixSessionFile(const std::string& path) : path_(path) {
  // Whoever stores replaces the file: what was opened may be out of date once the lock is held.
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    if (!open_existing()) {
      if (create()) return;
    } else if (is_same_file(fd_, path_)) {
      read();
      return;
    } else {
      ::close(std::exchange(fd_, -1));
    }
  }
  throw replaced_again(path_);
}

PosixSessionFile::~PosixSessionFile() {
  if (fd_ >= 0) ::close(fd_);
}

// False: there is none.
bool PosixSessionFile::open_existing() {
  Descriptor file(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return false;
  if (file.get() < 0) throw failed(path_, "opening it");
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) throw in_use(path_);
  fd_ = file.release();
  return true;
}

// False: another process has just created it.
bool PosixSessionFile::create() {
  SessionRecord fresh;
  fresh.publisher = random_uuid();
  try {
    return replace(fresh, RENAME_NOREPLACE);
  } catch (const UsageError&) {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));  // (a constructor has no destructor)
    throw;
  }
}

void PosixSessionFile::read() {
  std::string text(file_size_max + 1, '\0');
  const ssize_t size = ::pread(fd_, text.data(), text.size(), 0);
  if (size < 0) {
    const UsageError error = failed(path_, "reading it");
    ::close(std::exchange(fd_, -1));
    throw error;
  }
  text.resize(static_cast<std::size_t>(size));
  const std::optional<SessionRecord> record = parse(text);
  if (!record) {
    ::close(std::exchange(fd_, -1));
    throw unusable(path_,
                   is_of_other_version(text)
                       ? "of another version of zabmq"
                       : "damaged, or no session file: move it away to begin a new publisher");
  }
  record_ = *record;
}

void PosixSessionFile::store(const SessionRecord& record) {
  replace(record, 0);
}

// The new file is locked before it gets the name, so that there is no moment in which the named
// file is not locked by us.
bool PosixSessionFile::replace(const SessionRecord& record, unsigned rename_flags) {
  const std::string temporary = path_ + ".tmp";
  // The Python client was killed when it had linked its new file, and this name was still there.
  if (fd_ >= 0 && is_same_file(fd_, temporary)) ::unlink(temporary.c_str());
  Descriptor file(open_temporary(temporary, path_));
  if (::ftruncate(file.get(), 0) != 0) throw failed(path_, "writing it");
  write_all(file.get(), to_text(record), path_);
  if (::fsync(file.get()) != 0) throw failed(path_, "writing it");
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path_.c_str(), rename_flags) != 0) {
    if (errno == EEXIST) return ::unlink(temporary.c_str()), false;
    throw failed(path_, "replacing it");
  }
  const Descriptor before(std::exchange(fd_, file.release()));  // the lock goes with the name
  sync_directory(path_);
  record_ = record;
  return true;
}

}  // namespace zabmq::client
