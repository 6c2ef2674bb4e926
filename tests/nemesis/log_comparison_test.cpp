// Log comparison tests: equal logs pass, and each way to damage one is found.
#include "nemesis/engine/log_comparison.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "nemesis/temporary_directory.hpp"

namespace zabmq::nemesis {
namespace {

constexpr Offset end = 40;

// Epochs 1, 3 and 4, with 20, 1 and 30 transactions; all but the first of each hold one message.
ServerLog whole_log(std::uint32_t server) {
  ServerLog log;
  log.server = ServerId{server};
  Offset offset = 0;
  std::uint64_t digest = 100;
  for (const auto& [epoch, count] : {std::pair{1u, 20u}, {3u, 1u}, {4u, 30u}}) {
    for (std::uint64_t counter = 1; counter <= count; ++counter) {
      if (counter > 1) ++offset;
      log.transactions.push_back({{Epoch{epoch}, counter}, offset, Digest{digest++}});
    }
  }
  log.delivered = log.transactions.back().zxid;
  return log;
}

std::vector<ServerLog> three() {
  return {whole_log(1), whole_log(2), whole_log(3)};
}

// The violations when one of three equal logs was changed.
std::vector<std::string> after(const std::function<void(ServerLog&)>& damage) {
  std::vector<ServerLog> logs = three();
  damage(logs[1]);
  return compare_logs(logs, end).violations;
}

// The same on all servers: only the shape of each can tell.
std::vector<std::string> after_all(const std::function<void(ServerLog&)>& damage) {
  std::vector<ServerLog> logs = three();
  for (ServerLog& log : logs) damage(log);
  return compare_logs(logs, end).violations;
}

void erase(ServerLog& log, std::size_t at) {
  log.transactions.erase(log.transactions.begin() + static_cast<std::ptrdiff_t>(at));
}

// Lets go of the first `count` transactions.
void let_go(ServerLog& log, std::size_t count) {
  log.floor = log.transactions[count - 1];
  log.transactions.erase(log.transactions.begin(),
                         log.transactions.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

TEST_CASE("log comparison: the same logs, or one that is behind, pass") {
  std::vector<ServerLog> logs = three();
  CHECK(compare_logs(logs, end).violations.empty());
  CHECK(compare_logs(logs, end).compared == 51);
  CHECK(compare_logs(logs, end).epochs == 3);

  logs[2].transactions.resize(47);  // ends behind the last acknowledged message
  logs[2].delivered = logs[2].transactions.back().zxid;
  CHECK(compare_logs(logs, end).violations.empty());
  CHECK(compare_logs(logs, end).compared == 47);
}

TEST_CASE("log comparison: tails that one server does not know to be delivered may differ") {
  std::vector<ServerLog> logs = three();
  logs[2].delivered = logs[2].transactions[43].zxid;
  for (std::size_t i = 46; i < 51; ++i) logs[2].transactions[i].digest = Digest{i};
  CHECK(compare_logs(logs, end).violations.empty());
}

TEST_CASE("log comparison: another digest, offset or zxid, one too many or too few -> found") {
  for (const std::size_t at : {std::size_t{0}, std::size_t{7}, std::size_t{20}, std::size_t{40}}) {
    CAPTURE(at);
    CHECK_FALSE(after([&](ServerLog& log) { log.transactions[at].digest = Digest{1}; }).empty());
    CHECK_FALSE(after([&](ServerLog& log) { log.transactions[at].offset += 1; }).empty());
    CHECK_FALSE(after([&](ServerLog& log) { log.transactions[at].zxid.epoch = Epoch{9}; }).empty());
    CHECK_FALSE(after([&](ServerLog& log) { erase(log, at); }).empty());
    CHECK_FALSE(after([&](ServerLog& log) {
                  log.transactions.insert(log.transactions.begin() + 5, log.transactions[at]);
                }).empty());
  }
  CHECK_FALSE(
      after([](ServerLog& log) { std::swap(log.transactions[10], log.transactions[11]); }).empty());
}

TEST_CASE("log comparison: a tail that is known to be delivered must be the same") {
  CHECK_FALSE(after([](ServerLog& log) { log.transactions[50].digest = Digest{1}; }).empty());
}

TEST_CASE("log comparison: a log that ends before what was acknowledged -> found") {
  const auto violations = after([](ServerLog& log) {
    log.transactions.resize(30);
    log.delivered = log.transactions.back().zxid;
  });
  REQUIRE(violations.size() == 1);
  CHECK(violations[0] == "the log of server 2 ends at offset 27, before 40");
  CHECK_FALSE(after([](ServerLog& log) { log.transactions.clear(); }).empty());
}

TEST_CASE("log comparison: on all servers: a hole, a second time, an epoch that falls -> found") {
  const auto hole = after_all([](ServerLog& log) { erase(log, 7); });
  REQUIRE(hole.size() == 3);
  CHECK(hole[0] == "the log of server 1: 1.9 stands behind 1.7");
  CHECK_FALSE(after_all([](ServerLog& log) { erase(log, 0); }).empty());   // does not begin with 1
  CHECK_FALSE(after_all([](ServerLog& log) { erase(log, 21); }).empty());  // nor the last epoch
  CHECK_FALSE(after_all([](ServerLog& log) {
                log.transactions.insert(log.transactions.begin() + 3, log.transactions[3]);
              }).empty());
  CHECK_FALSE(
      after_all([](ServerLog& log) { log.transactions[20].zxid.epoch = Epoch::none; }).empty());
}

TEST_CASE("log comparison: logs that begin at floors of their own pass") {
  std::vector<ServerLog> logs = three();
  let_go(logs[0], 5);
  let_go(logs[1], 25);
  let_go(logs[2], 21);
  const LogVerdict verdict = compare_logs(logs, end);
  CHECK(verdict.violations.empty());
  CHECK(verdict.compared == 26);
}

TEST_CASE("log comparison: a difference behind the greater of two floors -> found, not below it") {
  for (const std::size_t at : {std::size_t{10}, std::size_t{24}, std::size_t{30}}) {
    CAPTURE(at);
    const auto violations = after([at](ServerLog& log) {
      log.transactions[at].digest = Digest{1};
      let_go(log, 25);  // what the floor itself says is compared as well
    });
    CHECK(violations.empty() == (at == 10));
  }
}

TEST_CASE("log comparison: behind a floor: a hole, or a floor that others do not know -> found") {
  const auto hole = after([](ServerLog& log) {
    let_go(log, 25);
    erase(log, 0);
  });
  CHECK_FALSE(hole.empty());
  const auto unknown = after([](ServerLog& log) {
    let_go(log, 25);
    log.floor.zxid.epoch = Epoch{3};
  });
  CHECK_FALSE(unknown.empty());
}

TEST_CASE("log comparison: a damaged log -> found") {
  CHECK(after([](ServerLog& log) { log.problem = "00000002.seg is damaged"; }).size() == 1);
}

TEST_CASE("log comparison: a directory that is none is a problem") {
  const TemporaryDirectory directory;
  CHECK_FALSE(read_log(ServerId{1}, directory.path() / "none").problem.empty());
  CHECK_FALSE(read_log(ServerId{1}, directory.path()).problem.empty());
}

}  // namespace zabmq::nemesis
