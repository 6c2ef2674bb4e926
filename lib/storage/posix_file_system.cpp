// POSIX file system: system calls on two threads. What the threads share is Completions, which has
// its own lock, and files, which are opened once and closed when the last operation has ended.
#include "storage/posix_file_system.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::storage {
namespace {

constexpr std::chrono::milliseconds free_bytes_age_max{200};
constexpr mode_t file_mode = 0640;

IoStatus failed_with(int error, const std::string& call, const std::string& name) {
  return {error, call + " " + name + ": " + std::generic_category().message(error)};
}

IoStatus last_error(const std::string& call, const std::string& name) {
  return failed_with(errno, call, name);
}

template <class Call>
auto retry_interrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Closed with the last operation that uses it.
struct File {
  explicit File(std::string name) : name_(std::move(name)) {}
  ~File() {
    const int open_fd = fd.load();
    if (open_fd >= 0) ::close(open_fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::string name() const {
    const std::lock_guard lock(mutex_);
    return name_;
  }
  void rename(const std::string& to) {
    const std::lock_guard lock(mutex_);
    name_ = to;
  }

  std::atomic<int> fd{-1};   // set by the log thread for files that it creates
  std::uint64_t length = 0;  // once all that was submitted is written; of the submitting thread

 private:
  mutable std::mutex mutex_;
  std::string name_;  // for error texts
};
using FilePtr = std::shared_ptr<File>;

// Calls that have ended, waiting for the submitting thread.
class Completions {
 public:
  Completions() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { ZABMQ_CHECK(event_ >= 0); }
  ~Completions() { ::close(event_); }
  Completions(const Completions&) = delete;
  Completions& operator=(const Completions&) = delete;

  int fd() const { return event_; }

  void push(std::function<void()> call) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      first = waiting_.empty();
      waiting_.push_back(std::move(call));
    }
    const std::uint64_t one = 1;
    if (first) retry_interrupted([&] { return ::write(event_, &one, sizeof one); });
  }

  void run() {
    std::uint64_t count = 0;
    retry_interrupted([&] { return ::read(event_, &count, sizeof count); });
    std::vector<std::function<void()>> calls;
    {
      const std::lock_guard lock(mutex_);
      calls.swap(waiting_);
    }
    for (std::function<void()>& call : calls) call();
  }

 private:
  int event_;
  std::mutex mutex_;
  std::vector<std::function<void()>> waiting_;
};

// Performs jobs in order on a thread of its own. A job is the system call and returns its
// completion.
class Worker {
 public:
  using Job = std::function<std::function<void()>()>;

  explicit Worker(Completions& completions) : completions_(completions) {
    thread_ = std::thread([this] { loop(); });
  }
  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void submit(Job job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return ending_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      if (auto completion = job()) completions_.push(std::move(completion));
      job = nullptr;  // what it holds is freed without the lock
      lock.lock();
    }
  }

  Completions& completions_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool ending_ = false;
  std::thread thread_;
};

// Moves the front of `parts` past `count` written bytes; returns the parts still to do.
std::span<iovec> skip_written(std::span<iovec> parts, std::size_t count) {
  while (!parts.empty() && count >= parts.front().iov_len) {
    count -= parts.front().iov_len;
    parts = parts.subspan(1);
  }
  if (count > 0) {
    parts.front().iov_base = static_cast<std::byte*>(parts.front().iov_base) + count;
    parts.front().iov_len -= count;
  }
  return parts;
}

IoStatus write_all(const File& file, std::uint64_t position, const std::vector<Slice>& slices) {
  std::vector<iovec> all;
  all.reserve(slices.size());
  for (const Slice& slice : slices) {
    if (slice.empty()) continue;
    all.push_back({const_cast<std::byte*>(slice.bytes().data()), slice.size()});
  }
  for (std::span<iovec> rest = all; !rest.empty();) {
    const auto some = static_cast<int>(std::min<std::size_t>(rest.size(), IOV_MAX));
    const ssize_t written = retry_interrupted(
        [&] { return ::pwritev(file.fd.load(), rest.data(), some, static_cast<off_t>(position)); });
    if (written < 0) return last_error("pwritev", file.name());
    if (written == 0) return failed_with(ENOSPC, "pwritev", file.name());
    position += static_cast<std::uint64_t>(written);
    rest = skip_written(rest, static_cast<std::size_t>(written));
  }
  return {};
}

IoStatus read_all(const File& file, std::uint64_t position, std::span<std::byte> into,
                  std::size_t& count) {
  count = 0;
  while (count < into.size()) {
    const ssize_t got = retry_interrupted([&] {
      return ::pread(file.fd.load(), into.data() + count, into.size() - count,
                     static_cast<off_t>(position + count));
    });
    if (got < 0) return last_error("pread", file.name());
    if (got == 0) break;
    count += static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace

class PosixFileSystem::Parts {
 public:
  Parts(std::string path, Access wanted) : directory(std::move(path)), access(wanted) {}
  ~Parts() {
    writer.reset();
    reader.reset();
    if (directory_fd >= 0) ::close(directory_fd);
  }

  FilePtr file(FileId id) const {
    const auto found = files.find(id);
    ZABMQ_CHECK(found != files.end());
    return found->second;
  }

  FileId keep(FilePtr opened) {
    const FileId id{++last_id};
    files.emplace(id, std::move(opened));
    return id;
  }

  // A call on the log thread whose status is told to `done`.
  template <class Call>
  void submit(Call call, Done done) {
    ZABMQ_CHECK(writer != nullptr);
    writer->submit([call = std::move(call), done = std::move(done)]() mutable {
      return [status = call(), done = std::move(done)]() mutable { done(std::move(status)); };
    });
  }

  const std::string directory;
  const Access access;
  int directory_fd = -1;
  std::uint32_t last_id = 0;
  std::map<FileId, FilePtr> files;
  // Bytes by which files became longer: submitted, and written since; what statvfs said, and how
  // many of them it may know.
  std::uint64_t growth_submitted = 0;
  std::atomic<std::uint64_t> growth_written{0};
  std::uint64_t free = 0;
  std::uint64_t free_knows = 0;
  std::chrono::steady_clock::time_point free_read_at{};
  Completions completions;
  std::unique_ptr<Worker> writer;
  std::unique_ptr<Worker> reader;
};

PosixFileSystem::PosixFileSystem(std::string directory, Access access)
    : parts_(std::make_unique<Parts>(std::move(directory), access)) {}

PosixFileSystem::~PosixFileSystem() = default;

int PosixFileSystem::completion_fd() const {
  return parts_->completions.fd();
}

void PosixFileSystem::run_completions() {
  parts_->completions.run();
}

namespace {

// Creates what is missing of the path, each entry synced in its parent.
IoStatus make_directories(const std::filesystem::path& path) {
  if (std::error_code ignored; std::filesystem::is_directory(path, ignored)) return {};
  const std::filesystem::path parent =
      path.has_parent_path() && path.parent_path() != path ? path.parent_path() : ".";
  if (IoStatus status = make_directories(parent); !status) return status;
  if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST)
    return last_error("mkdir", path.string());
  const int fd = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return last_error("open", parent.string());
  const int synced = ::fsync(fd);
  IoStatus status = synced == 0 ? IoStatus{} : last_error("fsync", parent.string());
  ::close(fd);
  return status;
}

}  // namespace

IoStatus PosixFileSystem::open_directory() {
  Parts& p = *parts_;
  const bool read_only = p.access == Access::read_only;
  std::filesystem::path path = std::filesystem::path(p.directory).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (!read_only) {
    if (IoStatus status = make_directories(path); !status) return status;
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return last_error("open", p.directory);
  if (!read_only && ::faccessat(fd, ".", W_OK | X_OK, 0) != 0) {
    IoStatus status = last_error("write to", p.directory);
    ::close(fd);
    return status;
  }
  // Readers share: two of them may look at once, but never beside a server.
  if (::flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    IoStatus status = last_error("flock", p.directory);
    if (status.error == EWOULDBLOCK)
      status.what = "the data directory " + p.directory + " is in use by another process";
    ::close(fd);
    return status;
  }
  p.directory_fd = fd;
  p.writer = std::make_unique<Worker>(p.completions);
  p.reader = std::make_unique<Worker>(p.completions);
  return {};
}

IoStatus PosixFileSystem::list(std::vector<std::string>& names) {
  names.clear();
  std::error_code error;
  for (std::filesystem::directory_iterator it(parts_->directory, error), end; !error && it != end;
       it.increment(error)) {
    if (std::error_code ignored; it->is_regular_file(ignored))
      names.push_back(it->path().filename().string());
  }
  return error ? failed_with(error.value(), "readdir", parts_->directory) : IoStatus{};
}

IoStatus PosixFileSystem::open(const std::string& name, FileId& file, std::uint64_t& size) {
  Parts& p = *parts_;
  const int mode = p.access == Access::read_only ? O_RDONLY : O_RDWR;
  auto opened = std::make_shared<File>(name);
  opened->fd = ::openat(p.directory_fd, name.c_str(), mode | O_CLOEXEC);
  if (opened->fd < 0) return last_error("open", name);
  struct stat info {};
  if (::fstat(opened->fd, &info) != 0) return last_error("fstat", name);
  size = static_cast<std::uint64_t>(info.st_size);
  opened->length = size;
  file = p.keep(std::move(opened));
  return {};
}

IoStatus PosixFileSystem::read_now(FileId file, std::uint64_t position, std::span<std::byte> into,
                                   std::size_t& count) {
  return read_all(*parts_->file(file), position, into, count);
}

void PosixFileSystem::write(FileId file, std::uint64_t position, std::vector<Slice> slices,
                            bool sync, Done done) {
  Parts& p = *parts_;
  const FilePtr f = p.file(file);
  std::uint64_t end = position;
  for (const Slice& slice : slices) end += slice.size();
  const std::uint64_t growth = end - std::min(end, f->length);
  f->length += growth;
  p.growth_submitted += growth;
  p.submit(
      [f, position, slices = std::move(slices), sync, growth, &written = p.growth_written] {
        IoStatus status = write_all(*f, position, slices);
        written += growth;
        if (status && sync && ::fdatasync(f->fd) != 0) status = last_error("fdatasync", f->name());
        return status;
      },
      std::move(done));
}

FileId PosixFileSystem::create(const std::string& name, Done done) {
  auto created = std::make_shared<File>(name);
  parts_->submit(
      [created, directory = parts_->directory_fd] {
        created->fd = ::openat(directory, created->name().c_str(),
                               O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, file_mode);
        return created->fd < 0 ? last_error("create", created->name()) : IoStatus{};
      },
      std::move(done));
  return parts_->keep(std::move(created));
}

void PosixFileSystem::rename(const std::string& from, const std::string& to, Done done) {
  for (const auto& [id, file] : parts_->files) {
    if (file->name() == from) file->rename(to);
  }
  parts_->submit(
      [from, to, directory = parts_->directory_fd] {
        return ::renameat(directory, from.c_str(), directory, to.c_str()) == 0
                   ? IoStatus{}
                   : last_error("rename", from + " to " + to);
      },
      std::move(done));
}

void PosixFileSystem::remove(const std::string& name, Done done) {
  parts_->submit(
      [name, directory = parts_->directory_fd] {
        return ::unlinkat(directory, name.c_str(), 0) == 0 ? IoStatus{}
                                                           : last_error("unlink", name);
      },
      std::move(done));
}

void PosixFileSystem::sync_directory(Done done) {
  parts_->submit(
      [directory = parts_->directory_fd, name = parts_->directory] {
        return ::fsync(directory) == 0 ? IoStatus{} : last_error("fsync", name);
      },
      std::move(done));
}

void PosixFileSystem::close(FileId file) {
  parts_->files.erase(file);
}

void PosixFileSystem::drop_cached(FileId file) {
  parts_->submit(
      [f = parts_->file(file)] {
        ::posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
        return IoStatus{};
      },
      [](const IoStatus&) {});
}

void PosixFileSystem::read(FileId file, std::uint64_t position, std::size_t count, ReadDone done) {
  parts_->reader->submit([f = parts_->file(file), position, count, done = std::move(done)]() {
    auto bytes = std::make_shared_for_overwrite<std::byte[]>(count);
    std::size_t got = 0;
    IoStatus status = read_all(*f, position, {bytes.get(), count}, got);
    Slice slice(bytes, {bytes.get(), status ? got : 0});
    return [status = std::move(status), slice = std::move(slice), done]() { done(status, slice); };
  });
}

void PosixFileSystem::defer(std::function<void()> call) {
  parts_->completions.push(std::move(call));
}

std::uint64_t PosixFileSystem::free_bytes() {
  Parts& p = *parts_;
  const auto now = std::chrono::steady_clock::now();
  if (p.free_read_at == std::chrono::steady_clock::time_point{} ||
      now - p.free_read_at >= free_bytes_age_max) {
    p.free_knows = p.growth_written;
    struct statvfs info {};
    if (::fstatvfs(p.directory_fd, &info) == 0)
      p.free = std::uint64_t{info.f_bavail} * info.f_frsize;
    p.free_read_at = now;
  }
  return p.free - std::min(p.free, p.growth_submitted - p.free_knows);
}

}  // namespace zabmq::storage
