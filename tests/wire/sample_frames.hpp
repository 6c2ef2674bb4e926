// SampleFrames: one of every client frame, with a different value in every field.
#pragma once

#include <string>
#include <vector>

#include "wire/client_frame.hpp"

namespace zabmq::wire::samples {

inline Uuid uuid(int first) {
  Uuid id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    id.bytes[i] = static_cast<std::byte>(first + static_cast<int>(i));
  }
  return id;
}

inline Zxid zxid(std::uint32_t epoch, std::uint64_t counter) {
  return {Epoch{epoch}, counter};
}

inline std::vector<ClientMessage> client_frames() {
  return {
      Hello{.version_min = 1,
            .version_max = 2,
            .cluster = uuid(0x10),
            .history = uuid(0x20),
            .config_version = 3,
            .publisher = uuid(0x30),
            .instance = 300},
      Publish{.instance = 5,
              .first_sequence = 70000,
              .count = 600,
              .body_checksum = Digest{0x1122334455667788}},
      Subscribe{.subscription = 9,
                .start = StartKind::zxid,
                .offset = 17,
                .zxid = zxid(7, 42),
                .until_end = true,
                .credit_messages = 65536,
                .credit_bytes = 8388608,
                .topics = {"orders", "prices/\xc3\xa9"},
                .time = 0x0006123456789abc},
      Credit{.subscription = 9, .messages = 32768, .bytes = 4194304},
      Unsubscribe{.subscription = 9},
      ClientPing{},
      StatusQuestion{.request = 77},
      ClosePublisher{.instance = 5},
      Bye{},
      MoveCursor{.request = 78, .cursor = "billing", .offset = 1234, .remove = true},
      ListCursors{.request = 79, .after = "audit"},
  };
}

inline StatusAnswer status_answer() {
  return {.request = 77,
          .server = ServerId{2},
          .role = Role::leading,
          .phase = Phase::broadcast,
          .epoch = Epoch{7},
          .last_logged = zxid(7, 43),
          .last_committed = zxid(7, 42),
          .first_offset = 1,
          .last_offset = 1234,
          .leader = ServerId{2},
          .servers = {{ServerId{1}, "tcp://127.0.0.1:9470"}, {ServerId{2}, "tcp://127.0.0.1:9480"}},
          .durability = "fsync",
          .standing = "voter",
          .counters = {"proposals=9", "resets=0"}};
}

inline std::vector<ServerMessage> server_frames() {
  return {
      Welcome{.version = 1,
              .cluster = uuid(0x10),
              .history = uuid(0x20),
              .config_version = 3,
              .server = ServerId{2},
              .leader = ServerId{1},
              .leader_endpoint = "tcp://127.0.0.1:9470",
              .publisher_open = true,
              .instance = 5,
              .last_sequence = 69999,
              .payload_max = 1048576,
              .batch_bytes_max = 2097152,
              .heartbeat_ms = 1000},
      Receipt{.first_sequence = 70000, .count = 600, .base_offset = 1000001, .zxid = zxid(7, 42)},
      Refused{.about = About::publish,
              .id = 70000,
              .code = Code::unavailable,
              .outcome = Outcome::maybe,
              .text = "server 2 does not lead",
              .last_sequence = 69000,
              .hole = true,
              .leader_endpoint = "tcp://127.0.0.1:9480",
              .not_leading = true,
              .first_offset = 11,
              .last_offset = 99},
      Subscribed{.subscription = 9, .next = 18, .end = 1234, .has_end = true, .from_cursor = true},
      Deliver{.subscription = 9, .after = 17, .up_to = 617},
      Gap{.subscription = 9, .first = 500},
      Covered{.subscription = 9, .up_to = 617},
      ServerPong{.last_committed = 1234},
      Reset{.reason = "unknown connection"},
      Closed{.instance = 5},
      status_answer(),
      CursorMoved{.request = 78, .offset = 1234},
      Cursors{.request = 79,
              .cursors = {{"audit", 7}, {"billing", 1234}},
              .more = true,
              .first_offset = 5,
              .last_offset = 2000},
  };
}

}  // namespace zabmq::wire::samples
