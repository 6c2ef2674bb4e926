// Fingerprint: feeds everything that a Core or a message consists of into a Hasher.
#pragma once

#include "sim/exhaustive/hasher.hpp"
#include "zab/core.hpp"
#include "zab/message.hpp"
#include "zab/ready.hpp"

namespace zabmq::sim::exhaustive {

void add(Hasher& hasher, const zab::Identity& identity);
void add(Hasher& hasher, const zab::Message& message);

// Which parts of a Core can still matter. Clocks never count as numbers: a time counts only as
// passed or not. With free elections no vote of a Core is ever delivered, so rounds and votes do
// not matter either.
enum class Elections : bool { free, real };

void add(Hasher& hasher, const zab::Core& core, Elections elections);

}  // namespace zabmq::sim::exhaustive
