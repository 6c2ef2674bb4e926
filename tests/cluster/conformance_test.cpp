// ConformanceTest: real servers keep every rule, and one that breaks a rule is found out.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "breach_proxy.hpp"
#include "cli/conformance/frame.hpp"
#include "cli/free_ports.hpp"
#include "test_cluster.hpp"

namespace zabmq::cluster {

namespace {

using cli::conformance::List;
using cli::conformance::Value;

constexpr std::uint64_t hello = 1, publish = 2, subscribe = 3, credit = 4, unsubscribe = 5,
                        ping = 6, bye = 9, move_cursor = 10, welcome = 65, receipt = 66,
                        refused = 67, subscribed = 68, deliver = 69, covered = 71, pong = 72,
                        reset = 73, closed = 74, status_answer = 75, cursor_moved = 76,
                        cursors = 77;
constexpr std::uint64_t plenty = 1 << 20;
constexpr std::array ids{1, 2, 3};
constexpr Millis run_bound{60000};

Ended check(const std::string& endpoint, const Words& more = {}) {
  Words words{"conformance", "--endpoint", endpoint};
  words.insert(words.end(), more.begin(), more.end());
  return run_program("zabmq", words, {}, run_bound);
}

// The line about a rule.
std::string line_about(const Ended& ended, const std::string& rule) {
  for (const std::string& line : lines_of(ended.out)) {
    if (contains(line, " " + rule + " ")) return line;
  }
  return "";
}

Breach to_server(Change change) {
  Breach breach;
  breach.to_server = std::move(change);
  return breach;
}
Breach to_client(Change change) {
  Breach breach;
  breach.to_client = std::move(change);
  return breach;
}

std::uint64_t number(const Value& value) {
  return std::get<std::uint64_t>(value.is);
}

// A server that does not look at checksums, as good as one can be made of one that does.
bool seal_anew(Parts& parts) {
  if (parts[0].size() >= 8) parts[0] = cli::conformance::sealed(parts[0].substr(8));
  return true;
}

bool accept_any_body(Parts& parts) {
  return change_frames(
      publish, [&](List& array) { array[4] = cli::conformance::checksum_of(parts.at(1)); })(parts);
}

bool damage_body(Parts& parts) {
  if (parts.size() > 1) parts[1][140] = static_cast<char>(parts[1][140] ^ 1);
  return true;
}

Change another_receipt_for_copies() {
  return [seen = std::map<std::uint64_t, int>()](Parts& parts) mutable {
    return change_frames(receipt, [&](List& array) {
      if (seen[number(array[1])]++ > 0) array[3] = number(array[3]) + 1;
    })(parts);
  };
}

Change lose_longer_than(std::uint64_t command, std::size_t elements) {
  return [=](Parts& parts) {
    bool longer = false;
    change_frames(command, [&](List& array) { longer = array.size() > elements; })(parts);
    return !longer;
  };
}

Change set(std::uint64_t command, std::size_t element, Value value) {
  return change_frames(command, [=](List& array) { array.at(element) = value; });
}
Change add(std::uint64_t command, std::size_t element, std::uint64_t more) {
  return change_frames(command,
                       [=](List& array) { array.at(element) = number(array.at(element)) + more; });
}

using Breaches = std::map<std::string, Breach>;  // by the rule that each of them breaks

void break_connection_rules(Breaches& all) {
  all["C1"] = to_server(seal_anew);
  all["C7"] = to_server(lose_longer_than(ping, 1));
  all["C9"] = to_server(change_frames(subscribe, [](List& array) { array[9] = List{"t"}; }));
  all["C13"] = to_client(change_frames(reset, [](List& array) { array = {pong, 0}; }));
  all["C15"] = to_client(set(welcome, 13, 0));
  all["C16"] = to_server(change_frames(hello, [](List& array) { array[1] = array[2] = 1; }));
  all["C17"] = to_server(set(hello, 3, Uuid{}));
  all["C18"] = to_server(set(hello, 4, Uuid{}));
  all["C20"] = to_client(lose_frames(pong));
  all["C21"] = to_client(add(status_answer, 1, 1));
  all["C23"] = to_server(lose_frames(bye));
}

void break_publishing_rules(Breaches& all) {
  all["C24"] = to_server(accept_any_body);
  all["C30"] = to_client(set(refused, 3, 10));
  all["C32"] = to_client(set(receipt, 3, 5));
  all["C33"] = to_client(add(receipt, 5, 1));
  all["C35"] = to_client(another_receipt_for_copies());
  all["C36"] = to_client(set(refused, 7, false));
  all["C37"] = to_client(set(refused, 3, 2));
  all["C39"] = to_server(change_frames(publish, [](List& array) { array.resize(5); }));
  all["C41"] = to_client(add(receipt, 3, 1));
  all["C43"] = to_client(set(welcome, 8, false));
  all["C44"] = to_client(set(welcome, 10, 0));
  all["C45"] = to_client(set(welcome, 10, 0));
  all["C46"] = to_server(set(hello, 7, 0));
  all["C47"] = to_client(set(refused, 7, true));
  all["C48"] = to_client(lose_frames(closed));
  all["C50"] = to_client(set(welcome, 10, 2));
}

void break_subscribing_rules(Breaches& all) {
  all["C51"] = to_client(add(subscribed, 2, 1));
  all["C52"] = to_server(set(subscribe, 2, 0));
  all["C53"] = to_client(add(subscribed, 2, 1));
  all["C54"] = to_server(set(subscribe, 2, 0));
  all["C55"] = to_server(change_frames(subscribe, [](List& array) {
    if (array[2] == Value(4)) array[2] = 0;
  }));
  all["C56"] = to_server(set(subscribe, 2, 0));
  all["C58"] = to_server(set(subscribe, 2, 1));
  all["C59"] = to_server(set(subscribe, 2, 1));
  all["C60"] = to_server(set(subscribe, 3, 1));
  all["C62"] = to_server(set(subscribe, 6, false));
  all["C63"] = to_client(set(deliver, 2, 0));
  all["C64"] = to_client(damage_body);
  all["C66"] = to_server(set(subscribe, 7, plenty));
  all["C67"] = to_server(set(subscribe, 7, plenty));
  all["C68"] = to_server(set(subscribe, 8, plenty));
  all["C69"] = to_client(lose_frames(covered));
  all["C70"] = to_server(lose_frames(unsubscribe));
  all["C72"] = to_server(lose_frames(credit));
  all["C74"] = to_server(set(subscribe, 9, List{}));
}

void break_cursor_rules(Breaches& all) {
  all["C75"] = to_client(add(cursor_moved, 2, 1));
  all["C76"] = to_server(set(move_cursor, 3, 0));
  all["C77"] = to_client(set(refused, 3, 2));
  all["C78"] = to_server(change_frames(subscribe, [](List& array) { array.resize(11); }));
  all["C79"] = to_server(set(subscribe, 2, 1));
  all["C80"] = to_server(change_frames(move_cursor, [](List& array) {
    if (array[4] == Value(true)) array[2] = "another";
  }));
  all["C81"] = to_client(set(cursors, 2, List{}));
}

Breaches breaches() {
  Breaches all;
  break_connection_rules(all);
  break_publishing_rules(all);
  break_subscribing_rules(all);
  break_cursor_rules(all);
  return all;
}

}  // namespace

TEST_SUITE("cluster/conformance") {
  TEST_CASE("conformance: a leader and its followers -> every rule is kept") {
    TestCluster cluster;
    cluster.leader();

    for (const int id : ids) {
      const Ended ended = check(cluster.endpoint(id));

      INFO(ended.out, ended.err);
      CHECK(ended.code == 0);
      CHECK(ended.err.empty());
      const auto lines = lines_of(ended.out);
      CHECK(lines.back().starts_with("conformance: "));
      CHECK(contains(lines.back(), " 0 failed, 1 skipped"));
      CHECK(line_about(ended, "C61").starts_with("skipped "));  // nothing was deleted yet
    }
  }

  TEST_CASE("conformance: what is no longer kept -> GAP, and `first` begins behind it") {
    TestCluster cluster(
        3, {"--set", "limits.max_payload=64KiB", "--set", "limits.max_batch=256KiB", "--set",
            "storage.segment_size=1MiB", "--set", "storage.retain_bytes=2MiB", "--set",
            "storage.retain_max_bytes=4MiB", "--set", "storage.batch_max=256KiB"});
    const Words load{"pub", "t", "--size", "1KiB", "--count", "8000"};
    const auto deleted = [&] {
      return std::all_of(ids.begin(), ids.end(),
                         [&](int id) { return cluster.status_of(ServerId(id)).first_offset > 1; });
    };
    REQUIRE(eventually([&] { return cluster.tool(load).code == 0 && deleted(); }));

    for (const int id : ids) {
      const Ended ended = check(cluster.endpoint(id), {"--rules", "C30,C31,C51,C61"});

      INFO(ended.out);
      CHECK(ended.code == 0);
      CHECK(lines_of(ended.out).back() == "conformance: 4 rules, 0 failed, 0 skipped");
    }
  }

  TEST_CASE("conformance: a server that breaks one rule -> FAILED, by that rule's name") {
    TestCluster cluster;
    const std::string server = cluster.endpoint(static_cast<int>(cluster.leader()));
    std::string all;
    for (const auto& [rule, breach] : breaches()) {
      CAPTURE(rule);
      BreachProxy proxy(server, breach);
      const Ended ended = check(proxy.endpoint(), {"--rules", rule, "--timeout", "2s"});

      INFO(ended.out, ended.err);
      CHECK(ended.code == 3);
      CHECK(line_about(ended, rule).starts_with("FAILED " + rule + " "));
      CHECK(contains(ended.out, ": expected "));
      CHECK(lines_of(ended.out).back() == "conformance: 1 rules, 1 failed, 0 skipped");
      all += (all.empty() ? "" : ",") + rule;
    }

    // It was not the proxy.
    BreachProxy honest(server, {});
    const Ended ended = check(honest.endpoint(), {"--rules", all});
    INFO(ended.out);
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, std::to_string(breaches().size()) + " rules, 0 failed, 0 skipped"));
  }

  TEST_CASE("conformance: JSON -> an object for each rule, the last one sums up") {
    TestCluster cluster;
    BreachProxy proxy(cluster.endpoint(static_cast<int>(cluster.leader())), breaches()["C36"]);

    const Ended ended = check(proxy.endpoint(), {"--json", "--rules", "C20,C36,C61"});

    CHECK(ended.code == 3);
    const auto objects = objects_of(ended.out);
    REQUIRE(objects.size() == 4);
    CHECK(objects[0].dump() == R"({"rule":"C20","section":"4.3, 4",)"
                               R"("name":"PING is answered PONG","result":"ok"})");
    CHECK(objects[1]["result"] == "failed");
    CHECK(objects[1]["expected"] == "REFUSED with hole, last_sequence 2");
    CHECK(objects[1]["got"] == "no hole");
    CHECK(objects[2]["result"] == "skipped");
    CHECK(objects[2]["why"] == "everything is kept");
    CHECK(objects[3].dump() == R"({"rules":3,"failed":1,"skipped":1})");
  }

  TEST_CASE("conformance: nobody there, no such rule, a server that falls silent -> 2, 1, 3") {
    const std::string nobody = "tcp://127.0.0.1:" + std::to_string(cli::free_ports(1).front());
    const Ended none = check(nobody, {"--timeout", "300ms"});
    CHECK(none.code == 2);
    CHECK(is_one_line(none.err));
    CHECK(contains(none.err, nobody));
    CHECK(none.out.empty());

    CHECK(check(nobody, {"--rules", "C9999"}).code == 1);
    CHECK(check("localhost").code == 1);

    TestCluster cluster(1);
    cluster.leader();
    int hellos = 0;
    BreachProxy proxy(cluster.endpoint(1), to_server([&](Parts& parts) {
                        const auto array = cli::conformance::parse(
                            parts[0].substr(std::min<std::size_t>(parts[0].size(), 8)));
                        const auto* list = array ? std::get_if<List>(&array->is) : nullptr;
                        if (list && !list->empty() && list->front() == Value(hello)) ++hellos;
                        return hellos <= 5;
                      }));
    const Ended silent = check(proxy.endpoint(), {"--timeout", "300ms"});
    INFO(silent.out);
    CHECK(silent.code == 3);
    CHECK(silent.took < Millis{10000});
    CHECK(contains(silent.out, "no answer to HELLO"));
    CHECK(contains(silent.out, "skipped C81 "));
  }
}

}  // namespace zabmq::cluster
