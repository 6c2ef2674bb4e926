// Crash matrix: power loss at every message that a server receives and at every step of its disk,
// from its start through synchronization into broadcast, for each kind of synchronization. Whatever
// the moment, whatever the disk kept: it boots again, and nothing committed is lost.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "durable_cluster.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

// Server 3 leads 2; server 1 is away and comes back after the crash. What 3 knows to be delivered
// is on the disks of 3 and 1.
struct Synchronization {
  std::string name;
  Past leader, follower, away;
};

const Synchronization by_diff{
    "DIFF",
    {.history = {{1, 16}}, .delivered = zxid(1, 15)},
    {.history = {{1, 2}}, .delivered = zxid(1, 1)},
    {.history = {{1, 15}}, .delivered = zxid(1, 1)},
};
const Synchronization by_trunc{
    "TRUNC",
    {.history = {{1, 2}}, .accepted = 2, .current = 2, .delivered = zxid(1, 1)},
    {.history = {{1, 4}}, .delivered = zxid(1, 1)},
    {.history = {{1, 2}}, .accepted = 2, .current = 2, .delivered = zxid(1, 1)},
};
const Synchronization by_trunc_and_diff{
    "TRUNC and DIFF",
    {.history = {{1, 2}, {2, 16}}, .delivered = zxid(2, 15)},
    {.history = {{1, 4}}, .delivered = zxid(1, 1)},
    {.history = {{1, 2}, {2, 15}}, .delivered = zxid(1, 2)},
};

// What goes on after the crash.
enum class Then : std::uint8_t {
  same_leader,  // the two of before go on together, then the third comes
  other_leader  // the one that did not crash dies for now; the crashed one and the third go on
};

// What the crash leaves of what was not synced.
enum class Leaves : std::uint8_t {
  nothing,
  everything,
  some,
  page_cache  // only the process dies; a power loss may still come
};

sim::MemoryDisk::Survival survival_of(Leaves leaves, std::size_t moment) {
  if (leaves == Leaves::nothing) return sim::MemoryDisk::nothing();
  if (leaves == Leaves::everything) return sim::MemoryDisk::everything();
  return {[moment](std::size_t ordinal) { return (ordinal * 7 + moment * 5) % 3 != 0; },
          moment % 3};
}

struct Moment {
  std::size_t at = 0;  // the victim's n-th message or disk step
  Leaves leaves = Leaves::nothing;
  Then then = Then::same_leader;
  bool disks_first = false;
};

class Run {
 public:
  Run(const Synchronization& kind, ServerId victim, Moment moment)
      : cluster_({kind.away, kind.follower, kind.leader}), victim_(victim), moment_(moment) {
    cluster_.disks_first = moment.disks_first;
    // Small enough that segments end, reads go to the disk, and a history comes in several writes.
    for (const ServerId id : cluster_.all()) {
      cluster_.at(id).log_options.segment_size = storage::segment_header_size + 1024;
      cluster_.at(id).log_options.tail_cache_bytes = 256;
      cluster_.at(id).log_options.group_bytes_max = 400;
    }
    cluster_.at(victim).survival = survival_of(moment.leaves, moment.at);
    cluster_.at(victim).power_fails = moment.leaves != Leaves::page_cache;
    cluster_.tamper = [this](ServerId, ServerId to, zab::Message&, Slice&) {
      return to != victim_ || !crash_now();
    };
    cluster_.at(victim).before_disk_step = [this] { crash_now(); };
  }

  // False: everything was over before the moment came.
  bool crashes() {
    start(s3);
    start(s2);
    while (sequence_ < 6 && !crashed_) propose();
    REQUIRE(cluster_.wait([this] { return crashed_ || settled(); }));
    return crashed_;
  }

  void go_on() {
    const ServerId other = victim_ == s3 ? s2 : s3;
    for (int ticks = 0; ticks < 10; ++ticks) cluster_.tick();  // what it says may still arrive
    if (moment_.then == Then::other_leader && victim_ == s2) {
      cluster_.crash(other);
      start_again();
      start(s1);
    } else if (moment_.then == Then::other_leader) {
      start(s1);  // the victim led: the other two go on without it
    } else {
      start_again();
    }
    cluster_.publish("after the crash");
    cluster_.converge();
    for (const ServerId id : cluster_.all()) {
      if (!cluster_.at(id).up()) start(id);
    }
    cluster_.publish("at the end");
    cluster_.converge();
    const auto delivered = cluster_.delivered_at(victim_);
    REQUIRE(!delivered.empty());
    CHECK(delivered.back() == "at the end");
    CHECK(delivered == cluster_.delivered_at(s1));
  }

 private:
  bool crash_now() {
    if (crashed_ || ++moments_ <= moment_.at) return false;
    crashed_ = true;
    cluster_.crash(victim_);
    return true;
  }

  void start(ServerId id) {
    cluster_.start(id);
    INFO("server ", to_string(id), ": ",
         cluster_.at(id).refused ? cluster_.at(id).refused->text : "");
    REQUIRE(cluster_.at(id).up());
  }

  // What a start has repaired is durable before it takes part: it loses power once more.
  void start_again() {
    start(victim_);
    cluster_.at(victim_).survival = sim::MemoryDisk::nothing();
    cluster_.at(victim_).power_fails = true;
    cluster_.crash(victim_);
    start(victim_);
  }

  // One more while the ones before are still under way, so that crashes meet an open pipe.
  void propose() {
    const bool leads = cluster_.wait(
        [this] { return crashed_ || cluster_.at(s3).replica->status().accepts_publishes; });
    REQUIRE(leads);
    if (crashed_) return;
    if (!opened_) {
      wire::Hello hello;
      hello.publisher = make_uuid(5);
      cluster_.at(s3).say(ConnectionId{1}, hello);
      opened_ = cluster_.wait([this] {
        return crashed_ || !cluster_.at(s3).clients.take<wire::Welcome>(ConnectionId{1}).empty();
      });
      REQUIRE(opened_);
      if (crashed_) return;
    }
    ++sequence_;
    cluster_.at(s3).publish(ConnectionId{1}, sequence_, {std::string(200, 'p')});
    if (sequence_ % 2 == 0) cluster_.tick();
  }

  bool settled() {
    const zab::Core& leader = cluster_.at(s3).replica->core();
    return leader.last_committed() == leader.last_logged() &&
           cluster_.at(s2).replica->core().last_delivered() == leader.last_logged();
  }

  DurableCluster cluster_;
  ServerId victim_;
  Moment moment_;
  std::size_t moments_ = 0;
  bool crashed_ = false;
  bool opened_ = false;
  Sequence sequence_ = 0;
};

// With sanitizers, which make a run many times as long, each moment is met in one of the ways
// instead of in all.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t stride = 16;
#else
constexpr std::size_t stride = 1;
#endif

std::vector<Moment> ways() {
  std::vector<Moment> all;
  for (const Leaves leaves :
       {Leaves::nothing, Leaves::everything, Leaves::some, Leaves::page_cache}) {
    for (const Then then : {Then::same_leader, Then::other_leader}) {
      for (const bool disks_first : {false, true}) all.push_back({0, leaves, then, disks_first});
    }
  }
  return all;
}

void run_matrix(const Synchronization& kind, ServerId victim) {
  CAPTURE(kind.name);
  std::size_t way = 0;
  for (Moment moment : ways()) {
    CAPTURE(moment.leaves);
    CAPTURE(moment.then);
    CAPTURE(moment.disks_first);
    for (moment.at = way++ % stride;; moment.at += stride) {
      CAPTURE(moment.at);
      Run run(kind, victim, moment);
      if (!run.crashes()) break;
      run.go_on();
    }
    CHECK(moment.at > 40);  // it did meet every message and every step of the disk
  }
}

}  // namespace

TEST_SUITE("replica/crash matrix") {
  TEST_CASE("scenario 32 S-crash-matrix: DIFF, the follower loses power -> nothing is lost") {
    run_matrix(by_diff, s2);
  }

  TEST_CASE("scenario 32 S-crash-matrix: TRUNC, the follower loses power -> nothing is lost") {
    run_matrix(by_trunc, s2);
  }

  TEST_CASE("scenario 32 S-crash-matrix: TRUNC and DIFF, the follower -> nothing is lost") {
    run_matrix(by_trunc_and_diff, s2);
  }

  TEST_CASE("scenario 33 S-leader-crash-matrix: DIFF, the leader loses power -> nothing is lost") {
    run_matrix(by_diff, s3);
  }

  TEST_CASE("scenario 33 S-leader-crash-matrix: TRUNC, the leader -> nothing is lost") {
    run_matrix(by_trunc, s3);
  }

  TEST_CASE("scenario 33 S-leader-crash-matrix: TRUNC and DIFF, the leader -> nothing is lost") {
    run_matrix(by_trunc_and_diff, s3);
  }
}
