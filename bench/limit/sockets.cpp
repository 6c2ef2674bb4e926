// Sockets: thin, and without a way to go on after an error.
#include "sockets.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace zabmq::limit {

namespace {

constexpr int queue_frames_max = 100000;
constexpr int backlog = 4096;
constexpr int linger_ms = 50000;  // a follower may be far behind

void* open(void* context, int type) {
  void* socket = zmq_socket(context, type);
  if (socket == nullptr) die("zmq_socket");
  zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
  zmq_setsockopt(socket, ZMQ_SNDHWM, &queue_frames_max, sizeof queue_frames_max);
  zmq_setsockopt(socket, ZMQ_RCVHWM, &queue_frames_max, sizeof queue_frames_max);
  zmq_setsockopt(socket, ZMQ_BACKLOG, &backlog, sizeof backlog);
  return socket;
}

}  // namespace

void die(const std::string& what) {
  std::fprintf(stderr, "zabmq-limit: %s: %s\n", what.c_str(), zmq_strerror(zmq_errno()));
  std::_Exit(1);
}

void* new_context() {
  void* context = zmq_ctx_new();
  zmq_ctx_set(context, ZMQ_MAX_SOCKETS, zmq_ctx_get(context, ZMQ_SOCKET_LIMIT));
  return context;
}

void* open_bound(void* context, int type, const std::string& endpoint) {
  void* socket = open(context, type);
  if (zmq_bind(socket, endpoint.c_str()) != 0) die(endpoint);
  return socket;
}

void* open_connected(void* context, int type, const std::string& endpoint) {
  void* socket = open(context, type);
  if (zmq_connect(socket, endpoint.c_str()) != 0) die(endpoint);
  return socket;
}

int event_fd(void* socket) {
  int fd = -1;
  std::size_t size = sizeof fd;
  if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) != 0) die("ZMQ_FD");
  return fd;
}

void end(void* context, const std::vector<void*>& sockets) {
  for (void* socket : sockets) zmq_close(socket);
  zmq_ctx_term(context);
}

bool receive(void* socket, zmq_msg_t& part, int flags) {
  zmq_msg_init(&part);
  if (zmq_msg_recv(&part, socket, flags) >= 0) return true;
  if (errno != EAGAIN) die("receive");
  zmq_msg_close(&part);
  return false;
}

void send(void* socket, const void* bytes, std::size_t size, int flags) {
  if (zmq_send(socket, bytes, size, flags) < 0) die("send");
}

void offer(void* socket, const void* bytes, std::size_t size) {
  if (zmq_send(socket, bytes, size, ZMQ_DONTWAIT) < 0 && errno != EAGAIN) die("send");
}

void send(void* socket, zmq_msg_t& part, int flags) {
  if (zmq_msg_send(&part, socket, flags) < 0) die("send");
}

void send_copy(void* socket, zmq_msg_t& part, int flags) {
  zmq_msg_t copy;
  zmq_msg_init(&copy);
  zmq_msg_copy(&copy, &part);
  send(socket, copy, flags);
}

}  // namespace zabmq::limit
