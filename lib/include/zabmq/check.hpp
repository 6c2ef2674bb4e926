// Check: our own bugs abort, in release builds too. Never used on anything that comes from outside:
// wire, disk, configuration and users are validated and answered.
#pragma once

#include <cstdio>
#include <cstdlib>

#define ZABMQ_CHECK(condition)                                                                   \
  do {                                                                                           \
    if (!(condition)) [[unlikely]] {                                                             \
      std::fprintf(stderr, "zabmq: check failed: %s (%s:%d)\n", #condition, __FILE__, __LINE__); \
      std::abort();                                                                              \
    }                                                                                            \
  } while (false)
