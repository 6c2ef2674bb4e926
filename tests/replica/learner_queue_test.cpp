// Learner queues: order, windows, digests, commit points, and what is late.
#include "replica/learner_queue.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "fakes.hpp"

using namespace zabmq;
using namespace zabmq::testing;
using replica::LearnerLimits;
using replica::LearnerQueues;

namespace {

constexpr ServerId peer{2};
constexpr ServerId other{3};
Zxid at(std::uint64_t counter) {
  return {Epoch{1}, counter};
}

struct Leader {
  explicit Leader(std::size_t records = 10, LearnerLimits limits = {})
      : queues(log, links, limits,
               [this](ServerId p, const std::string&) { broken.push_back(p); }) {
    storage::LastRecord last;
    for (std::uint64_t i = 1; i <= records; ++i) {
      log.append(make_record(last, at(i), make_body({std::string(100, 'x')}), 1));
    }
    record_bytes = records > 0 ? log.read_hot(storage::After{}, at(1), 1)->slices[0].size() : 0;
    queues.open(peer);
  }
  // What was sent to `to`, by the paper's names; PROPOSE with its last counter and commit.
  std::vector<std::string> sent(ServerId to = peer) {
    std::vector<std::string> names;
    for (const FakePeers::Sent& s : links.take()) {
      if (s.to != to) continue;
      std::string name = zab::name_of(s.message);
      if (const auto* p = std::get_if<zab::Propose>(&s.message)) {
        name += " " + std::to_string(p->runs.front().first) + ".." +
                std::to_string(p->runs.back().last) + " commit " + to_string(p->commit);
      }
      if (const auto* p = std::get_if<zab::Commit>(&s.message)) name += " " + to_string(p->commit);
      if (const auto* p = std::get_if<zab::UpToDate>(&s.message))
        name += " " + to_string(p->commit);
      if (const auto* p = std::get_if<zab::Ping>(&s.message)) name += " " + to_string(p->commit);
      names.push_back(name);
    }
    return names;
  }
  using Names = std::vector<std::string>;

  FakeLog log;
  FakePeers links;
  std::vector<ServerId> broken;
  LearnerQueues queues;
  std::size_t record_bytes = 0;
};

using Names = Leader::Names;

}  // namespace

TEST_SUITE("replica/learner_queue") {
  TEST_CASE("queue: a synchronization from a hot log -> all of it at once, in order") {
    Leader leader(3);
    leader.queues.set_committed(at(2));

    leader.queues.push(peer, zab::Diff{at(1)});
    leader.queues.push_range(peer, at(1), at(2));
    leader.queues.push(peer, zab::NewLeader{Epoch{1}});
    leader.queues.push_range(peer, at(2), at(3));
    leader.queues.push(peer, zab::UpToDate{Epoch{1}, at(2)});

    CHECK(leader.sent() == Names{"DIFF", "PROPOSE 2..2 commit 1.2", "NEWLEADER",
                                 "PROPOSE 3..3 commit 1.2", "UPTODATE 1.2"});
  }

  TEST_CASE("queue: DIFF and TRUNC -> leave with the digest of the common point, also a late one") {
    Leader leader(3);
    const Digest digest =
        header_of(leader.log.read_hot(storage::After{at(1)}, at(2), 1)->slices[0]).checksum;
    leader.log.cold = true;

    leader.queues.push(peer, zab::Trunc{at(2)});
    leader.queues.push(peer, zab::NewLeader{Epoch{1}});
    CHECK(leader.links.sent.empty());
    leader.log.complete_reads();

    REQUIRE(leader.links.sent.size() == 2);
    CHECK(std::get<zab::Trunc>(leader.links.sent[0].message).digest == digest);
  }

  TEST_CASE("queue: a common point that the log does not have -> the session ends") {
    Leader leader(3);
    leader.queues.push(peer, zab::Diff{at(77)});
    CHECK(leader.broken == std::vector{peer});
    CHECK(!leader.queues.is_open(peer));
    CHECK(leader.links.sent.empty());
  }

  TEST_CASE("queue: a range being read -> holds up what is behind it, but no heartbeat") {
    Leader leader(3);
    leader.log.cold = true;
    leader.queues.set_committed(at(3));
    leader.queues.push_range(peer, at(0), at(2));
    leader.queues.push(peer, zab::NewLeader{Epoch{1}});
    CHECK(leader.sent().empty());

    leader.queues.send_ping(peer, zab::Ping{5, at(3)});
    CHECK(leader.sent() == Names{"PING 0.0"});  // nothing was sent, so nothing is committed there

    leader.log.complete_reads();
    CHECK(leader.sent() ==
          Names{"PROPOSE 1..1 commit 1.1", "PROPOSE 2..2 commit 1.2", "NEWLEADER"});
    leader.queues.send_ping(peer, zab::Ping{6, at(3)});
    CHECK(leader.sent() == Names{"PING 1.2"});
  }

  TEST_CASE("queue: ranges behind one that is read -> one range, one read more") {
    Leader leader(10);
    leader.log.cold = true;
    leader.queues.push_range(peer, at(0), at(1));
    leader.queues.push_range(peer, at(1), at(5));
    leader.queues.push_range(peer, at(5), at(10));
    leader.log.complete_reads();
    leader.log.complete_reads();

    const Names sent = leader.sent();
    CHECK(sent.size() == 10);
    CHECK(sent.back() == "PROPOSE 10..10 commit 0.0");
  }

  TEST_CASE("window: full -> waits for ACK or PROGRESS, then goes on") {
    Leader probe(1);
    LearnerLimits limits{3 * probe.record_bytes, 1 << 20};
    Leader leader(10, limits);

    leader.queues.push_range(peer, at(0), at(10));
    CHECK(leader.sent().size() == 3);
    CHECK(leader.queues.unreported_bytes(peer) == limits.window_bytes);

    leader.queues.on_reported(peer, at(2));
    CHECK(leader.sent().size() == 2);
    leader.queues.on_reported(peer, at(5));
    CHECK(leader.sent().size() == 3);
  }

  TEST_CASE("window: smaller than a record -> one frame at a time") {
    Leader leader(3, {1, 1});
    leader.queues.push_range(peer, at(0), at(3));
    CHECK(leader.sent() == Names{"PROPOSE 1..1 commit 0.0"});
    leader.queues.on_reported(peer, at(1));
    CHECK(leader.sent() == Names{"PROPOSE 2..2 commit 0.0"});
  }

  TEST_CASE("window: ACK-LD -> reports everything in front of its NEWLEADER, and no more") {
    Leader leader(4);
    leader.queues.push_range(peer, at(0), at(3));
    leader.queues.push(peer, zab::NewLeader{Epoch{1}});
    leader.queues.push_range(peer, at(3), at(4));

    leader.queues.on_acked_leader(peer);

    CHECK(leader.queues.unreported_bytes(peer) == leader.record_bytes);
  }

  TEST_CASE("state: the last part taken again -> nothing, any other one -> the session ends") {
    LearnerLimits limits;
    limits.read_bytes_max = 100;
    limits.window_bytes = 100;  // what is behind the SNAP waits
    Leader leader(3, limits);
    const auto state = std::make_shared<std::vector<std::byte>>(150);
    leader.queues.push_snap(peer, zab::Snap{}, Slice(state, *state));
    leader.queues.push_range(peer, at(0), at(3));
    for (const std::uint32_t part : {0, 1, 1, 1}) leader.queues.on_state_taken(peer, part);
    CHECK(leader.broken.empty());
    leader.queues.on_state_taken(peer, 0);
    CHECK(leader.broken == std::vector<ServerId>{peer});
  }

  TEST_CASE("commit: nothing queued -> by itself, behind a range -> its frame carries it") {
    Leader leader(3);
    leader.queues.push_range(peer, at(0), at(2));
    leader.queues.set_committed(at(2));
    leader.queues.push(peer, zab::Commit{at(2)});
    leader.queues.send_commits();
    CHECK(leader.sent() ==
          Names{"PROPOSE 1..1 commit 0.0", "PROPOSE 2..2 commit 0.0", "COMMIT 1.2"});

    leader.log.cold = true;
    leader.queues.push_range(peer, at(2), at(3));
    leader.queues.set_committed(at(3));
    leader.queues.push(peer, zab::Commit{at(3)});
    leader.log.complete_reads();
    CHECK(leader.sent() == Names{"PROPOSE 3..3 commit 1.3"});
  }

  TEST_CASE("commits: several behind what waits -> one, with the newest point") {
    Leader leader(3);
    leader.log.cold = true;
    leader.queues.push_range(peer, at(0), at(3));
    leader.queues.push(peer, zab::NewLeader{Epoch{1}});
    for (std::uint64_t i = 1; i <= 3; ++i) {
      leader.queues.set_committed(at(i));
      leader.queues.push(peer, zab::Commit{at(i)});
    }
    leader.log.complete_reads();

    const Names sent = leader.sent();
    REQUIRE(sent.size() == 5);
    CHECK(sent[3] == "NEWLEADER");
    CHECK(sent[4] == "COMMIT 1.3");
  }

  TEST_CASE("commit: a range in the same step -> it takes the commit point along") {
    Leader leader(3);
    leader.queues.push_range(peer, at(0), at(2));
    leader.sent();
    leader.queues.set_committed(at(2));
    leader.queues.push(peer, zab::Commit{at(2)});
    CHECK(leader.sent().empty());
    leader.queues.push_range(peer, at(2), at(3));
    leader.queues.send_commits();
    CHECK(leader.sent() == Names{"PROPOSE 3..3 commit 1.2"});
  }

  TEST_CASE("commits: held for several learners -> each gets its own, once") {
    Leader leader(2);
    leader.queues.open(other);
    for (ServerId id : {peer, other}) {
      leader.queues.push_range(id, at(0), at(1));
      leader.queues.push(id, zab::Commit{at(1)});
    }
    leader.links.take();
    leader.queues.set_committed(at(1));
    leader.queues.send_commits();
    leader.queues.send_commits();
    const auto sent = leader.links.take();
    REQUIRE(sent.size() == 2);
    for (const FakePeers::Sent& s : sent) {
      CHECK(std::get<zab::Commit>(s.message).commit == at(1));
    }
    CHECK(sent[0].to != sent[1].to);
  }

  TEST_CASE("commit: never beyond the last record sent on this session") {
    Leader leader(3);
    leader.queues.set_committed(at(3));
    leader.queues.push(peer, zab::Diff{at(1)});
    leader.queues.push(peer, zab::UpToDate{Epoch{1}, at(3)});
    leader.queues.push(peer, zab::Commit{at(3)});
    leader.queues.send_commits();
    CHECK(leader.sent() == Names{"DIFF", "UPTODATE 1.1", "COMMIT 1.1"});
  }

  TEST_CASE("session: closed or replaced while a read is under way -> its completion is dropped") {
    Leader leader(3);
    leader.log.cold = true;
    leader.queues.push_range(peer, at(0), at(2));

    SUBCASE("closed") {
      leader.queues.close(peer);
      leader.log.complete_reads();
      CHECK(leader.sent().empty());
    }
    SUBCASE("replaced") {
      leader.queues.open(peer);
      leader.queues.push(peer, zab::NewEpoch{});
      CHECK(leader.sent() == Names{"NEWEPOCH"});
      leader.log.complete_reads();
      CHECK(leader.sent().empty());
    }
    SUBCASE("replaced, and the new one reads too") {
      leader.queues.open(peer);
      leader.queues.push_range(peer, at(2), at(3));
      leader.log.complete_reads();
      CHECK(leader.sent() == Names{"PROPOSE 3..3 commit 0.0"});
    }
    CHECK(leader.broken.empty());
  }

  TEST_CASE("session: a frame cannot be sent, or the log not be read -> told once, queue gone") {
    Leader leader(3);
    SUBCASE("a message") {
      leader.links.fails = true;
      leader.queues.push(peer, zab::NewEpoch{});
    }
    SUBCASE("records") {
      leader.links.fails = true;
      leader.queues.push_range(peer, at(0), at(3));
    }
    SUBCASE("a heartbeat") {
      leader.links.fails = true;
      leader.queues.send_ping(peer, zab::Ping{});
    }
    SUBCASE("a read") {
      leader.log.cold = leader.log.reads_fail = true;
      leader.queues.push_range(peer, at(0), at(3));
      leader.log.complete_reads();
    }
    CHECK(leader.broken == std::vector{peer});
    leader.queues.push(peer, zab::NewEpoch{});
    leader.queues.push_range(peer, at(0), at(3));
    leader.queues.send_ping(peer, zab::Ping{});
    CHECK(leader.broken.size() == 1);
  }

  TEST_CASE("records: hot -> the same memory goes to all learners") {
    Leader leader(2);
    leader.queues.open(other);
    leader.queues.push_range(peer, at(0), at(1));
    leader.queues.push_range(other, at(0), at(1));

    REQUIRE(leader.links.sent.size() == 2);
    CHECK(leader.links.sent[0].records.bytes().data() ==
          leader.links.sent[1].records.bytes().data());
  }
}
