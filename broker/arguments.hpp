// Arguments: the command line of zabmqd. Whatever is wrong with it is one line that names flag and
// value.
#pragma once

#include <string>
#include <variant>

#include "node/node.hpp"

namespace zabmq::broker {

// Nothing to run: print and exit 0 (--help, --version).
struct Information {
  std::string text;
};

std::variant<node::NodeConfig, Information, node::Problem> parse_arguments(int argc, char** argv);

}  // namespace zabmq::broker
