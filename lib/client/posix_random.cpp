// PosixRandom: from the kernel.
#include "client/posix_random.hpp"

#include <sys/random.h>

#include "zabmq/check.hpp"

namespace zabmq::client {
namespace {

// Up to 256 bytes are given whole, and waited for only while the machine is booting.
template <class T>
T random() {
  T value{};
  const auto got = ::getrandom(&value, sizeof value, 0);
  ZABMQ_CHECK(got == static_cast<ssize_t>(sizeof value));
  return value;
}

}  // namespace

Uuid random_uuid() {
  return random<Uuid>();
}
std::uint64_t random_seed() {
  return random<std::uint64_t>();
}

}  // namespace zabmq::client
