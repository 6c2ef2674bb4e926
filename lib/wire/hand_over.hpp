// HandOver: shared memory that ZeroMQ sends without a copy. It keeps an owner, which its I/O thread
// frees once the last byte is sent. Between the two stands only ZeroMQ's own queue, of whose order
// ThreadSanitizer knows nothing: it is told here.
#pragma once

#include <utility>

#ifdef __SANITIZE_THREAD__
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace zabmq::wire {

// The hint for zmq_msg_init_data, whose deallocation function is free_handed_over<Owner>.
template <class Owner>
void* hand_over(Owner owner) {
  void* const hint = new Owner(std::move(owner));
#ifdef __SANITIZE_THREAD__
  __tsan_release(hint);
#endif
  return hint;
}

template <class Owner>
void free_handed_over(void*, void* hint) {
#ifdef __SANITIZE_THREAD__
  __tsan_acquire(hint);
#endif
  delete static_cast<Owner*>(hint);
}

}  // namespace zabmq::wire
