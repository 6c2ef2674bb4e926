// EtcdDriver: Put over etcd's own gRPC API: HTTP/2 streams multiplexed on some connections, written
// with nghttp2; the two protobuf fields of a PutRequest are encoded here. The JSON gateway would
// cost the server a translation for each request.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "driver.hpp"

namespace {

using namespace zabmq::compare;

constexpr std::size_t keys = 1000;  // overwritten again and again
constexpr std::size_t read_bytes = 256 << 10;
constexpr int patience_ms = 10000;
constexpr std::uint32_t streams_max = 100000;
constexpr int window_bits = 30;

void append_varint(std::string& out, std::size_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void append_field(std::string& out, char number, const std::string& bytes) {
  out += static_cast<char>(number << 3 | 2);
  append_varint(out, bytes.size());
  out += bytes;
}

// A gRPC message: not compressed, its length, and the protobuf.
std::string put_request(std::size_t key, const std::string& value) {
  std::string put;
  append_field(put, 1, "key" + std::to_string(key));
  append_field(put, 2, value);
  std::string message(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) message += static_cast<char>(put.size() >> shift);
  return message + put;
}

struct Request {
  std::string bytes;
  std::size_t sent_bytes = 0;
  Clock::time_point sent;
  bool fine = false;  // grpc-status 0 has come
};

class Connection {
 public:
  Connection(const Arguments& arguments, std::size_t window, Meter& meter)
      : authority_(arguments.host + ":" + std::to_string(arguments.port)),
        payload_(arguments.size, 'x'),
        meter_(meter),
        requests_(window) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(arguments.port));
    inet_pton(AF_INET, arguments.host.c_str(), &at.sin_addr);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) die("connect");
    const int yes = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    open_session();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  std::size_t open() const { return open_; }
  bool wants_to_write() const { return !out_.empty() || nghttp2_session_want_write(session_) != 0; }

  void put_all() {
    for (Request& request : requests_) put(request);
    flush();
  }

  void flush() {
    const std::uint8_t* bytes = nullptr;
    for (ssize_t size = 1; size > 0 && out_.size() < read_bytes;) {
      size = nghttp2_session_mem_send(session_, &bytes);
      if (size < 0) die("nghttp2_session_mem_send");
      out_.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    }
    if (out_.empty()) return;
    const ssize_t done = send(fd_, out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done < 0 && errno != EAGAIN) die("send");
    if (done > 0) out_.erase(0, static_cast<std::size_t>(done));
  }

  void take() {
    static std::vector<std::uint8_t> bytes(read_bytes);
    const ssize_t got = recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) die("the server has closed the connection");
    if (got > 0 &&
        nghttp2_session_mem_recv(session_, bytes.data(), static_cast<std::size_t>(got)) < 0) {
      die("nghttp2_session_mem_recv");
    }
    flush();
  }

 private:
  void open_session() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1U << window_bits}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 1 << window_bits);
  }

  void put(Request& request) {
    request = {.bytes = put_request(next_key_++ % keys, payload_), .sent = Clock::now()};
    const auto header = [](const char* name, std::string_view value) {
      return nghttp2_nv{reinterpret_cast<std::uint8_t*>(const_cast<char*>(name)),
                        reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
                        std::strlen(name), value.size(), NGHTTP2_NV_FLAG_NO_COPY_NAME};
    };
    const nghttp2_nv headers[] = {header(":method", "POST"),
                                  header(":scheme", "http"),
                                  header(":path", "/etcdserverpb.KV/Put"),
                                  header(":authority", authority_),
                                  header("content-type", "application/grpc"),
                                  header("te", "trailers")};
    nghttp2_data_provider body{.source = {.ptr = &request}, .read_callback = read_body};
    const std::int32_t stream =
        nghttp2_submit_request(session_, nullptr, headers, 6, &body, &request);
    if (stream < 0) die("nghttp2_submit_request");
    ++open_;
  }

  static ssize_t read_body(nghttp2_session*, std::int32_t, std::uint8_t* into, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source* source, void*) {
    Request& request = *static_cast<Request*>(source->ptr);
    const std::size_t size = std::min(room, request.bytes.size() - request.sent_bytes);
    std::memcpy(into, request.bytes.data() + request.sent_bytes, size);
    request.sent_bytes += size;
    if (request.sent_bytes == request.bytes.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame,
                       const std::uint8_t* name, std::size_t name_size, const std::uint8_t* value,
                       std::size_t value_size, std::uint8_t, void*) {
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    if (key == "grpc-message" && value_size > 0) {
      std::fprintf(stderr, "etcd: %.*s\n", static_cast<int>(value_size), value);
    }
    if (key != "grpc-status") return 0;
    auto* request =
        static_cast<Request*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    request->fine = value_size == 1 && value[0] == '0';
    return 0;
  }

  static int on_stream_close(nghttp2_session* session, std::int32_t stream, std::uint32_t error,
                             void* data) {
    Connection& connection = *static_cast<Connection*>(data);
    Request& request =
        *static_cast<Request*>(nghttp2_session_get_stream_user_data(session, stream));
    if (error != 0 || !request.fine) die("Put was refused, HTTP/2 error " + std::to_string(error));
    connection.meter_.record(request.sent, Clock::now());
    --connection.open_;
    if (!connection.meter_.over()) connection.put(request);
    return 0;
  }

  const std::string authority_;
  const std::string payload_;
  Meter& meter_;
  int fd_ = -1;
  nghttp2_session* session_ = nullptr;
  std::vector<Request> requests_;
  std::string out_;
  std::size_t open_ = 0;
  std::size_t next_key_ = 0;
};

}  // namespace

int main(int count, char** words) {
  const Arguments arguments = arguments_of(count, words);
  const std::size_t window = std::max<std::size_t>(1, arguments.window / arguments.sessions);
  Meter meter(arguments);
  std::vector<std::unique_ptr<Connection>> connections;
  for (std::size_t i = 0; i < arguments.sessions; ++i) {
    connections.push_back(std::make_unique<Connection>(arguments, window, meter));
  }
  meter = Meter(arguments);
  for (const auto& connection : connections) connection->put_all();
  std::vector<pollfd> polled(connections.size());
  std::size_t open = 1;
  while (open > 0) {
    for (std::size_t i = 0; i < connections.size(); ++i) {
      const int out = connections[i]->wants_to_write() ? POLLOUT : 0;
      polled[i] = {connections[i]->fd(), static_cast<short>(POLLIN | out), 0};
    }
    if (poll(polled.data(), polled.size(), patience_ms) == 0) die("no answer");
    open = 0;
    for (std::size_t i = 0; i < connections.size(); ++i) {
      if ((polled[i].revents & POLLIN) != 0) connections[i]->take();
      if ((polled[i].revents & POLLOUT) != 0) connections[i]->flush();
      open += connections[i]->open();
    }
  }
  meter.print("etcd", arguments);
}
