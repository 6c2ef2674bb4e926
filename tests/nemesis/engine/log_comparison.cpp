// Log comparison: each log for itself, then each with the longest.
#include "nemesis/engine/log_comparison.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "storage/dump.hpp"

namespace zabmq::nemesis {

namespace {

using Transactions = std::vector<LoggedTransaction>;

// Takes what a start would use.
class Collector final : public storage::DumpReader {
 public:
  explicit Collector(ServerLog& log) : log_(log) {}
  void on_identity(const storage::IdentityFile::Loaded&) override {}
  void on_snapshot(const storage::DumpedSnapshot& snapshot) override {
    if (snapshot.used) log_.delivered = std::max(log_.delivered, snapshot.parsed.snapshot.at.zxid);
  }
  void on_segment(const storage::DumpedSegment& segment) override {
    if (!segment.in_chain || std::exchange(begun_, true)) return;
    const storage::LastRecord& before = segment.parsed.header.before;
    log_.floor = {before.zxid, before.offset, before.digest};
  }
  void on_mark(const storage::Place& place, const storage::Mark& mark) override {
    if (place.in_chain) log_.delivered = std::max(log_.delivered, mark.delivered);
  }
  void on_record(const storage::Place& place, const RecordHeader& record) override {
    if (!place.in_chain) return;
    log_.transactions.push_back({record.zxid, record.end_offset(), record.checksum});
  }
  void on_damage(const storage::Place&, std::uint64_t, const std::string&) override {}
  void on_other_file(const std::string&, std::uint64_t) override {}

 private:
  ServerLog& log_;
  bool begun_ = false;
};

std::string text_of(const LoggedTransaction& transaction) {
  return to_string(transaction.zxid) + " at offset " + std::to_string(transaction.offset);
}

std::string name_of(const ServerLog& log) {
  return "the log of server " + to_string(log.server);
}

void check_shape(const ServerLog& log, std::vector<std::string>& violations) {
  Zxid before = log.floor.zxid;
  for (const LoggedTransaction& transaction : log.transactions) {
    if (!follows(transaction.zxid, before)) {
      violations.push_back(name_of(log) + ": " + to_string(transaction.zxid) + " stands behind " +
                           to_string(before));
      return;
    }
    before = transaction.zxid;
  }
}

// The last transaction that must be the same on all servers, as one of them sees it.
Zxid certain(const ServerLog& log, Offset end) {
  const auto at = std::partition_point(log.transactions.begin(), log.transactions.end(),
                                       [&](const auto& t) { return t.offset < end; });
  return at == log.transactions.end() ? log.delivered : std::max(log.delivered, at->zxid);
}

// From `floor` to `last`; the floor of the log itself is one of them.
Transactions between(const ServerLog& log, Zxid floor, Zxid last) {
  Transactions some;
  if (log.floor.zxid == floor) some.push_back(log.floor);
  for (const LoggedTransaction& transaction : log.transactions) {
    if (transaction.zxid >= floor && transaction.zxid <= last) some.push_back(transaction);
  }
  return some;
}

void compare_two(const ServerLog& a, const ServerLog& b, Offset end, LogVerdict& verdict) {
  const Zxid last = std::min(certain(a, end), certain(b, end));
  const Zxid floor = std::max(a.floor.zxid, b.floor.zxid);
  const Transactions first = between(a, floor, last);
  const Transactions second = between(b, floor, last);
  const auto [x, y] = std::mismatch(first.begin(), first.end(), second.begin(), second.end());
  if (x == first.end() && y == second.end()) {
    const std::uint64_t floors = first.empty() ? 0 : 1;
    verdict.compared = std::min<std::uint64_t>(verdict.compared, first.size() - floors);
    return;
  }
  verdict.violations.push_back(
      "the logs of servers " + to_string(a.server) + " and " + to_string(b.server) +
      " part: " + (x == first.end() ? "nothing" : text_of(*x)) + " in one, " +
      (y == second.end() ? "nothing" : text_of(*y)) + " in the other");
}

}  // namespace

ServerLog read_log(ServerId server, const std::filesystem::path& data) {
  using Verdict = storage::VerifyReport::Verdict;
  ServerLog log;
  log.server = server;
  Collector collector(log);
  const storage::VerifyReport report = storage::dump_directory(data.string(), collector);
  const bool good = report.verdict == Verdict::clean || report.verdict == Verdict::torn;
  if (!good) log.problem = report.text;
  return log;
}

LogVerdict compare_logs(const std::vector<ServerLog>& logs, Offset end) {
  LogVerdict verdict;
  const auto size = [](const ServerLog& log) { return log.transactions.size(); };
  const ServerLog& longest = *std::max_element(
      logs.begin(), logs.end(), [&](const auto& a, const auto& b) { return size(a) < size(b); });
  std::set<Epoch> epochs;
  for (const LoggedTransaction& transaction : longest.transactions) {
    epochs.insert(transaction.zxid.epoch);
  }
  verdict.epochs = epochs.size();
  verdict.compared = size(longest);
  for (const ServerLog& log : logs) {
    if (!log.problem.empty()) {
      verdict.violations.push_back(name_of(log) + ": " + log.problem);
    }
    check_shape(log, verdict.violations);
    const Offset last = log.transactions.empty() ? 0 : log.transactions.back().offset;
    if (last < end) {
      verdict.violations.push_back(name_of(log) + " ends at offset " + std::to_string(last) +
                                   ", before " + std::to_string(end));
    }
    if (&log != &longest) compare_two(longest, log, end, verdict);
  }
  return verdict;
}

}  // namespace zabmq::nemesis
