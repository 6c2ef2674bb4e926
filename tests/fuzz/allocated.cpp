// Allocated: AddressSanitizer's hooks.
#include "allocated.hpp"

// Weak: absent without AddressSanitizer.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*,
                                                                           std::size_t),
                                                         void (*on_free)(const volatile void*))
    __attribute__((weak));

namespace zabmq::fuzz {
namespace {

thread_local std::size_t total = 0;

void on_malloc(const volatile void*, std::size_t size) {
  total += size;
}
void on_free(const volatile void*) {}

bool install() {
  if (__sanitizer_install_malloc_and_free_hooks == nullptr) return false;
  return __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0;
}

}  // namespace

Allocated::Allocated() {
  [[maybe_unused]] static const bool installed = install();
  before_ = total;
}

std::size_t Allocated::bytes() const {
  return total - before_;
}

}  // namespace zabmq::fuzz
