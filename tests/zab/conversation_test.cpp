// Golden conversations: testdata/*.txt, each a story about a few servers, word by word.
#include <filesystem>
#include <set>
#include <string>

#include "zab/harness/conversation.hpp"

namespace zabmq::zab::test {
namespace {

const std::string directory = std::string(ZABMQ_SOURCE_DIR) + "/tests/zab/testdata/";

void converse(const std::string& name) {
  Conversation(directory + name + ".txt").run();
}

TEST_SUITE("zab/conversation") {
  TEST_CASE("conversation: founding") {
    converse("founding");
  }
  TEST_CASE("conversation: cold start election") {
    converse("election_cold_start");
  }
  TEST_CASE("conversation: discovery") {
    converse("discovery");
  }
  TEST_CASE("conversation: discovery, promise twice") {
    converse("discovery_promise_twice");
  }
  TEST_CASE("conversation: synchronization by DIFF") {
    converse("sync_diff");
  }
  TEST_CASE("conversation: synchronization by TRUNC") {
    converse("sync_trunc");
  }
  TEST_CASE("conversation: synchronization across epochs") {
    converse("sync_cross_epoch");
  }
  TEST_CASE("conversation: late joiner") {
    converse("late_joiner");
  }
  TEST_CASE("conversation: broadcast and commit") {
    converse("broadcast");
  }
  TEST_CASE("conversation: leader change") {
    converse("leader_change");
  }
  TEST_CASE("conversation: wiped server") {
    converse("wiped_server");
  }
  TEST_CASE("conversation: a leader that nobody hears steps down") {
    converse("step_down");
  }

  TEST_CASE("conversation: every file in testdata is told") {
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      files.insert(entry.path().stem().string());
    }
    const std::set<std::string> told = {
        "founding",  "election_cold_start", "discovery",    "discovery_promise_twice",
        "sync_diff", "sync_trunc",          "late_joiner",  "sync_cross_epoch",
        "broadcast", "leader_change",       "wiped_server", "step_down"};
    CHECK(files == told);
  }
}

}  // namespace
}  // namespace zabmq::zab::test
