// Build: defaults that make a test say only what it is about.
#include "zab/harness/build.hpp"

#include <algorithm>

namespace zabmq::zab::test {

Uuid uuid(unsigned number) {
  Uuid id;
  id.bytes[0] = std::byte{0xab};
  for (std::size_t i = 0; i < 4; ++i) id.bytes[15 - i] = static_cast<std::byte>(number >> (8 * i));
  return id;
}

Config voters(unsigned count) {
  std::vector<ServerId> ids;
  for (unsigned i = 1; i <= count; ++i) ids.push_back(ServerId{i});
  return {ids, voter_set_hash};
}

Handshake handshake() {
  Handshake mine;
  mine.cluster = cluster_uuid;
  mine.history = history_uuid;
  mine.voter_set_hash = voter_set_hash;
  return mine;
}

namespace {

// The floor of a history that is written "floor=1.2 ...": its digest is made up.
Floor floor_of(const History& table) {
  if (is_none(table.floor.zxid)) return {};
  return {table.floor.zxid, table.floor.zxid.counter, Digest{0xf100}};
}

}  // namespace

std::vector<Record> records_of(std::string_view history, std::string_view diverging) {
  const History table = parse_history(history);
  const Floor floor = floor_of(table);
  std::vector<Record> records;
  for (const EpochEnd& end : table.ends) {
    const bool goes_on = end.epoch == floor.zxid.epoch;
    for (std::uint64_t counter = goes_on ? floor.zxid.counter + 1 : 1; counter <= end.last;
         ++counter) {
      const Zxid z{end.epoch, counter};
      const Digest previous = records.empty() ? floor.digest : records.back().digest;
      records.push_back(make_record(z, to_string(z) + std::string(diverging), previous));
    }
  }
  return records;
}

Past empty_directory() {
  Past past;
  past.standing = Standing::empty;
  return past;
}

Disk disk_of(const Past& past, ServerId id) {
  std::vector<Record> records = records_of(past.history, past.diverging);
  const Epoch newest = records.empty() ? Epoch::none : records.back().zxid.epoch;
  Identity identity;
  identity.standing = past.standing;
  identity.incarnation = uuid(0x100 + static_cast<unsigned>(id));
  if (past.standing != Standing::empty) {
    identity.cluster = cluster_uuid;
    identity.history = history_uuid;
    identity.current = past.current == 0 ? newest : Epoch{past.current};
    identity.accepted = std::max({Epoch{past.accepted}, identity.current, newest});
  }
  const Floor floor = floor_of(parse_history(past.history));
  return {identity, floor, std::move(records), std::max(parse_zxid(past.delivered), floor.zxid)};
}

Server::Setup setup_of(ServerId id, unsigned voter_count, const Options& options) {
  return {.id = id,
          .config = voters(voter_count),
          .options = options,
          .fresh_ids = {cluster_uuid, history_uuid,
                        uuid(0x10'0000 + 0x1'0000 * static_cast<unsigned>(id))}};
}

Vote vote(unsigned leader, unsigned current, Zxid last, std::uint64_t round, Role role,
          Phase phase) {
  return {handshake(), ServerId{leader}, Epoch{current}, last, round, role, phase};
}

CEpoch cepoch(unsigned accepted, Standing standing) {
  return {handshake(), standing, uuid(0x900), Epoch{accepted}};
}

AckEpoch ack_epoch(unsigned e, unsigned current, std::string_view history, bool promised) {
  return {Epoch{e}, promised, Epoch{current}, parse_history(history)};
}

NewEpoch new_epoch(unsigned e) {
  return {handshake(), Epoch{e}, {}};
}

StandingMessage standing(Standing standing, unsigned leader, bool answer) {
  Handshake theirs = handshake();
  if (standing == Standing::empty) theirs.cluster = theirs.history = Uuid{};
  return {theirs, standing, ServerId{leader}, answer};
}

Propose propose(Epoch e, std::uint64_t first, std::uint64_t last, Zxid commit) {
  return {{{e, first, last}}, commit};
}

}  // namespace zabmq::zab::test
