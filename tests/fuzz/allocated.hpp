// Allocated: how many bytes a piece of code asks the allocator for. Counted where AddressSanitizer
// is in the program (which has a hook for it); elsewhere it is always 0.
#pragma once

#include <cstddef>

namespace zabmq::fuzz {

// All bytes asked for since it was made, freed or not.
class Allocated {
 public:
  Allocated();
  std::size_t bytes() const;

 private:
  std::size_t before_;
};

}  // namespace zabmq::fuzz
