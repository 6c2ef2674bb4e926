// LogComparison: what the servers' directories hold when all is over, as `zabmq log dump` reads it,
// and whether it is one history. Clients do not see zxids that hold no message; the logs do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::nemesis {

// What makes a transaction the same on two servers. The digest covers its content and all before
// it.
struct LoggedTransaction {
  Zxid zxid;
  Offset offset = 0;  // of its last message, or the last one before it
  Digest digest = Digest::none;
  friend bool operator==(const LoggedTransaction&, const LoggedTransaction&) = default;
};

struct ServerLog {
  ServerId server = ServerId::none;
  LoggedTransaction floor;                      // the last one that was let go
  std::vector<LoggedTransaction> transactions;  // first to last
  Zxid delivered;                               // by its newest mark
  std::string problem;  // the verdict of the dump, when the log is not readable and clean
};

ServerLog read_log(ServerId server, const std::filesystem::path& data);

struct LogVerdict {
  std::uint64_t compared = 0;  // transactions that every server has
  std::uint64_t epochs = 0;    // in the longest log
  std::vector<std::string> violations;
};

// Every log: epochs never fall, and counters run from 1 without a hole inside each, behind the
// floor. All logs: the same transactions from the greater of two floors, which both must know, up
// to the message at offset `end`, which all must have, and up to what both of two servers know to
// be delivered. Behind that tails may differ.
LogVerdict compare_logs(const std::vector<ServerLog>& logs, Offset end);

}  // namespace zabmq::nemesis
