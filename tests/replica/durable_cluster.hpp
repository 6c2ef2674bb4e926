// DurableCluster: replicas over real logs on disks that lose power, watched for the one thing that
// must never happen: something committed, acknowledged or promised that a power loss could take.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "cluster.hpp"

namespace zabmq::testing {

inline constexpr ServerId s1{1}, s2{2}, s3{3}, s4{4}, s5{5};

replica::Options quick_options();  // short time-outs: a run has few ticks

class DurableCluster : public DiskCluster {
 public:
  // Server i has the i-th past; none is started.
  explicit DurableCluster(const std::vector<Past>& pasts,
                          replica::Options options = quick_options());

  void start_some(std::initializer_list<ServerId> ids);
  // Ticks until this server accepts publishes.
  bool leads(ServerId id, int ticks_max = 1000);
  void open_publisher(ServerId leader);                    // waits for its transaction
  void propose(ServerId leader, const std::string& text);  // behind open_publisher(leader)
  // Opens and publishes at whoever leads; waits for the receipt.
  void publish(const std::string& text);

  // All servers that are up follow one leader, have the same history on disk, and have delivered
  // all of it; everything that was ever committed is in it. Checked.
  void converge();
  // The payloads that a subscriber who begins at the first message gets at this server.
  std::vector<std::string> delivered_at(ServerId id);

  // Looks at commit points; called by itself whenever a frame leaves or a tick passes.
  void look();
  const zab::History& committed() const { return committed_; }
  std::size_t looks() const { return looks_; }

 private:
  void watch(ServerId from, const zab::Message& message);
  const DiskServer::Found& platter(ServerId id);
  bool on_quorum_of_platters();
  std::string describe();  // what every server is doing, for failures

  struct Seen {
    std::uint64_t at_step = 0;
    std::size_t lives = 0;
    DiskServer::Found found;
  };
  std::map<ServerId, Seen> platters_;
  zab::History committed_;  // by anyone, ever
  std::size_t looks_ = 0;
  std::uint64_t connections_ = 100;
  std::map<ServerId, std::pair<ConnectionId, Sequence>> publishers_;
};

// Both hold everything up to `end`, and the same.
bool share(const zab::History& a, const zab::History& b, Zxid end);

}  // namespace zabmq::testing
