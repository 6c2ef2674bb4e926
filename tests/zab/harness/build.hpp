// Build: the small values that tests are made of.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "zab/config.hpp"
#include "zab/harness/disk.hpp"
#include "zab/harness/server.hpp"
#include "zab/harness/text.hpp"
#include "zab/message.hpp"

namespace zabmq::zab::test {

Uuid uuid(unsigned number);
inline const Uuid cluster_uuid = uuid(0xc1);
inline const Uuid history_uuid = uuid(0xc2);
inline constexpr std::uint64_t voter_set_hash = 0x5e7;

Config voters(unsigned count);  // 1..count
Handshake handshake();          // of a member of the cluster above

// One server's past, as text: see parse_history. The values are the zxids, so equal zxids have
// equal records on all servers unless `diverging` says otherwise.
struct Past {
  std::string history = {};
  unsigned accepted = 0;          // 0: the newest epoch of the history
  unsigned current = 0;           // 0: the same
  std::string delivered = "0.0";  // by the newest mark
  Standing standing = Standing::voter;
  std::string diverging = {};  // added to every value
};

Past empty_directory();
Disk disk_of(const Past& past, ServerId id);
std::vector<Record> records_of(std::string_view history, std::string_view diverging = "");

Server::Setup setup_of(ServerId id, unsigned voter_count, const Options& options);

// --- messages as a member of the cluster would send them ---

Vote vote(unsigned leader, unsigned current, Zxid last, std::uint64_t round,
          Role role = Role::looking, Phase phase = Phase::election);
CEpoch cepoch(unsigned accepted, Standing standing = Standing::voter);
AckEpoch ack_epoch(unsigned e, unsigned current, std::string_view history, bool promised = true);
NewEpoch new_epoch(unsigned e);
StandingMessage standing(Standing standing, unsigned leader = 0, bool answer = true);
Propose propose(Epoch e, std::uint64_t first, std::uint64_t last, Zxid commit = {});

}  // namespace zabmq::zab::test
