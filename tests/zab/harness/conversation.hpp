// Conversation: runs a text file of commands against a cluster and compares what the servers did
// with what the file says they do. ZABMQ_REWRITE=1 writes what they did into the file: read the
// diff, and commit it only if you can explain each line.
//
// A block is comments (#), commands, a line "----" and the trace, up to an empty line. Commands:
//   peers N [KEY=VALUE]... [ID.KEY=VALUE]...   history=1:3,2:1 accepted= current= delivered= empty
//   deliver A->B [NAME]    the oldest message on its way (VOTE, CEPOCH, ..., LOSS), or all: *
//   drop A->B NAME         a datagram
//   tick MS [ID]           the clock of all, or of one server
//   hold-disk ID, free-disk ID, sync ID, store ID   the log's or the identity record's completion
//   crash ID, restart ID, wipe ID, lose-session A B, isolate ID, heal
//   propose ID VALUE...    one group
//   stabilize              all messages and disks, without time
//   run MS                 the same, with time
//   elect ID               run until ID leads and all that are reachable are up to date
//   state, history ID, show votes, hide votes
//   quietly COMMAND        without a trace, for what another conversation tells
#pragma once

#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "zab/harness/cluster.hpp"

namespace zabmq::zab::test {

class Conversation {
 public:
  explicit Conversation(std::string path) : path_(std::move(path)) {}

  void run();  // checks each block, or rewrites the file

 private:
  struct Block {
    std::vector<std::string> head;  // comments and commands, as in the file
    std::vector<std::string> expected;
  };
  using Words = std::vector<std::string>;

  std::vector<Block> read() const;
  void rewrite(const std::vector<Block>& blocks) const;
  std::vector<std::string> perform(const Block& block);
  void perform(const std::string& command);
  bool perform_on_network(const Words& words);
  bool perform_on_disk(const Words& words);
  bool perform_on_life(const Words& words);
  bool perform_on_time(const Words& words);
  bool perform_looking(const Words& words);

  void start_peers(const Words& words);
  void deliver(const Words& words);
  void complete_free_disks();
  void write(const std::string& line);
  Cluster& cluster();

  std::string path_;
  std::unique_ptr<Cluster> cluster_;
  std::vector<std::string> lines_;
  bool show_votes_ = false;
  bool quiet_ = false;
};

}  // namespace zabmq::zab::test
