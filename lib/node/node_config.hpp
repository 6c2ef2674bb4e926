// NodeConfig: what a server has to be told to run.
#pragma once

#include <string>

#include "node/options.hpp"
#include "node/server_list.hpp"
#include "zabmq/types.hpp"

namespace zabmq::node {

struct NodeConfig {
  ServerId self = ServerId::none;
  ServerList servers;  // holds `self`
  std::string data_dir;
  Options options;  // without contradictions
};

}  // namespace zabmq::node
