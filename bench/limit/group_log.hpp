// GroupLog: a file that takes groups of bytes, one write and one fdatasync each.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <string>
#include <vector>

#include "run.hpp"

namespace zabmq::limit {

// Writes recycled logs from end to end, unless an earlier run has done so.
void prepare_logs(const Run& run);

class GroupLog {
 public:
  GroupLog(const Run& run, std::size_t server);
  ~GroupLog();
  GroupLog(const GroupLog&) = delete;
  GroupLog& operator=(const GroupLog&) = delete;

  void append(iovec* parts, std::size_t count);
  // Adds what was written and synced, and this process's time since the first append.
  void settle(Account& account) const;

 private:
  void start_account();

  const LogState state_;
  int fd_ = -1;
  const std::size_t recycled_bytes_;  // 0: it grows
  std::size_t position_ = 0;
  bool started_ = false;
  Account account_;  // the times: at the first append
};

}  // namespace zabmq::limit
