// PeerNetwork: frames on their way between servers, as a bad network treats them: late, twice, long
// after, damaged, or not at all. FIFO on each directed link as long as nothing is said otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "net/session_links.hpp"
#include "sim/faults.hpp"
#include "sim/parameters.hpp"
#include "sim/random.hpp"
#include "sim/timeline.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::sim {

// Which frame of which session this is, written on its back by the sender's witness and compared by
// the receiver's (I11). The code under test never sees it.
struct SessionTag {
  std::uint64_t life = 0;     // of the sending process
  std::uint64_t session = 0;  // of the sender with this peer, counted by the witness
  std::uint64_t answers = 0;  // the receiver's session that it belongs to; 0: the first frame
  std::uint64_t number = 0;   // of the frame in it, from 1; 0: not a session frame
};

struct PeerFrame {
  ServerId from = ServerId::none;
  ServerId to = ServerId::none;
  net::Life life;  // what the connection claims
  net::Lane lane = net::Lane::session;
  std::vector<std::byte> header;
  Slice records;
  SessionTag tag;

  std::size_t size() const { return header.size() + records.size(); }
};

class PeerNetwork {
 public:
  // A link holds so many bytes that were not delivered; more are not taken.
  static constexpr std::size_t link_bytes_max = 8 << 20;

  using Deliver = std::function<void(const PeerFrame&)>;
  using Disconnect = std::function<void(ServerId at, ServerId peer)>;
  using Hit = std::function<void(Fault, ServerId)>;

  PeerNetwork(Timeline& timeline, Random random, const LinkParameters& parameters, Deliver deliver,
              Disconnect disconnect, Hit hit);

  bool transmit(PeerFrame frame);
  void drop_queued(ServerId from, ServerId to);
  void reconnect(ServerId from, ServerId to);

  // --- faults ---
  enum class Cut : std::uint8_t { none, losing, holding };
  void cut(ServerId from, ServerId to, Cut how);  // none: mends
  void clog(ServerId from, ServerId to, Micros until);
  void disconnect(ServerId a, ServerId b);
  void deafen(ServerId from, ServerId to);  // until `from` connects anew
  void process_died(ServerId server, std::size_t servers);
  void heal();  // from now on nothing goes wrong; deaf links are the servers' to mend

 private:
  struct Link {
    Cut cut = Cut::none;
    bool lost_some = false;
    bool deaf = false;
    Micros clogged_until = 0;
    Micros last_arrival = 0;
    std::size_t bytes = 0;  // not yet delivered
    std::deque<PeerFrame> held;
  };
  Link& link(ServerId from, ServerId to) { return links_[{from, to}]; }
  bool hit_by(Fault fault, std::uint32_t per_million, ServerId where);
  void send_off(Link& on, PeerFrame frame);
  void schedule(Micros when, PeerFrame frame);
  void arrive(std::size_t slot);
  void flip_bit(PeerFrame& frame);

  Timeline& timeline_;
  Random random_;
  LinkParameters parameters_;
  Deliver deliver_;
  Disconnect disconnect_;
  Hit hit_;
  std::map<std::pair<ServerId, ServerId>, Link> links_;
  std::vector<PeerFrame> slots_;  // frames under way
  std::vector<std::size_t> free_;
};

}  // namespace zabmq::sim
