// Random: getrandom(2).
#include "node/random.hpp"

#include <sys/random.h>

#include <cerrno>
#include <system_error>

namespace zabmq::node {
namespace {

void fill(void* bytes, std::size_t size) {
  ssize_t count = -1;
  do {
    count = ::getrandom(bytes, size, 0);
  } while (count < 0 && errno == EINTR);
  // Up to 256 bytes come whole.
  if (count != static_cast<ssize_t>(size)) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
}

}  // namespace

Uuid draw_uuid() {
  Uuid id;
  while (is_none(id)) fill(id.bytes.data(), id.bytes.size());
  return id;
}

std::uint64_t draw_nonce() {
  std::uint64_t nonce = 0;
  fill(&nonce, sizeof nonce);
  return nonce;
}

}  // namespace zabmq::node
