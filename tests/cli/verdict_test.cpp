// VerdictTest: the demo's verdict fails for each way in which a promise can be broken.
#include "failover_demo/verdict.hpp"

#include <doctest/doctest.h>

namespace zabmq::demo {
namespace {

const Lines lines{"a", "b", "c", "d"};

Zxid zxid_of(Offset offset) {
  return {Epoch{offset < 3 ? 1u : 2u}, offset < 3 ? offset : offset - 2};
}

Delivery delivery(Offset offset, std::string payload) {
  return {offset, zxid_of(offset), std::move(payload)};
}

Deliveries complete() {
  return {delivery(1, "a"), delivery(2, "b"), delivery(3, "c"), delivery(4, "d")};
}

std::vector<Receipt> receipts() {
  std::vector<Receipt> all;
  for (Offset offset = 1; offset <= 4; ++offset) all.push_back({offset, zxid_of(offset), offset});
  return all;
}

Verdict judged(const Deliveries& third) {
  return judge({complete(), complete(), third}, lines, receipts(), 0);
}

}  // namespace

TEST_SUITE("demo/verdict") {
  TEST_CASE("verdict: everything everywhere -> holds") {
    const Verdict verdict = judged(complete());

    CHECK(verdict.holds());
    CHECK(verdict.acknowledged == 4);
  }

  TEST_CASE("verdict: a subscriber without the last message -> lost, not equal") {
    Deliveries third = complete();
    third.pop_back();
    const Verdict verdict = judged(third);

    CHECK_FALSE(verdict.holds());
    CHECK_FALSE(verdict.equal_to_file);
    CHECK_FALSE(verdict.same_order);
    CHECK(verdict.lost == 1);
    CHECK(verdict.gaps == 0);
  }

  TEST_CASE("verdict: an offset skipped -> gap") {
    Deliveries third = complete();
    third.erase(third.begin() + 1);
    const Verdict verdict = judged(third);

    CHECK_FALSE(verdict.holds());
    CHECK(verdict.gaps == 1);
    CHECK(verdict.lost == 1);
  }

  TEST_CASE("verdict: the first offset missing -> gap") {
    Deliveries third = complete();
    third.erase(third.begin());

    CHECK(judged(third).gaps == 1);
  }

  TEST_CASE("verdict: a delivery twice -> duplicate") {
    Deliveries third = complete();
    third.insert(third.begin() + 1, third.front());
    const Verdict verdict = judged(third);

    CHECK_FALSE(verdict.holds());
    CHECK(verdict.duplicates == 1);
    CHECK(verdict.lost == 0);
  }

  TEST_CASE("verdict: a line appended twice everywhere -> not equal to the file") {
    Deliveries twice = complete();
    twice.push_back(delivery(5, "d"));
    const Verdict verdict = judge({twice, twice, twice}, lines, receipts(), 0);

    CHECK_FALSE(verdict.holds());
    CHECK(verdict.same_order);
    CHECK_FALSE(verdict.equal_to_file);
  }

  TEST_CASE("verdict: two messages exchanged at one subscriber -> other order") {
    Deliveries third = complete();
    std::swap(third[1].payload, third[2].payload);
    const Verdict verdict = judged(third);

    CHECK_FALSE(verdict.holds());
    CHECK_FALSE(verdict.same_order);
    CHECK(verdict.lost == 2);
  }

  TEST_CASE("verdict: the same deliveries in another order of arrival -> other order, duplicate") {
    Deliveries third = complete();
    std::swap(third[1], third[2]);
    const Verdict verdict = judged(third);

    CHECK_FALSE(verdict.same_order);
    CHECK(verdict.duplicates == 1);
    CHECK(verdict.lost == 0);
  }

  TEST_CASE("verdict: another zxid for an offset -> other order, lost") {
    Deliveries third = complete();
    third[3].zxid = {Epoch{3}, 1};
    const Verdict verdict = judged(third);

    CHECK_FALSE(verdict.same_order);
    CHECK(verdict.lost == 1);
  }

  TEST_CASE("verdict: a byte changed everywhere -> not equal to the file, lost") {
    Deliveries changed = complete();
    changed[0] = delivery(1, "A");
    const Verdict verdict = judge({changed, changed, changed}, lines, receipts(), 0);

    CHECK(verdict.same_order);
    CHECK_FALSE(verdict.equal_to_file);
    CHECK(verdict.lost == 1);
  }

  TEST_CASE("verdict: a receipt for an offset that is not the message's -> lost") {
    std::vector<Receipt> wrong = receipts();
    wrong[2].offset = 4;

    CHECK(judge({complete()}, lines, wrong, 0).lost == 1);
  }

  TEST_CASE("verdict: a later round begins behind the earlier one") {
    Deliveries later;
    for (Offset offset = 11; offset <= 14; ++offset) {
      later.push_back({offset, {Epoch{2}, offset}, std::string(lines[offset - 11])});
    }
    std::vector<Receipt> all;
    for (const Delivery& d : later) all.push_back({d.offset, d.zxid, d.offset});

    CHECK(judge({later, later, later}, lines, all, 10).holds());
    CHECK(judge({later, later, later}, lines, all, 9).gaps == 3);
  }

  TEST_CASE("lines: as `zabmq pub --lines` reads them") {
    CHECK(split_lines("a\nb\n") == Lines{"a", "b"});
    CHECK(split_lines("a\n\nb\r") == Lines{"a", "", "b\r"});
    CHECK(split_lines("\n") == Lines{""});
  }

  TEST_CASE("SHA-256: of the payloads it is that of the file") {
    CHECK(sha256_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_of(complete(), true) == sha256_of("a\nb\nc\nd\n"));
    CHECK(sha256_of(complete(), false) == sha256_of("a\nb\nc\nd"));
  }
}

}  // namespace zabmq::demo
