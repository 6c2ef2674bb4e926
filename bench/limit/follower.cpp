// Follower: writes what the leader sends, one group for all that is there, and says so; with a
// reader behind it, hands on what it has synced.
#include <array>
#include <cstring>

#include "group_log.hpp"
#include "run.hpp"
#include "sockets.hpp"

namespace zabmq::limit {

namespace {

constexpr std::size_t group_bytes_max = 1 << 20;
constexpr std::size_t parts_max = 20000;
constexpr std::size_t parts_of_a_frame = 1000;
constexpr std::size_t message_overhead = sizeof(GroupHeader);  // in a frame of its own
constexpr int reader_frames_max = 16;  // a slow reader slows the follower down, and so the leader

class Follower {
 public:
  Follower(const Run& run, std::size_t number)
      : log_(run, number + 1),
        context_(new_context()),
        leader_(open_bound(context_, ZMQ_DEALER, run.follower_endpoints[number])),
        parts_(parts_max),
        pieces_(parts_max) {
    if (!run.reader || number > 0) return;
    reader_ = open_bound(context_, ZMQ_PUSH, run.reader_endpoint);
    zmq_setsockopt(reader_, ZMQ_SNDHWM, &reader_frames_max, sizeof reader_frames_max);
  }

  // False: the end was among what it took.
  bool turn() {
    take();
    if (last_ > 0) {
      log_.append(pieces_.data(), count_);
      offer(leader_, &last_, sizeof last_);
    }
    if (reader_ != nullptr) hand_on();
    for (std::size_t i = 0; i < count_; ++i) zmq_msg_close(&parts_[i]);
    return !ended_;
  }

  void end() {
    std::vector<void*> sockets{leader_};
    if (reader_ != nullptr) sockets.push_back(reader_);
    limit::end(context_, sockets);
  }

  void settle(Account& account) const { log_.settle(account); }

 private:
  void take() {
    count_ = bytes_ = 0;
    last_ = 0;
    int flags = 0;
    while (!ended_ && count_ + parts_of_a_frame < parts_max && bytes_ < group_bytes_max) {
      if (!take_part(flags)) return;
      take_frame();
      flags = ZMQ_DONTWAIT;
    }
  }

  bool take_part(int flags) {
    if (!receive(leader_, parts_[count_], flags)) return false;
    pieces_[count_] = {zmq_msg_data(&parts_[count_]), zmq_msg_size(&parts_[count_])};
    ++count_;
    return true;
  }

  void take_frame() {
    GroupHeader header;
    std::memcpy(&header, pieces_[count_ - 1].iov_base, sizeof header);
    ended_ = header.count == 0;
    if (ended_) return;
    last_ = header.first + header.count;
    std::size_t got = 0;
    while (zmq_msg_more(&parts_[count_ - 1]) != 0) {
      take_part(0);
      got += pieces_[count_ - 1].iov_len;
    }
    bytes_ += got;
    const std::size_t payload = std::size_t{header.count} * header.size;
    if (got < payload || got > payload + header.count * message_overhead) die("a wrong size");
  }

  void hand_on() {
    for (std::size_t i = 0; i < count_; ++i) {
      send_copy(reader_, parts_[i], zmq_msg_more(&parts_[i]) != 0 ? ZMQ_SNDMORE : 0);
    }
  }

  GroupLog log_;
  void* context_;
  void* leader_;
  void* reader_ = nullptr;
  std::vector<zmq_msg_t> parts_;
  std::vector<iovec> pieces_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t last_ = 0;  // of this group; 0: none
  bool ended_ = false;
};

}  // namespace

void follow(const Run& run, std::size_t number, Account& account) {
  Follower follower(run, number);
  while (follower.turn()) {
  }
  follower.settle(account);
  follower.end();
}

void read(const Run& run, Account& account) {
  void* follower = open_connected(new_context(), ZMQ_PULL, run.reader_endpoint);
  zmq_msg_t part;
  while (true) {
    GroupHeader header;
    receive(follower, part, 0);
    std::memcpy(&header, zmq_msg_data(&part), sizeof header);
    if (header.count == 0) return;
    account.messages += header.count;
    while (zmq_msg_more(&part) != 0) {
      zmq_msg_close(&part);
      receive(follower, part, 0);
      account.bytes += zmq_msg_size(&part);
    }
    zmq_msg_close(&part);
  }
}

}  // namespace zabmq::limit
