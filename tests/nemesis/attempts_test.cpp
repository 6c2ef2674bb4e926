// Attempts tests: whatever order answers come in, the history that is written makes sense.
#include "nemesis/engine/attempts.hpp"

#include <doctest/doctest.h>

#include "nemesis/temporary_directory.hpp"

namespace zabmq::nemesis {
namespace {

using Kind = sim::HistoryEvent::Kind;

constexpr sim::PublisherKey publisher{1};

class Fixture {
 public:
  Fixture() : attempts_(std::in_place, directory_.path(), publisher, timeline_) {}

  Attempts& attempts() { return *attempts_; }

  void publish(std::uint64_t ticket, Sequence sequence) {
    attempts().begin(ticket, "t", ticket);
    attempts().taken(ticket, sequence);
  }
  void acknowledged(std::uint64_t ticket, Sequence sequence) {
    attempts().answered(ticket, Receipt{sequence, {Epoch{1}, sequence}, sequence});
  }
  void failed(std::uint64_t ticket, Sequence sequence, Outcome outcome, Code code) {
    attempts().answered(ticket, Error(code, outcome, "failed", sequence));
  }

  // "i1 a1 r2 ...": what was written, with sequences.
  std::string history() {
    attempts_.reset();
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::string text;
    merge(files, [&](const sim::HistoryEvent& event) {
      constexpr std::string_view letters = "?iacr";
      text += letters[static_cast<std::size_t>(event.kind)] + std::to_string(event.sequence) + " ";
    });
    return text;
  }

 private:
  TemporaryDirectory directory_;
  Timeline timeline_;
  std::optional<Attempts> attempts_;
};

}  // namespace

TEST_CASE("attempts: an acknowledgement follows its invocation") {
  Fixture f;
  f.publish(1, 1);
  f.acknowledged(1, 1);
  CHECK(f.attempts().pending() == 0);
  CHECK_FALSE(f.attempts().failed());
  CHECK(f.history() == "i1 a1 ");
}

TEST_CASE("attempts: the answer may come before the call has returned") {
  Fixture f;
  f.attempts().begin(1, "t", 1);
  f.acknowledged(1, 1);
  f.attempts().taken(1, 1);
  CHECK(f.attempts().pending() == 0);
  CHECK(f.history() == "i1 a1 ");
}

TEST_CASE("attempts: a refused sequence is invoked again behind its refusal") {
  Fixture f;
  f.publish(1, 1);
  f.failed(1, 1, Outcome::no, Code::unavailable);
  CHECK(f.attempts().failed());
  f.publish(2, 1);
  f.acknowledged(2, 1);
  CHECK(f.history() == "i1 r1 i1 a1 ");
}

TEST_CASE("attempts: a sequence given again was refused, even if that is told later") {
  Fixture f;
  f.publish(1, 1);
  f.publish(2, 2);
  f.publish(3, 1);
  f.failed(1, 1, Outcome::no, Code::unavailable);
  f.failed(2, 2, Outcome::no, Code::unavailable);
  f.acknowledged(3, 1);
  CHECK(f.history() == "i1 i2 r1 r2 i1 a1 ");
}

TEST_CASE("attempts: a refusal told while its sequence is being given again comes first") {
  Fixture f;
  f.publish(1, 1);
  f.attempts().begin(2, "t", 2);
  f.failed(1, 1, Outcome::no, Code::unavailable);
  f.attempts().taken(2, 1);
  f.acknowledged(2, 1);
  CHECK(f.history() == "i1 r1 i1 a1 ");
}

TEST_CASE("attempts: an open outcome stays until it is known") {
  Fixture f;
  f.publish(1, 1);
  f.publish(2, 2);
  f.failed(1, 1, Outcome::maybe, Code::unknown_outcome);
  f.failed(2, 2, Outcome::maybe, Code::unknown_outcome);
  CHECK(f.attempts().wait_for_answers(Millis{0}));
  REQUIRE(f.attempts().open().size() == 2);
  f.acknowledged(1, 1);
  f.failed(2, 2, Outcome::maybe, Code::duplicate);
  CHECK(f.attempts().open().empty());
  CHECK(f.history() == "i1 i2 a1 c2 ");
}

TEST_CASE("attempts: a new instance tells what became of everything") {
  Fixture f;
  for (Sequence s = 1; s <= 3; ++s) f.publish(s, s);
  f.failed(1, 1, Outcome::maybe, Code::unknown_outcome);
  CHECK_FALSE(f.attempts().wait_for_answers(Millis{0}));
  f.attempts().reopened(2);
  CHECK(f.attempts().pending() == 0);
  f.publish(4, 3);
  CHECK(f.history() == "i1 i2 i3 c1 c2 r3 i3 ");
}

TEST_CASE("attempts: what was not taken is no invocation") {
  Fixture f;
  f.attempts().begin(1, "t", 1);
  f.attempts().withdraw(1);
  CHECK(f.history().empty());
}

}  // namespace zabmq::nemesis
