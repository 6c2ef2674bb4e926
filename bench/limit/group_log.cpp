// GroupLog: pwritev and fdatasync.
#include "group_log.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "sockets.hpp"

namespace zabmq::limit {

namespace {

constexpr std::size_t parts_of_a_write = 1000;  // below IOV_MAX
constexpr std::size_t zeros_size = 1 << 20;

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

void write_zeros(const std::string& file, std::size_t bytes) {
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  struct stat found {};
  if (fd < 0 || fstat(fd, &found) != 0) die(file);
  const std::vector<char> zeros(zeros_size);
  const auto size = static_cast<ssize_t>(zeros.size());
  const bool enough = static_cast<std::size_t>(found.st_size) >= bytes;
  for (std::size_t at = 0; at < bytes && !enough; at += zeros.size()) {
    if (pwrite(fd, zeros.data(), zeros.size(), static_cast<off_t>(at)) != size) die(file);
  }
  if (fsync(fd) != 0) die(file);
  close(fd);
}

}  // namespace

void prepare_logs(const Run& run) {
  if (run.log != LogState::recycled) return;
  for (std::size_t server = 0; server < run.servers; ++server) {
    write_zeros(run.log_file(server), run.recycled_bytes);
  }
}

GroupLog::GroupLog(const Run& run, std::size_t server)
    : state_(run.log), recycled_bytes_(run.log == LogState::recycled ? run.recycled_bytes : 0) {
  if (state_ == LogState::none) return;
  const std::string file = run.log_file(server);
  const int truncates = recycled_bytes_ > 0 ? 0 : O_TRUNC;
  fd_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | truncates, 0644);
  if (fd_ < 0) die(file);
}

GroupLog::~GroupLog() {
  if (fd_ >= 0) close(fd_);
}

void GroupLog::start_account() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  account_.user_seconds = seconds_of(used.ru_utime);
  account_.system_seconds = seconds_of(used.ru_stime);
  started_ = true;
}

void GroupLog::append(iovec* parts, std::size_t count) {
  if (!started_) start_account();
  if (state_ == LogState::none) return;
  std::size_t size = 0;
  for (std::size_t i = 0; i < count; ++i) size += parts[i].iov_len;
  if (recycled_bytes_ > 0 && position_ + size > recycled_bytes_) position_ = 0;
  for (std::size_t i = 0; i < count; i += parts_of_a_write) {
    const std::size_t some = std::min(parts_of_a_write, count - i);
    ssize_t wanted = 0;
    for (std::size_t j = i; j < i + some; ++j) wanted += static_cast<ssize_t>(parts[j].iov_len);
    const auto at = static_cast<off_t>(position_);
    if (pwritev(fd_, parts + i, static_cast<int>(some), at) != wanted) die("pwritev");
    position_ += static_cast<std::size_t>(wanted);
  }
  account_.bytes += size;
  if (state_ == LogState::unsynced) return;
  const auto before = Clock::now();
  if (fdatasync(fd_) != 0) die("fdatasync");
  account_.sync_seconds += std::chrono::duration<double>(Clock::now() - before).count();
  ++account_.syncs;
}

void GroupLog::settle(Account& account) const {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  account = account_;
  account.user_seconds = seconds_of(used.ru_utime) - account_.user_seconds;
  account.system_seconds = seconds_of(used.ru_stime) - account_.system_seconds;
}

}  // namespace zabmq::limit
