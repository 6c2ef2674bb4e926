// ResumeTokenTest: where a subscription goes on, as text.
#include <doctest/doctest.h>

#include "client/publisher_fixture.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::client {
namespace {

using testing::uuid;

}  // namespace

TEST_SUITE("client/resume_token") {
  TEST_CASE("token: as text -> the same again, anything else is none") {
    const ResumeToken token{uuid(1), uuid(2), 17};
    const std::string text = to_string(token);
    CHECK(text == "01000000000000000000000000000000.02000000000000000000000000000000.17");
    CHECK(parse_resume_token(text) == token);
    CHECK_FALSE(parse_resume_token("17"));
    CHECK_FALSE(parse_resume_token(text + "x"));
    CHECK_FALSE(parse_resume_token(text.substr(1)));
    CHECK_FALSE(parse_resume_token(to_string(ResumeToken{uuid(1), uuid(2), 0})));
    CHECK_FALSE(parse_resume_token(to_string(ResumeToken{Uuid{}, uuid(2), 17})));
  }
}

}  // namespace zabmq::client
