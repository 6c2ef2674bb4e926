// Problem: why a server cannot be started as it was asked to: one line for a person, naming what
// was given and what is wrong with it. The broker prints it and exits.
#pragma once

#include <string>

namespace zabmq::node {

struct Problem {
  std::string text;
};

}  // namespace zabmq::node
