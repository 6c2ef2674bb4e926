// Core: the protocol of one server, fed with arbitrary well-formed messages of its peers, ticks,
// completions and crashes, in any order. The bytes choose what a sound peer would say next, or
// values that are close to the server's own state, because those are the ones that get anywhere.
#include <limits>

#include "core_server.hpp"
#include "input.hpp"
#include "target.hpp"

namespace zabmq::fuzz {
namespace {

using zab::test::Record;

constexpr std::size_t steps_max = 256;
constexpr std::uint64_t voter_set_hash = 0x5e7;
constexpr Uuid cluster_id{{std::byte{0xc1}}};
constexpr Uuid history_id{{std::byte{0xc2}}};

zab::Config config_of(std::size_t voters) {
  std::vector<ServerId> ids;
  for (std::uint32_t id = 1; id <= voters; ++id) ids.push_back(ServerId{id});
  return {ids, voter_set_hash};
}

// A past: some epochs, each with a few records.
zab::test::Disk disk_of(Input& input) {
  zab::Identity identity;
  identity.incarnation = Uuid{{std::byte{0xd1}}};
  if (input.below(4) == 0) return {identity, {}, {}, {}};  // empty
  identity.standing = input.below(4) == 0 ? zab::Standing::wiped : zab::Standing::voter;
  identity.cluster = cluster_id;
  identity.history = history_id;
  std::vector<Record> records;
  for (std::uint32_t e = 1, epochs = static_cast<std::uint32_t>(input.below(4)); e <= epochs; ++e) {
    for (std::uint64_t c = 1, count = input.below(4); c <= count; ++c) {
      const Digest previous = records.empty() ? Digest::none : records.back().digest;
      records.push_back(zab::test::make_record({Epoch{e}, c}, "v", previous));
    }
    identity.accepted = Epoch{e};
    if (input.flag()) identity.current = identity.accepted;
  }
  const std::size_t delivered = input.below(records.size() + 1);
  const Zxid marked = delivered == 0 ? Zxid{} : records[delivered - 1].zxid;
  return {identity, {}, records, marked};
}

class Peers {
 public:
  Peers(Input& input, std::size_t voters, CoreServer& server)
      : input_(input), voters_(voters), server_(server) {}

  void step() {
    if (!server_.up()) return server_.start();
    const std::size_t what = input_.below(24);
    if (what > 6 && what != 8 && voters_ == 1) return server_.ask_quorum();
    if (what >= 16) return sensible();
    switch (what) {
      case 0:
        return server_.tick(pause(), false);
      case 1:
        return server_.tick(10, input_.flag());
      case 2:
      case 3:
        return server_.complete_log();
      case 4:
      case 5:
        return server_.complete_store();
      case 6:
        return server_.propose(1 + input_.below(3));
      case 7:
        return input_.flag() ? server_.ask_quorum() : server_.session_lost(peer());
      case 8:
        return crash();
      case 9:
      case 10:
        return receive_records();
      default:
        return server_.receive(peer(), message());
    }
  }

 private:
  std::uint64_t pause() {
    constexpr std::uint64_t pauses[] = {1, 10, 100, 200, 250, 900, 1100, 2100};
    return pauses[input_.below(std::size(pauses))];
  }

  void crash() {
    zab::test::CrashChoice choice;
    choice.records_kept = input_.below(server_.disk().records_being_written() + 1);
    choice.identity_kept = input_.flag();
    choice.rewind_kept = input_.flag();
    server_.crash(choice);
  }

  // Of the others; usually the one that matters.
  ServerId peer() {
    const ServerId leader = server_.core().leader();
    const std::uint8_t choice = input_.byte();
    if (choice >= 128 && leader != ServerId::none && leader != server_.core().self()) return leader;
    const auto id = static_cast<std::uint32_t>(1 + choice % voters_);
    if (ServerId{id} != server_.core().self()) return ServerId{id};
    return ServerId{static_cast<std::uint32_t>(id % voters_ + 1)};
  }
  ServerId anybody() { return ServerId{static_cast<std::uint32_t>(input_.below(voters_ + 2))}; }

  Epoch epoch() {
    const zab::Identity& mine = server_.core().identity();
    const auto accepted = static_cast<std::uint32_t>(mine.accepted);
    switch (input_.below(8)) {
      case 0:
      case 1:
      case 2:
        return mine.accepted;
      case 3:
      case 4:
        return Epoch{accepted + 1 == 0 ? accepted : accepted + 1};
      case 5:
        return mine.current;
      case 6:
        return Epoch{input_.byte()};
      default:
        return Epoch{std::numeric_limits<std::uint32_t>::max() - input_.byte() / 64u};
    }
  }

  Zxid zxid() {
    const zab::Core& core = server_.core();
    switch (input_.below(10)) {
      case 0:
      case 1:
      case 2:
        return core.last_logged();
      case 3:
        return core.last_durable();
      case 4:
        return core.last_committed();
      case 5:
        return core.last_delivered();
      case 6:
        return next(core.last_logged());
      case 7:
        return {core.last_logged().epoch, input_.byte()};
      case 8:
        return {epoch(), input_.byte()};
      default:
        return {epoch(), input_.number<std::uint64_t>()};
    }
  }

  zab::Handshake handshake() {
    zab::Handshake theirs;
    theirs.cluster = server_.core().identity().cluster;
    theirs.history = server_.core().identity().history;
    theirs.voter_set_hash = voter_set_hash;
    if (is_none(theirs.cluster) && input_.flag()) {
      theirs.cluster = cluster_id;
      theirs.history = history_id;
    }
    switch (input_.below(16)) {
      case 0:
        theirs.version_min = input_.byte();
        break;
      case 1:
        theirs.cluster = Uuid{{std::byte{input_.byte()}}};
        break;
      case 2:
        theirs.voter_set_hash = input_.byte();
        break;
      case 3:
        theirs.cluster = {};
        break;
      default:
        break;
    }
    return theirs;
  }

  // Runs of a frame and tables of an ACK-E have the form that the codec lets through.
  zab::History history() {
    if (input_.below(4) > 0) return server_.core().history();
    zab::History theirs;
    if (input_.below(4) == 0) theirs.floor.zxid = {Epoch{input_.byte() % 4u}, input_.byte() % 8u};
    std::uint32_t e = static_cast<std::uint32_t>(theirs.floor.zxid.epoch);
    for (std::size_t n = input_.below(5); n > 0; --n) {
      e += static_cast<std::uint32_t>(1 + input_.below(2));
      theirs.ends.push_back({Epoch{e}, 1 + input_.below(6)});
    }
    return theirs;
  }

  Role role() { return static_cast<Role>(input_.below(4)); }
  Phase phase() { return static_cast<Phase>(input_.below(4)); }
  zab::Standing standing() {
    return input_.flag() ? zab::Standing::voter : static_cast<zab::Standing>(input_.below(4));
  }

  // What somebody who follows the protocol would say next, as far as it can be known from here.
  void sensible() {
    const zab::RoleState& state = server_.core().role_state();
    const ServerId from = peer();
    if (const auto* following = std::get_if<zab::Following>(&state)) {
      return next_of_the_leader(*following);
    }
    if (const auto* leading = std::get_if<zab::Leading>(&state)) {
      return server_.receive(from, next_of_a_learner(*leading, from));
    }
    server_.receive(from, next_of_a_voter(std::get<zab::Looking>(state), from));
  }

  zab::Handshake sound() {
    zab::Handshake theirs;
    theirs.cluster = server_.core().identity().cluster;
    theirs.history = server_.core().identity().history;
    theirs.voter_set_hash = voter_set_hash;
    return theirs;
  }

  zab::Message next_of_a_voter(const zab::Looking& looking, ServerId from) {
    const zab::Core& core = server_.core();
    if (core.identity().standing != zab::Standing::voter) {
      const auto standing = static_cast<zab::Standing>(input_.below(3));
      zab::Handshake theirs = sound();
      const bool ids = standing != zab::Standing::empty;
      theirs.cluster = ids ? (is_none(theirs.cluster) ? cluster_id : theirs.cluster) : Uuid{};
      theirs.history = ids ? (is_none(theirs.history) ? history_id : theirs.history) : Uuid{};
      return zab::StandingMessage{theirs, standing, input_.flag() ? from : ServerId::none,
                                  input_.flag()};
    }
    if (input_.flag()) {  // it leads
      return zab::Vote{sound(),       from,          core.identity().current, core.last_logged(),
                       looking.round, Role::leading, Phase::broadcast};
    }
    return zab::Vote{sound(),       core.self(),   core.identity().current, core.last_durable(),
                     looking.round, Role::looking, Phase::election};
  }

  zab::Message next_of_a_learner(const zab::Leading& leading, ServerId from) {
    const zab::Core& core = server_.core();
    const auto at = leading.learners.find(from);
    if (at == leading.learners.end()) {
      const auto standing = input_.below(4) == 0 ? zab::Standing::wiped : zab::Standing::voter;
      return zab::CEpoch{sound(), standing, incarnation(), core.identity().accepted};
    }
    const zab::Learner& learner = at->second;
    if (learner.sent_new_epoch && !learner.ack_epoch) {
      return zab::AckEpoch{*leading.epoch, true, core.identity().current, history()};
    }
    if (learner.sent_new_leader && !learner.acked_leader) return zab::AckLeader{*leading.epoch};
    if (learner.sent_up_to_date && !learner.counts && input_.flag()) {
      return zab::Admitted{learner.incarnation};
    }
    if (input_.below(4) == 0) return zab::Pong{leading.ping_number};
    if (learner.acked_leader) return zab::Ack{input_.flag() ? learner.cursor : zxid()};
    return zab::Progress{learner.cursor};
  }

  void next_of_the_leader(const zab::Following& following) {
    const zab::Core& core = server_.core();
    const ServerId leader = following.leader;
    const auto say = [&](zab::Message message) { server_.receive(leader, std::move(message)); };
    if (following.epoch == Epoch::none) {
      const bool again = input_.below(4) == 0;
      return say(zab::NewEpoch{
          sound(), again ? core.identity().accepted : zabmq::next(core.identity().accepted), {}});
    }
    if (!following.synchronizing) {
      if (input_.below(4) > 0)
        return say(zab::Diff{core.last_logged(), server_.disk().last_digest()});
      const Zxid common = input_.flag() ? core.last_committed() : zxid();
      return say(zab::Trunc{common, server_.disk().digest_at(common).value_or(Digest::none)});
    }
    switch (input_.below(4)) {
      case 0:
        if (!following.new_leader_at) return say(zab::NewLeader{following.epoch});
        if (!following.up_to_date) return say(zab::UpToDate{following.epoch, zxid()});
        return say(zab::Commit{zxid()});
      case 1:
        return say(zab::Ping{input_.byte(), zxid()});
      default:
        return receive_from(leader, following.epoch);
    }
  }

  void receive_from(ServerId leader, Epoch epoch) {
    std::vector<Record> records;
    Zxid last = server_.disk().last();
    for (std::size_t n = 1 + input_.below(3); n > 0; --n) {
      last = last.epoch == epoch ? zabmq::next(last) : Zxid{epoch, 1};
      const Digest previous =
          records.empty() ? server_.disk().last_digest() : records.back().digest;
      records.push_back(input_.below(4) == 0 ? zab::test::make_record(last, admit(), previous)
                                             : zab::test::make_record(last, "v", previous));
    }
    server_.receive_records(leader, records,
                            input_.flag() ? server_.core().last_durable() : zxid());
  }

  zab::Message message() { return input_.flag() ? of_anybody() : of_a_session(); }

  zab::Message of_anybody() {
    if (input_.below(4) == 0) {
      return zab::StandingMessage{handshake(), standing(), anybody(), input_.flag()};
    }
    zab::Vote vote{handshake(), anybody(), epoch(), zxid(), input_.below(6), role(), phase()};
    if (input_.flag()) vote.leader = server_.core().self();
    const auto* looking = std::get_if<zab::Looking>(&server_.core().role_state());
    if (looking && input_.flag()) vote.round = looking->round;
    if (input_.below(64) == 0) vote.round = input_.number<std::uint64_t>();
    return vote;
  }

  zab::Message of_a_session() {
    if (server_.core().role() == Role::leading && input_.below(8) > 0) return of_a_learner();
    if (server_.core().role() == Role::following && input_.below(8) > 0) return of_the_leader();
    return input_.flag() ? of_a_learner() : of_the_leader();
  }

  zab::Message of_a_learner() {
    const std::uint64_t number = input_.byte();
    switch (input_.below(9)) {
      case 0:
      case 1:
        return zab::CEpoch{handshake(), standing(), incarnation(), epoch()};
      case 2:
      case 3:
        return zab::AckEpoch{epoch(), number % 4 > 0, epoch(), history()};
      case 4:
        return zab::AckLeader{epoch()};
      case 5:
        return zab::Ack{zxid()};
      case 6:
        return zab::Progress{zxid()};
      case 7:
        return zab::Admitted{incarnation()};
      default:
        return zab::Pong{number};
    }
  }

  zab::Message of_the_leader() {
    switch (input_.below(10)) {
      case 0:
      case 1:
        return zab::NewEpoch{handshake(), epoch(), furthest()};
      case 2:
        return zab::Diff{zxid(), digest()};
      case 3:
      case 4: {
        const Zxid common = zxid();
        return zab::Trunc{common, digest_at(common)};
      }
      case 5:
        return zab::NewLeader{epoch()};
      case 6:
        return zab::UpToDate{epoch(), zxid()};
      case 7:
        return zab::Commit{zxid()};
      case 8:
        return zab::Ping{input_.byte(), zxid()};
      default:
        return zab::Snap{.floor = {zxid(), 0, Digest::none}, .state = zxid()};
    }
  }

  // Of a peer's directory; a wiped one comes with another.
  Uuid incarnation() { return Uuid{{std::byte{0xd2}, std::byte{input_.flag()}}}; }

  // What a leader claims to have seen of this server: nothing, or of another directory, mostly.
  zab::Furthest furthest() {
    if (input_.below(4) > 0) return {};
    zab::Furthest seen;
    seen.incarnation =
        input_.flag() ? server_.core().identity().incarnation : Uuid{{std::byte{0xd3}}};
    seen.voter = input_.flag();
    seen.accepted = epoch();
    seen.current = epoch();
    seen.durable = zxid();
    return seen;
  }

  zab::Admit admit() {
    if (input_.flag()) return {server_.core().self(), server_.core().identity().incarnation};
    return {anybody(), incarnation()};
  }

  Digest digest() {
    return input_.below(8) == 0 ? Digest{input_.byte()} : server_.disk().last_digest();
  }
  Digest digest_at(Zxid z) {
    return input_.below(8) == 0 ? Digest::none : server_.disk().digest_at(z).value_or(Digest::none);
  }

  void receive_records() {
    std::vector<Record> records;
    Zxid last = server_.disk().last();
    Digest previous = server_.disk().last_digest();
    for (std::size_t n = 1 + input_.below(3); n > 0; --n) {
      last = input_.below(4) > 0 ? next(last) : Zxid{epoch(), 1};
      if (last.epoch == Epoch::none) last.epoch = Epoch{1};
      records.push_back(input_.below(4) == 0 ? zab::test::make_record(last, admit(), previous)
                                             : zab::test::make_record(last, "v", previous));
      previous = records.back().digest;
    }
    server_.receive_records(peer(), records, zxid());
  }

  Input& input_;
  std::size_t voters_;
  CoreServer& server_;
};

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  const std::size_t voters = 1 + input.below(5);
  const auto self = static_cast<std::uint32_t>(1 + input.below(voters));
  CoreServer server(ServerId{self}, config_of(voters), disk_of(input));
  Peers peers(input, voters, server);
  for (std::size_t i = 0; i < steps_max && !input.empty(); ++i) peers.step();
}

}  // namespace zabmq::fuzz
