// ZmqInbox: when a ZeroMQ socket has to be asked for what it has received, and when not.
//
// Asking a socket that has nothing costs two system calls, and so does each socket in a zmq_poll,
// twice when it has to wait. The socket's descriptor says as much to a plain poll, but only of what
// comes after the socket was asked last, and sending asks as well, now and then. So a socket is
// quiet from the moment at which it says that it has nothing, until its descriptor is readable or
// something was sent: only who knows that all are quiet may wait for descriptors.
#pragma once

#include <poll.h>
#include <zmq.h>

#include <cstddef>

#include "zabmq/check.hpp"

namespace zabmq::wire {

class ZmqInbox {
 public:
  ZmqInbox() = default;  // of no socket: nothing ever comes
  explicit ZmqInbox(void* socket) : socket_(socket), quiet_(false) {
    std::size_t size = sizeof descriptor_;
    ZABMQ_CHECK(zmq_getsockopt(socket_, ZMQ_FD, &descriptor_, &size) == 0);
  }

  pollfd poll_item() const { return {descriptor_, POLLIN, 0}; }  // of no socket: poll skips it
  void polled(const pollfd& item) {
    if (item.revents != 0) look_again();
  }
  void look_again() { quiet_ = false; }
  void sent() { look_again(); }

  // False: `receive` would have nothing.
  bool may_have() const { return !quiet_; }
  // The same, after asking a socket that is not quiet. To be called before a wait.
  bool has_input() {
    if (!quiet_) quiet_ = (events() & ZMQ_POLLIN) == 0;
    return !quiet_;
  }
  // Whether it would take a part: told by the descriptor once, too, as soon as it changes. To be
  // asked after has_input(), which may be told of it, and before may_have(): what has come in
  // between is told here, and nowhere else.
  bool has_room() {
    const int now = events();
    if ((now & ZMQ_POLLIN) != 0) look_again();
    return (now & ZMQ_POLLOUT) != 0;
  }

  // The next part, without waiting. False: there is none.
  bool receive(zmq_msg_t* part) {
    if (zmq_msg_recv(part, socket_, ZMQ_DONTWAIT) >= 0) return true;
    quiet_ = zmq_errno() == EAGAIN;  // an interrupted call has not looked
    return false;
  }

 private:
  int events() const {
    int events = 0;
    std::size_t size = sizeof events;
    // Interrupted, or at the context's end: it has not looked.
    const bool asked = zmq_getsockopt(socket_, ZMQ_EVENTS, &events, &size) == 0;
    return asked ? events : ZMQ_POLLIN | ZMQ_POLLOUT;
  }

  void* socket_ = nullptr;
  int descriptor_ = -1;
  bool quiet_ = true;
};

}  // namespace zabmq::wire
