// ResumeMatrixTest: every start position, at a leader, a follower and one that lags, while nothing
// else happens, under load, while retention deletes, and over a restart of the server: each
// subscriber gets everything from where it must begin, once, in order, or is told what is missing.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "test_cluster.hpp"
#include "zabmq/publisher.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::cluster {

namespace {

enum class Where { leader, follower, lagging };
enum class When { idle, load, retention, restart };

constexpr std::array wheres{Where::leader, Where::follower, Where::lagging};
constexpr std::array whens{When::idle, When::load, When::retention, When::restart};
constexpr std::array where_names{"leader", "follower", "lagging follower"};
constexpr std::array when_names{"idle", "under load", "retention", "restart"};
constexpr std::array start_names{"first", "new", "offset", "zxid", "time", "cursor", "token"};
constexpr std::string_view let_go = "let go";  // an offset that is no longer kept

constexpr std::size_t payload_size = 1024;
constexpr int messages_before = 3000;
constexpr Offset back = 400;  // the position asked for lies so far in front of the end
constexpr std::size_t load_window = 64;
constexpr Millis answer_bound{30000};

const Words no_retention{};
// Four segments of 1 MiB: some 4,000 messages of this size.
const Words small_retention{
    "--set", "limits.max_batch=256KiB",    "--set", "limits.max_payload=64KiB",
    "--set", "storage.batch_max=256KiB",   "--set", "storage.segment_size=1MiB",
    "--set", "storage.retain_bytes=2MiB",  "--set", "storage.retain_max_bytes=3MiB",
    "--set", "storage.retain_min=0s",      "--set", "storage.retain_hold=0s",
    "--set", "snapshot.every_bytes=512KiB"};

// The one publisher of a cluster: message n has offset n and says so.
class Source {
 public:
  explicit Source(const std::vector<std::string>& endpoints) : publisher_(options_for(endpoints)) {}

  Receipt publish(int count) {
    std::vector<std::future<Receipt>> receipts;
    for (int i = 0; i < count; ++i) receipts.push_back(publisher_.publish("t", next_payload()));
    Receipt last;
    for (auto& receipt : receipts) last = receipt.get();
    return last;
  }
  Offset published() const { return published_; }

 private:
  static PublisherOptions options_for(const std::vector<std::string>& endpoints) {
    PublisherOptions options;
    options.endpoints = endpoints;
    options.timeout = answer_bound;
    return options;
  }
  std::string next_payload() {
    std::string payload = std::to_string(++published_) + " ";
    payload.resize(payload_size, '.');
    return payload;
  }
  Publisher publisher_;
  Offset published_ = 0;
};

// Publishes in the background until it is destroyed.
class Load {
 public:
  explicit Load(Source& source)
      : thread_([this, &source] {
          while (!stopping_) source.publish(load_window);
        }) {}
  ~Load() {
    stopping_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// What a message says of its place, as everybody sees it.
struct Place {
  Offset offset = 0;
  Zxid zxid;
  LogTime time = 0;
};

struct Start {
  std::string_view name;
  From from;
  std::optional<std::string> cursor;
  Offset least = 0;  // the first message must be one of these
  Offset most = 0;
};
constexpr Offset the_floor = ~Offset{0} - 1;  // as `most`: the first one that is kept by then

class Reader {
 public:
  using Floor = std::function<Offset()>;  // the first offset that its server keeps now

  Reader(Start start, const std::string& endpoint, Floor floor)
      : start_(std::move(start)), floor_(std::move(floor)) {
    SubscriberOptions options;
    options.endpoints = {endpoint};
    options.timeout = answer_bound;
    options.from = start_.from;
    options.cursor = start_.cursor;
    options.on_gap = [this](const Gap& gap) { on_gap(gap); };
    subscriber_ = std::make_unique<Subscriber>(std::move(options));
  }

  std::string_view name() const { return start_.name; }
  Offset last() const { return last_; }
  bool placed() const { return subscriber_->next_offset() != 0; }
  // Takes what there is, up to `limit` messages.
  void read(std::size_t limit, Millis timeout) {
    subscriber_->poll([this](const Message& message) { take(message); }, limit, timeout);
  }
  // Empty: everything was as it must be.
  std::string verdict(Offset end) const {
    if (!problem_.empty()) return problem_;
    if (last_ < end) return "ended at " + std::to_string(last_) + " of " + std::to_string(end);
    return "";
  }
  bool told_gap() const { return told_gap_; }

 private:
  void on_gap(const Gap& gap) {
    told_gap_ = true;
    if (gap.from != 0 && last_ != 0 && gap.from != last_ + 1) {
      problem_ = "a gap from " + std::to_string(gap.from) + " behind " + std::to_string(last_);
    }
    // The floor only rises: what was told is not above what it is by now.
    const Offset due = gap.from != 0 ? gap.from : started_ ? last_ + 1 : start_.least;
    if (due >= gap.first_available || gap.first_available > floor_()) {
      problem_ = "a gap from " + std::to_string(due) + " to " +
                 std::to_string(gap.first_available) + ", where all from " +
                 std::to_string(floor_()) + " on are kept";
    }
    last_ = gap.first_available - 1;
    started_ = true;
  }
  void take(const Message& message) {
    const Offset said =
        std::stoull(std::string(message.text().substr(0, message.text().find(' '))));
    if (said != message.offset)
      problem_ = "offset " + std::to_string(message.offset) + " says " + std::to_string(said);
    const bool begins = !started_ && message.offset >= start_.least &&
                        message.offset <= (start_.most == the_floor ? floor_() : start_.most);
    if (!begins && !(started_ && message.offset == last_ + 1) && problem_.empty()) {
      problem_ = "offset " + std::to_string(message.offset) +
                 (started_ ? " behind " + std::to_string(last_)
                           : " first, not one of " + std::to_string(start_.least) + ".." +
                                 std::to_string(start_.most));
    }
    started_ = true;
    last_ = message.offset;
  }

  Start start_;
  Floor floor_;
  std::string problem_;
  bool started_ = false;
  bool told_gap_ = false;
  Offset last_ = 0;
  std::unique_ptr<Subscriber> subscriber_;
};

// The message at `offset`, and the first of the first transaction that is not older.
Place place_of(const std::vector<std::string>& endpoints, Offset offset) {
  Subscriber subscriber({{.endpoints = endpoints, .timeout = answer_bound}, {}, at_offset(offset)});
  const Message* message = subscriber.next(answer_bound);
  REQUIRE(message);
  return {message->offset, message->zxid, message->time};
}

Offset first_of(const std::vector<std::string>& endpoints, From from) {
  Subscriber subscriber({{.endpoints = endpoints, .timeout = answer_bound}, {}, std::move(from)});
  const Message* message = subscriber.next(answer_bound);
  REQUIRE(message);
  return message->offset;
}

// A durable cursor that has acknowledged everything in front of `offset`.
void make_cursor(const std::vector<std::string>& endpoints, const std::string& name,
                 Offset offset) {
  SubscriberOptions options;
  options.endpoints = endpoints;
  options.timeout = answer_bound;
  options.from = at_offset(offset - 1);
  options.cursor = name;
  Subscriber subscriber(std::move(options));
  REQUIRE(subscriber.next(answer_bound));
  subscriber.ack_sync(offset - 1, answer_bound);
}

class Matrix {
 public:
  // All starts at one server in one condition.
  void scene(Where where, When when) {
    TestCluster cluster(3, when == When::retention ? small_retention : no_retention);
    std::vector<std::string> all;
    for (int id = 1; id <= 3; ++id) all.push_back(cluster.endpoint(id));
    Source source(all);
    source.publish(messages_before);
    if (when == When::retention) publish_until_let_go(cluster, source);
    const ServerId server = where == Where::leader ? cluster.leader() : cluster.follower();
    if (where == Where::lagging) cluster.servers().kill(server, SIGSTOP);
    source.publish(static_cast<int>(back));

    const std::vector<std::string> others = endpoints_but(cluster, server, where);
    std::vector<Start> starts = starts_at(others, source.published() - back / 2, source, when);
    std::optional<Load> load;
    if (when == When::load || when == When::retention) load.emplace(source);
    std::vector<std::unique_ptr<Reader>> readers;
    for (Start& start : starts) {
      readers.push_back(std::make_unique<Reader>(
          std::move(start), cluster.endpoint(static_cast<int>(server)),
          [&cluster, server] { return cluster.status_of(server).first_offset; }));
    }
    if (where == Where::lagging) cluster.servers().kill(server, SIGCONT);
    for (const auto& reader : readers) {
      CHECK(eventually([&] { return reader->placed(); }, answer_bound));
    }
    if (when == When::restart) restart_half_way(cluster, server, readers);
    if (when == When::retention) await_retention(cluster, readers);
    load.reset();
    const Offset end = source.publish(1).offset;
    finish(readers, end);
    for (const auto& reader : readers) note(*reader, where, when, end);
  }

  std::string table() const {
    std::string text;
    for (const char* when : when_names) text += "\t" + std::string(when);
    for (const auto& [row, cells] : rows_) {
      text += "\n" + row;
      for (const std::string& cell : cells) text += "\t" + cell;
    }
    return text + "\n";
  }
  bool clean() const { return problems_ == 0; }
  std::size_t cells() const { return cells_; }

 private:
  static void publish_until_let_go(TestCluster& cluster, Source& source) {
    CHECK(eventually(
        [&] {
          source.publish(messages_before / 10);
          return cluster.status_of(ServerId{1}).first_offset > 1;
        },
        answer_bound));
  }

  static std::vector<std::string> endpoints_but(TestCluster& cluster, ServerId server,
                                                Where where) {
    std::vector<std::string> endpoints;
    for (int id = 1; id <= 3; ++id) {
      if (where == Where::lagging && ServerId(id) == server) continue;
      endpoints.push_back(cluster.endpoint(id));
    }
    return endpoints;
  }

  // With all others at `offset`; `new` behind what is acknowledged by now.
  static std::vector<Start> starts_at(const std::vector<std::string>& endpoints, Offset offset,
                                      Source& source, When when) {
    const Place place = place_of(endpoints, offset);
    make_cursor(endpoints, "matrix", offset);
    ResumeToken token;
    {
      Subscriber subscriber(
          {{.endpoints = endpoints, .timeout = answer_bound}, {}, at_offset(offset - 1)});
      REQUIRE(subscriber.next(answer_bound));
      token = *subscriber.resume_token();
    }
    const Offset by_zxid = first_of(endpoints, at_zxid(place.zxid));
    const Offset by_time = first_of(endpoints, at_time(place.time));
    CHECK(by_zxid <= offset);
    CHECK(by_time <= offset);
    const Offset first_one = first_of(endpoints, first());
    const Offset no_bound = ~Offset{0};
    std::vector<Start> starts{
        {start_names[0], first(), {}, first_one, when == When::retention ? the_floor : first_one},
        {start_names[1], fresh(), {}, source.published() + 1, no_bound},
        {start_names[2], at_offset(offset), {}, offset, offset},
        {start_names[3], at_zxid(place.zxid), {}, by_zxid, by_zxid},
        {start_names[4], at_time(place.time), {}, by_time, by_time},
        {start_names[5], first(), "matrix", offset, offset},
        {start_names[6], at_token(token), {}, offset, offset}};
    if (when == When::retention) starts.push_back({let_go, at_offset(1), {}, 0, 0});
    return starts;
  }

  // Killed once everybody has had something, but for `new`, which has nothing to get.
  static void restart_half_way(TestCluster& cluster, ServerId server,
                               std::vector<std::unique_ptr<Reader>>& readers) {
    for (auto& reader : readers) {
      if (reader->name() == "new") continue;
      CHECK(eventually([&] { return reader->read(50, Millis{10}), reader->last() > 0; },
                       answer_bound));
    }
    cluster.servers().kill(server, SIGKILL);
    cluster.servers().launch(server);
  }

  // Until the server has let messages go twice since.
  static void await_retention(TestCluster& cluster, std::vector<std::unique_ptr<Reader>>& readers) {
    Offset first_one = cluster.status_of(ServerId{1}).first_offset;
    for (int times = 0; times < 2; ++times) {
      CHECK(eventually(
          [&] {
            for (auto& reader : readers) reader->read(1000, Millis{0});
            return cluster.status_of(ServerId{1}).first_offset > first_one;
          },
          answer_bound));
      first_one = cluster.status_of(ServerId{1}).first_offset;
    }
  }

  static void finish(std::vector<std::unique_ptr<Reader>>& readers, Offset end) {
    for (auto& reader : readers) {
      CHECK(eventually([&] { return reader->read(10000, Millis{50}), reader->last() >= end; },
                       answer_bound));
    }
  }

  void note(const Reader& reader, Where where, When when, Offset end) {
    const std::string verdict = reader.verdict(end);
    INFO(std::string(reader.name()), " at ",
         std::string(where_names[static_cast<std::size_t>(where)]), ", ",
         std::string(when_names[static_cast<std::size_t>(when)]));
    CHECK(verdict == "");
    CHECK((reader.told_gap() || reader.name() != let_go));
    // Only retention may take messages away.
    CHECK((!reader.told_gap() || when == When::retention));
    problems_ += verdict.empty() ? 0 : 1;
    ++cells_;
    std::string cell =
        verdict.empty() ? reader.told_gap() ? "complete, gap told" : "complete" : verdict;
    auto& row =
        rows_[std::string(reader.name()) + " at " + where_names[static_cast<std::size_t>(where)]];
    row.resize(whens.size(), "-");
    row[static_cast<std::size_t>(when)] = std::move(cell);
  }

  std::map<std::string, std::vector<std::string>> rows_;
  std::size_t problems_ = 0;
  std::size_t cells_ = 0;
};

}  // namespace

TEST_SUITE("cluster/resume matrix") {
  TEST_CASE("slow: every start, at every server, whatever happens -> complete and in order") {
    Matrix matrix;
    for (const Where where : wheres) {
      for (const When when : whens) matrix.scene(where, when);
    }
    std::printf("%s", matrix.table().c_str());
    CHECK(matrix.cells() == (start_names.size() * whens.size() + 1) * wheres.size());
    CHECK(matrix.clean());
  }
}

}  // namespace zabmq::cluster
