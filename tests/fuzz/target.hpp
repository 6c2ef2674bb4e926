// Target: what a fuzz target is. Each .cpp file that defines fuzz_one is a program of its own:
// built by clang with libFuzzer, which looks for inputs that break it, and by every other preset
// with replay.cpp, which runs the kept corpus.
#pragma once

#include "zabmq/check.hpp"
#include "zabmq/types.hpp"

namespace zabmq::fuzz {

// One run. Keeps no state from the runs before; what must hold is asked by ZABMQ_CHECK, which
// aborts: that is how a fuzzer is told.
void fuzz_one(Bytes input);

}  // namespace zabmq::fuzz
