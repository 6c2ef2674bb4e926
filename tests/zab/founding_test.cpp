// Founding: empty directories, word by word. Server 1 is the founder of 1, 2 and 3.
#include "zab/harness/probe.hpp"

namespace zabmq::zab::test {
namespace {

const Past empty = empty_directory();

StandingMessage told(const Probe& probe, unsigned to) {
  return *probe.last<StandingMessage>(to);
}

TEST_SUITE("zab/founding") {
  TEST_CASE("founding: an empty directory -> takes no part in elections") {
    Probe probe(2, 3, empty);
    probe.run(500);
    CHECK(told(probe, 1).standing == Standing::empty);
    CHECK(told(probe, 1).handshake.cluster == Uuid{});

    probe.receive(3, vote(3, 1, zxid(1, 1), 1));
    probe.receive(3, vote(3, 1, zxid(1, 1), 1, Role::leading, Phase::broadcast));

    CHECK(probe.count<Vote>(1) + probe.count<Vote>(3) == 0);
    CHECK(probe.core().role() == Role::looking);
  }

  TEST_CASE("founding: the founder -> waits until every other says empty") {
    Probe probe(1, 3, empty);
    probe.receive(2, standing(Standing::empty));
    probe.run(300);
    CHECK(probe.core().identity().standing == Standing::empty);

    probe.receive(2, standing(Standing::empty));
    probe.receive(3, standing(Standing::empty));

    CHECK(probe.core().identity().standing == Standing::founding);
    CHECK(probe.core().identity().cluster == cluster_uuid);
    CHECK(probe.core().identity().history == history_uuid);
  }

  TEST_CASE("founding: what was said long ago -> does not count") {
    Probe probe(1, 3, empty);
    probe.receive(2, standing(Standing::empty));
    probe.run(1500);

    probe.receive(3, standing(Standing::empty));

    CHECK(probe.core().identity().standing == Standing::empty);
  }

  TEST_CASE("founding: the ids are durable before they are told") {
    Probe probe(1, 3, empty);
    probe.server().hold_store = true;
    probe.receive(2, standing(Standing::empty));
    probe.receive(3, standing(Standing::empty));
    REQUIRE(probe.disk().storing());

    probe.run(300);
    probe.receive(2, standing(Standing::empty, 0, false));
    CHECK(told(probe, 2).standing == Standing::empty);

    probe.complete();
    probe.tick();
    CHECK(told(probe, 2).standing == Standing::founding);
  }

  TEST_CASE(
      "founding: another empty server -> takes the ids only from the founder, while it founds") {
    SUBCASE("the founder, founding") {
      Probe probe(2, 3, empty);
      probe.receive(1, standing(Standing::founding));
      CHECK(probe.core().identity().standing == Standing::founding);
      CHECK(probe.core().identity().cluster == cluster_uuid);
    }
    SUBCASE("not the founder") {
      Probe probe(2, 3, empty);
      probe.receive(3, standing(Standing::founding));
      CHECK(probe.core().identity().standing == Standing::empty);
    }
    SUBCASE("the founder, empty") {
      Probe probe(2, 3, empty);
      probe.receive(1, standing(Standing::empty));
      CHECK(probe.core().identity().standing == Standing::empty);
    }
    SUBCASE("another voter set") {
      Probe probe(2, 3, empty);
      StandingMessage message = standing(Standing::founding);
      message.handshake.voter_set_hash = 1;
      probe.receive(1, message);
      CHECK(probe.core().identity().standing == Standing::empty);
      CHECK(probe.server().count_events(Event::Kind::refused_peer) == 1);
    }
  }

  TEST_CASE("founding: the founder -> a voter when all others have said founding, not before") {
    Probe probe(1, 3, {.standing = Standing::founding});
    probe.receive(2, standing(Standing::founding));
    probe.receive(3, standing(Standing::empty));
    CHECK(probe.core().identity().standing == Standing::founding);
    CHECK(probe.count<Vote>(2) == 0);

    probe.receive(3, standing(Standing::founding));
    CHECK(probe.core().identity().standing == Standing::voter);
    CHECK(probe.count<Vote>(2) > 0);
  }

  TEST_CASE("founding: ids of two foundings -> the founder does not become a voter") {
    Probe probe(1, 3, {.standing = Standing::founding});
    StandingMessage other = standing(Standing::founding);
    other.handshake.cluster = uuid(77);

    probe.receive(2, other);
    probe.receive(3, standing(Standing::founding));

    CHECK(probe.core().identity().standing == Standing::founding);
    CHECK(probe.server().count_events(Event::Kind::refused_peer) == 1);
  }

  TEST_CASE("founding: the others -> voters when a voter of their cluster says so, not before") {
    Probe probe(2, 3, {.standing = Standing::founding});
    probe.receive(1, standing(Standing::founding));
    probe.receive(3, standing(Standing::founding));
    CHECK(probe.core().identity().standing == Standing::founding);

    probe.receive(3, standing(Standing::voter));
    CHECK(probe.core().identity().standing == Standing::voter);
  }

  TEST_CASE("founding: a founder emptied half-way -> adopts only what every other has") {
    Probe probe(1, 3, empty);
    probe.receive(2, standing(Standing::founding));
    probe.receive(3, standing(Standing::empty));
    CHECK(probe.core().identity().standing == Standing::empty);

    probe.receive(3, standing(Standing::founding));
    CHECK(probe.core().identity().cluster == cluster_uuid);
    CHECK(probe.core().identity().standing == Standing::voter);  // all have them: at once
  }

  TEST_CASE("founding: a founder emptied half-way, ids of two foundings around -> adopts neither") {
    Probe probe(1, 3, empty);
    StandingMessage other = standing(Standing::founding);
    other.handshake.cluster = uuid(77);

    probe.receive(2, standing(Standing::founding));
    probe.receive(3, other);

    CHECK(probe.core().identity().standing == Standing::empty);
  }

  TEST_CASE("founding: empty while a peer is voter -> wiped: says so, never votes") {
    Probe probe(2, 3, empty);

    probe.receive(3, standing(Standing::voter));
    probe.run(500);

    CHECK(probe.core().identity().standing == Standing::wiped);
    CHECK(probe.core().identity().cluster == cluster_uuid);
    CHECK(probe.server().count_events(Event::Kind::wiped) == 1);
    CHECK(told(probe, 1).standing == Standing::wiped);
    CHECK(probe.count<Vote>(1) + probe.count<Vote>(3) == 0);
  }

  TEST_CASE("founding: an empty founder while a peer is voter -> wiped, founds nothing") {
    Probe probe(1, 3, empty);

    probe.receive(2, standing(Standing::empty));
    probe.receive(3, standing(Standing::voter));

    CHECK(probe.core().identity().standing == Standing::wiped);
  }

  TEST_CASE("founding: wiped -> follows the leader that says so itself, as no voter") {
    Probe probe(2, 3, {.standing = Standing::wiped});
    probe.receive(1, standing(Standing::voter, 3));
    CHECK(probe.core().role() == Role::looking);

    probe.receive(3, standing(Standing::voter, 3));

    CHECK(probe.core().role() == Role::following);
    CHECK(probe.core().leader() == server(3));
    CHECK(probe.last<CEpoch>(3)->standing == Standing::wiped);
  }

  TEST_CASE("founding: wiped and restarted -> still wiped") {
    Probe probe(2, 3, {.history = "1:3", .standing = Standing::wiped});
    probe.run(500);

    CHECK(told(probe, 1).standing == Standing::wiped);
    CHECK(probe.count<Vote>(1) == 0);
  }

  TEST_CASE("founding: a standing that contradicts its ids -> dropped, nothing is adopted") {
    for (const Standing theirs : {Standing::founding, Standing::voter, Standing::wiped}) {
      Probe probe(2, 3, empty);
      StandingMessage message = standing(theirs);
      message.handshake.cluster = message.handshake.history = Uuid{};
      probe.receive(1, message);
      CHECK(probe.core().identity().standing == Standing::empty);
      CHECK(probe.dropped() == 1);
    }
    Probe probe(1, 3, empty);
    StandingMessage message = standing(Standing::empty);
    message.handshake.cluster = cluster_uuid;
    probe.receive(2, message);
    probe.receive(3, standing(Standing::empty));
    CHECK(probe.core().identity().standing == Standing::empty);
    CHECK(probe.dropped() == 1);
  }

  TEST_CASE("founding: a question -> answered once, answers are not answered") {
    Probe probe(2, 3, {.history = "1:3"});
    const std::size_t before = probe.count<StandingMessage>(3);

    probe.receive(3, standing(Standing::voter, 0, false));
    CHECK(probe.count<StandingMessage>(3) == before + 1);
    CHECK(told(probe, 3).answer);
    probe.receive(3, standing(Standing::voter, 0, true));
    CHECK(probe.count<StandingMessage>(3) == before + 1);
  }

  TEST_CASE("founding: a voter that leads in broadcast -> names itself as the leader") {
    Probe probe(1, 3, {.history = "1:3"});
    probe.lead_broadcast();

    probe.receive(3, standing(Standing::wiped, 0, false));

    CHECK(told(probe, 3).standing == Standing::voter);
    CHECK(told(probe, 3).leader == server(1));
  }

  TEST_CASE("founding: alone -> founds, becomes a voter and leads without anybody") {
    Probe probe(1, 1, empty);

    probe.run(500);

    CHECK(probe.core().leading_in_broadcast());
  }

  TEST_CASE("founding: a sender that is no voter, or ourselves -> dropped") {
    Probe probe(2, 3, empty);

    probe.receive(7, standing(Standing::founding));
    probe.receive(2, standing(Standing::voter));

    CHECK(probe.dropped() == 2);
    CHECK(probe.core().identity().standing == Standing::empty);
  }
}

}  // namespace
}  // namespace zabmq::zab::test
