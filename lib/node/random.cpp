// Random: getrandom(2).
#include "node/random.hpp"

#include <sys/random.h>

#include <cerrno>
#include <system_error>

namespace zabmq::node {

Uuid draw_uuid() {
  Uuid id;
  while (is_none(id)) {
    const auto count = ::getrandom(id.bytes.data(), id.bytes.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count != static_cast<ssize_t>(id.bytes.size())) {
      throw std::system_error(errno, std::generic_category(), "getrandom");
    }
  }
  return id;
}

}  // namespace zabmq::node
