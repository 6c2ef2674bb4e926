// PosixSessionFile: what a publisher must remember to go on after its process is gone. A small text
// with a checksum, replaced as a whole, durably. Locked while in use: two processes that publish
// with one file would only fence each other.
#pragma once

#include <string>

#include "client/input_digest.hpp"
#include "zabmq/types.hpp"

namespace zabmq::client {

struct SessionRecord {
  Uuid publisher;
  Uuid cluster;  // all zero: not opened yet
  Uuid history;
  Instance instance = 0;  // opened last
  Sequence last = 0;      // known to have been taken
  InputDigest input;      // of what was taken first; at most `last` messages
  friend bool operator==(const SessionRecord&, const SessionRecord&) = default;
};

std::string to_text(const SessionRecord& record);

class PosixSessionFile {
 public:
  // Opens and locks the file; a missing one is created with a new publisher id. Throws
  // UsageError: unreadable, damaged, of a newer version, or in use.
  explicit PosixSessionFile(const std::string& path);
  ~PosixSessionFile();
  PosixSessionFile(const PosixSessionFile&) = delete;
  PosixSessionFile& operator=(const PosixSessionFile&) = delete;

  const SessionRecord& record() const { return record_; }
  // Durable when it returns. Throws UsageError when it could not be written.
  void store(const SessionRecord& record);

 private:
  bool open_existing();
  bool create();
  void read();
  bool replace(const SessionRecord& record, unsigned rename_flags);

  std::string path_;
  int fd_ = -1;  // holds the lock
  SessionRecord record_;
};

}  // namespace zabmq::client
