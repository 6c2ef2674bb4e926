// LibFuzzer: the entry that clang's -fsanitize=fuzzer calls.
#include "target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  zabmq::fuzz::fuzz_one({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
