// TestCluster: a LocalCluster in a temporary directory, and the questions that tests ask it.
#pragma once

#include <string>

#include "cli/local_cluster.hpp"
#include "tool.hpp"

namespace zabmq::cluster {

class TestCluster {
 public:
  explicit TestCluster(std::size_t servers = 3, Words arguments = {});

  cli::LocalCluster& servers() { return cluster_; }
  std::filesystem::path directory() const { return directory_.path(); }

  std::string endpoint(int id) const { return cluster_.endpoint(ServerId(id)); }
  std::string endpoints() const;  // comma separated

  // zabmq COMMAND ... against this cluster.
  Ended tool(Words arguments, std::string_view input = {}) const;
  // Everything that server `id` delivers from the first message to the end, a line each.
  std::string everything_at(int id) const;

  // The server that leads; fails the test when none does soon.
  ServerId leader();
  ServerId follower();
  // The server's own word, or unreachable.
  ServerStatus status_of(ServerId id) const;
  // Waits until every running server has committed up to the same end.
  bool even();

 private:
  TemporaryDirectory directory_;
  cli::LocalCluster cluster_;
};

}  // namespace zabmq::cluster
