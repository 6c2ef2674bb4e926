// Sockets: the ZeroMQ calls of the limit program, which ends when one of them fails.
#pragma once

#include <zmq.h>

#include <cstddef>
#include <string>
#include <vector>

namespace zabmq::limit {

[[noreturn]] void die(const std::string& what);  // with errno's text

void* new_context();
void* open_bound(void* context, int type, const std::string& endpoint);
void* open_connected(void* context, int type, const std::string& endpoint);
int event_fd(void* socket);
// Closes all, and waits a moment until what was sent has left.
void end(void* context, const std::vector<void*>& sockets);

// False: nothing is there.
bool receive(void* socket, zmq_msg_t& part, int flags);
void send(void* socket, const void* bytes, std::size_t size, int flags = 0);
// Not waiting: a peer that has ended takes no more.
void offer(void* socket, const void* bytes, std::size_t size);
void send(void* socket, zmq_msg_t& part, int flags = 0);
// Another reference to the same bytes.
void send_copy(void* socket, zmq_msg_t& part, int flags = 0);

}  // namespace zabmq::limit
