// Leader: groups what clients send, sends each group to all followers and writes it, and answers
// what a quorum has. Small frames are gathered into one buffer, large ones passed on as they are.
#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>

#include "group_log.hpp"
#include "run.hpp"
#include "sockets.hpp"

namespace zabmq::limit {

namespace {

constexpr std::size_t group_bytes_max = 1 << 20;
constexpr std::size_t frames_max = 19000;
constexpr std::size_t gathered_below = 16384;
constexpr std::size_t frame_bytes_usual = 67000;
constexpr std::uint64_t lag_bytes_max = 64 << 20;  // of the slowest follower

// Buffers for gathered groups; ZeroMQ's I/O thread gives them back.
class Buffers {
 public:
  static constexpr std::size_t size = group_bytes_max + (64 << 10);

  static char* take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return new char[size];
    char* buffer = free_.back();
    free_.pop_back();
    return buffer;
  }
  static void give_back(void* buffer, void*) {
    const std::lock_guard lock(mutex_);
    free_.push_back(static_cast<char*>(buffer));
  }

 private:
  static inline std::mutex mutex_;
  static inline std::vector<char*> free_;
};

// Where messages come from: one DEALER, or with many clients a ROUTER.
class Clients {
 public:
  Clients(void* context, const Run& run)
      : many_(run.sockets > 1),
        socket_(open_bound(context, many_ ? ZMQ_ROUTER : ZMQ_DEALER, run.client_endpoint)) {}

  void* socket() const { return socket_; }

  bool take(zmq_msg_t& frame) {
    if (!many_) return receive(socket_, frame, ZMQ_DONTWAIT);
    if (!receive(socket_, frame, ZMQ_DONTWAIT)) return false;
    name_.assign(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
    zmq_msg_close(&frame);
    return receive(socket_, frame, 0);
  }
  // The frame taken last ends with message `last`.
  void expect(std::uint64_t last) {
    if (many_) waiting_.push_back({last, name_});
  }
  void acknowledge(std::uint64_t up_to) {
    if (!many_) return offer(socket_, &up_to, sizeof up_to);
    while (!waiting_.empty() && waiting_.front().last <= up_to) {
      const Waiting& next = waiting_.front();
      send(socket_, next.name.data(), next.name.size(), ZMQ_SNDMORE);
      send(socket_, &up_to, sizeof up_to);
      waiting_.pop_front();
    }
  }

 private:
  struct Waiting {
    std::uint64_t last = 0;
    std::string name;
  };

  const bool many_;
  void* socket_;
  std::string name_;
  std::deque<Waiting> waiting_;
};

class Leader {
 public:
  explicit Leader(const Run& run)
      : log_(run, 0),
        context_(new_context()),
        clients_(context_, run),
        frames_(frames_max),
        pieces_(frames_max + 1) {
    for (const std::string& endpoint : run.follower_endpoints) {
      followers_.push_back(open_connected(context_, ZMQ_DEALER, endpoint));
    }
    followed_.resize(followers_.size());
    others_needed_ = (followers_.size() + 1) / 2;  // with the leader a majority
    poll_.push_back({clients_.socket(), 0, ZMQ_POLLIN, 0});
    for (void* follower : followers_) poll_.push_back({follower, 0, ZMQ_POLLIN, 0});
  }

  // False: the client has said that this is the end.
  bool turn() {
    if (idle_) wait(0);
    take_acknowledgements();
    if (lag() > lag_bytes_max) {
      wait(1);  // for followers only
      return true;
    }
    const std::uint64_t before = sequence_;
    take_frames();
    idle_ = sequence_ == before;
    if (!idle_) {
      const auto count = static_cast<std::uint32_t>(sequence_ - before);
      GroupHeader header{before, count, static_cast<std::uint32_t>(message_size_)};
      if (buffer_ != nullptr) {
        send_gathered(header);
      } else {
        send_frames(header);
      }
      written_ = sequence_;
    }
    return !ended_;
  }

  // Closing before the last acknowledgements were read would reset the connections, and what is
  // still on its way to a follower would be lost, the end included.
  void end() {
    while (lag() > 0) {
      wait(1);
      take_acknowledgements();
    }
    const GroupHeader last{};
    for (void* follower : followers_) send(follower, &last, sizeof last);
    std::vector<void*> sockets = followers_;
    sockets.push_back(clients_.socket());
    limit::end(context_, sockets);
  }

  void settle(Account& account) const { log_.settle(account); }

 private:
  void wait(std::size_t from) {
    zmq_poll(poll_.data() + from, static_cast<int>(poll_.size() - from), -1);
  }

  std::uint64_t lag() const {
    return (sequence_ - *std::min_element(followed_.begin(), followed_.end())) * message_size_;
  }

  void take_acknowledgements() {
    for (std::size_t i = 0; i < followers_.size(); ++i) {
      std::uint64_t up_to = 0;
      while (zmq_recv(followers_[i], &up_to, sizeof up_to, ZMQ_DONTWAIT) == sizeof up_to) {
        followed_[i] = up_to;
      }
    }
    sorted_ = followed_;
    std::sort(sorted_.begin(), sorted_.end(), std::greater<>());
    const std::uint64_t durable = std::min(written_, sorted_[others_needed_ - 1]);
    if (durable <= acknowledged_) return;
    acknowledged_ = durable;
    clients_.acknowledge(acknowledged_);
  }

  void take_frames() {
    count_ = bytes_ = 0;
    buffer_ = nullptr;
    while (count_ < frames_max && bytes_ < group_bytes_max) {
      zmq_msg_t& frame = frames_[count_];
      if (!clients_.take(frame)) return;
      GroupHeader header;
      std::memcpy(&header, zmq_msg_data(&frame), sizeof header);
      ended_ = header.count == 0;
      if (ended_) return void(zmq_msg_close(&frame));
      sequence_ += header.count;
      message_size_ = header.size;
      clients_.expect(sequence_);
      keep(frame);
      if (buffer_ != nullptr && bytes_ + frame_bytes_usual > Buffers::size) return;
    }
  }

  // A group that begins with a large frame is passed on by reference.
  void keep(zmq_msg_t& frame) {
    const std::size_t size = zmq_msg_size(&frame);
    if (count_ == 0 && buffer_ == nullptr && size < gathered_below) buffer_ = Buffers::take();
    if (buffer_ != nullptr) {
      std::memcpy(buffer_ + bytes_, zmq_msg_data(&frame), size);
      zmq_msg_close(&frame);
    } else {
      ++count_;
    }
    bytes_ += size;
  }

  void send_gathered(GroupHeader& header) {
    zmq_msg_t group;
    zmq_msg_init_data(&group, buffer_, bytes_, Buffers::give_back, nullptr);
    for (void* follower : followers_) {
      send(follower, &header, sizeof header, ZMQ_SNDMORE);
      send_copy(follower, group);
    }
    pieces_[0] = {&header, sizeof header};
    pieces_[1] = {buffer_, bytes_};
    log_.append(pieces_.data(), 2);
    zmq_msg_close(&group);
  }

  void send_frames(GroupHeader& header) {
    for (void* follower : followers_) {
      send(follower, &header, sizeof header, ZMQ_SNDMORE);
      for (std::size_t i = 0; i < count_; ++i) {
        send_copy(follower, frames_[i], i + 1 < count_ ? ZMQ_SNDMORE : 0);
      }
    }
    pieces_[0] = {&header, sizeof header};
    for (std::size_t i = 0; i < count_; ++i) {
      pieces_[i + 1] = {zmq_msg_data(&frames_[i]), zmq_msg_size(&frames_[i])};
    }
    log_.append(pieces_.data(), count_ + 1);
    for (std::size_t i = 0; i < count_; ++i) zmq_msg_close(&frames_[i]);
  }

  GroupLog log_;
  void* context_;
  Clients clients_;
  std::vector<void*> followers_;
  std::size_t others_needed_ = 1;
  std::vector<zmq_pollitem_t> poll_;
  std::vector<std::uint64_t> followed_;  // acknowledged by each follower
  std::vector<std::uint64_t> sorted_;
  std::uint64_t sequence_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::size_t message_size_ = 1;

  std::vector<zmq_msg_t> frames_;
  std::vector<iovec> pieces_;
  std::size_t count_ = 0;  // frames passed on as they are
  std::size_t bytes_ = 0;
  char* buffer_ = nullptr;
  bool idle_ = true;
  bool ended_ = false;
};

}  // namespace

void lead(const Run& run, Account& account) {
  Leader leader(run);
  while (leader.turn()) {
  }
  leader.end();
  leader.settle(account);
}

}  // namespace zabmq::limit
