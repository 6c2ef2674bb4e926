// JsonLinesTest: the objects that scripts read, to the letter.
#include "cli/json_lines.hpp"

#include <doctest/doctest.h>

namespace zabmq::cli {
namespace {

Message message(std::string_view payload) {
  Message message;
  message.offset = 42;
  message.zxid = {Epoch{7}, 9};
  message.time = 1700000000123456;
  message.topic = "t";
  message.payload = {reinterpret_cast<const std::byte*>(payload.data()), payload.size()};
  return message;
}

std::string line_with(const std::string& payload_field) {
  return R"({"offset":42,"zxid":"7.9","topic":"t",)" + payload_field +
         R"(,"time":1700000000123456})" + "\n";
}

}  // namespace

TEST_SUITE("cli/json_lines") {
  TEST_CASE("receipt: offset, zxid, sequence") {
    const Receipt receipt{.offset = 1234, .zxid = {Epoch{7}, 42}, .sequence = 3};

    CHECK(json_line(receipt) == R"({"offset":1234,"zxid":"7.42","sequence":3})"
                                "\n");
  }

  TEST_CASE("message: a payload of UTF-8 is a string with JSON's escapes") {
    CHECK(json_line(message("hello")) == line_with(R"("payload":"hello")"));
    CHECK(json_line(message("")) == line_with(R"("payload":"")"));
    CHECK(json_line(message("\"\\/\b\f\n\r\t")) == line_with(R"("payload":"\"\\/\b\f\n\r\t")"));
    CHECK(json_line(message(std::string_view("\x00\x1f\x7f", 3))) ==
          line_with("\"payload\":\"\\u0000\\u001f\x7f\""));
    CHECK(json_line(message("\xe2\x82\xac")) == line_with("\"payload\":\"\xe2\x82\xac\""));
  }

  TEST_CASE("message: any other payload is base64 of RFC 4648") {
    CHECK(json_line(message("\xff")) == line_with(R"("payload_base64":"/w==")"));
    CHECK(json_line(message("\xff\xfe")) == line_with(R"("payload_base64":"//4=")"));
    CHECK(json_line(message("\xff\xfe\xfd")) == line_with(R"("payload_base64":"//79")"));
    CHECK(json_line(message("foob\xe9")) == line_with(R"("payload_base64":"Zm9vYuk=")"));
  }

  TEST_CASE("message: headers behind the rest, only when there are some") {
    const auto with = [](std::string_view headers) {
      Message message = cli::message("m");
      message.headers = {reinterpret_cast<const std::byte*>(headers.data()), headers.size()};
      std::string line = json_line(message);
      const std::string front = line_with(R"("payload":"m")");
      REQUIRE(line.starts_with(front.substr(0, front.size() - 2)));
      return line.substr(front.size() - 2);
    };
    CHECK(with("") == "}\n");
    CHECK(with("\x80") == "}\n");
    CHECK(with("\x82\xa1"
               "b\xa1"
               "1\xa1"
               "a\xa0") == ",\"headers\":{\"b\":\"1\",\"a\":\"\"}}\n");
    CHECK(with("\x82\xa1"
               "a\xa1"
               "1\xa1"
               "a\xa1"
               "2") == ",\"headers\":{\"a\":[\"1\",\"2\"]}}\n");
    CHECK(with("\x81\xa1"
               "a\xa1\xff") == ",\"headers\":{\"a\":{\"base64\":\"/w==\"}}}\n");
    // Neither a name that is no text nor bytes that are no headers end a subscription.
    CHECK(with("\x81\xa1\xff\xa0") == ",\"headers_base64\":\"gaH/oA==\"}\n");
    CHECK(with("\xff\xfe") == ",\"headers_base64\":\"//4=\"}\n");
  }

  TEST_CASE("gap: what was due, or null, and where it goes on") {
    CHECK(json_line(Gap{5, 11}) == R"({"gap":{"from":5,"first_available":11}})"
                                   "\n");
    CHECK(json_line(Gap{0, 11}) == R"({"gap":{"from":null,"first_available":11}})"
                                   "\n");
  }

  TEST_CASE("status: every field of every server, null where nothing is known") {
    ClusterStatus status;
    status.leader = ServerId{1};
    ServerStatus leader;
    leader.id = ServerId{1};
    leader.client = "tcp://127.0.0.1:9470";
    leader.reachable = true;
    leader.role = Role::leading;
    leader.phase = Phase::broadcast;
    leader.epoch = Epoch{7};
    leader.last_logged = {Epoch{7}, 43};
    leader.last_committed = {Epoch{7}, 42};
    leader.first_offset = 1;
    leader.last_offset = 1234;
    ServerStatus missing;
    missing.id = ServerId{2};
    missing.client = "tcp://127.0.0.1:9480";
    status.servers = {leader, missing};

    CHECK(json_line(status) ==
          R"({"leader":1,"servers":[{"id":1,"client":"tcp://127.0.0.1:9470","role":"leader",)"
          R"("phase":"broadcast","epoch":7,"last_logged":"7.43","last_committed":"7.42",)"
          R"("first_offset":1,"last_offset":1234},)"
          R"({"id":2,"client":"tcp://127.0.0.1:9480","role":"unreachable","phase":null,)"
          R"("epoch":null,"last_logged":null,"last_committed":null,"first_offset":null,)"
          R"("last_offset":null}]})"
          "\n");
  }

  TEST_CASE("status: no leader -> null, the words for roles") {
    CHECK(json_line(ClusterStatus{}) == R"({"leader":null,"servers":[]})"
                                        "\n");
    ServerStatus server;
    server.reachable = true;
    CHECK(role_name(server) == "looking");
    server.role = Role::following;
    CHECK(role_name(server) == "follower");
    server.role = Role::observing;
    CHECK(role_name(server) == "observer");
  }
}

}  // namespace zabmq::cli
