// Options: the table of keys, parsing with units, and what must hold between values.
#include "node/options.hpp"

#include <array>
#include <charconv>
#include <functional>
#include <limits>

namespace zabmq::node {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array size_units{Unit{"B", 1}, Unit{"KiB", std::uint64_t{1} << 10},
                                Unit{"MiB", std::uint64_t{1} << 20},
                                Unit{"GiB", std::uint64_t{1} << 30}};
constexpr std::array duration_units{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000},
                                    Unit{"h", 3'600'000}};

std::optional<std::uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  for (const Unit& u : units) {
    if (u.name != unit) continue;
    if (value > std::numeric_limits<std::uint64_t>::max() / u.factor) return std::nullopt;
    return value * u.factor;
  }
  return std::nullopt;
}

constexpr std::uint64_t kib = std::uint64_t{1} << 10;
constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::uint64_t gib = std::uint64_t{1} << 30;
constexpr std::uint64_t message_overhead_max = 128 * kib;  // topic and headers, rounded up
constexpr std::uint64_t record_overhead_max = 4 * kib;     // segment header, mark, record header
constexpr std::uint64_t minute_ms = 60'000;
constexpr std::uint64_t day_ms = 24 * 60 * minute_ms;

enum class Kind : std::uint8_t { duration, size, count };

// One numeric key: where it lives, what it may be.
struct Number {
  std::string_view key;
  Kind kind;
  std::uint64_t min;
  std::uint64_t max;
  std::string_view default_value;
  std::string_view meaning;
  std::uint64_t& (*field)(Options&);
};

// A member's name cannot stand in parentheses.
// NOLINTNEXTLINE(bugprone-macro-parentheses)
#define ZABMQ_FIELD(member) [](Options& o) -> std::uint64_t& { return o.member; }
static_assert(std::is_same_v<std::size_t, std::uint64_t>);

constexpr Number numbers[] = {
    {"timing.heartbeat", Kind::duration, 10, minute_ms, "100ms",
     "how often a leader and its followers are heard", ZABMQ_FIELD(timing.heartbeat_ms)},
    {"timing.peer_timeout", Kind::duration, 50, 10 * minute_ms, "1s",
     "a server silent for so long is lost", ZABMQ_FIELD(timing.peer_timeout_ms)},
    {"timing.election_wait", Kind::duration, 0, minute_ms, "200ms",
     "a quorum agrees on a leader: wait for a better vote", ZABMQ_FIELD(timing.election_wait_ms)},
    {"timing.discovery_timeout", Kind::duration, 100, 10 * minute_ms, "2s",
     "bound of the discovery phase", ZABMQ_FIELD(timing.discovery_timeout_ms)},
    {"timing.sync_timeout", Kind::duration, 100, 60 * minute_ms, "10s",
     "bound of synchronization without progress", ZABMQ_FIELD(timing.sync_timeout_ms)},
    {"timing.disk_stuck_timeout", Kind::duration, 100, 60 * minute_ms, "10s",
     "a write that takes so long silences the heartbeats",
     ZABMQ_FIELD(timing.disk_stuck_timeout_ms)},
    {"timing.client_timeout", Kind::duration, 100, day_ms, "15s",
     "a client silent for so long is forgotten", ZABMQ_FIELD(timing.client_timeout_ms)},
    {"timing.client_heartbeat", Kind::duration, 10, 10 * minute_ms, "1s",
     "how often an idle subscription hears of the server", ZABMQ_FIELD(timing.client_heartbeat_ms)},
    {"timing.question_timeout", Kind::duration, 100, 10 * minute_ms, "2s",
     "bound of a question about the cluster's end", ZABMQ_FIELD(timing.question_timeout_ms)},

    {"limits.max_payload", Kind::size, 1, 64 * mib, "1MiB", "largest payload of a message",
     ZABMQ_FIELD(limits.max_payload)},
    {"limits.max_batch", Kind::size, kib, batch_bytes_largest, "2MiB", "largest batch of messages",
     ZABMQ_FIELD(limits.max_batch)},
    {"limits.max_forwarded_bytes", Kind::size, 64 * kib, 16 * gib, "16MiB",
     "publishers' requests on their way from a follower to the leader",
     ZABMQ_FIELD(limits.max_forwarded_bytes)},
    {"limits.max_inflight_bytes", Kind::size, 64 * kib, 16 * gib, "64MiB",
     "a leader's proposals that are not committed", ZABMQ_FIELD(limits.max_inflight_bytes)},
    {"limits.learner_window", Kind::size, 64 * kib, 4 * gib, "16MiB",
     "sent to a server and not yet reported durable", ZABMQ_FIELD(limits.learner_window)},
    {"limits.tail_cache", Kind::size, mib, 64 * gib, "128MiB", "newest records kept in memory",
     ZABMQ_FIELD(limits.tail_cache)},
    {"limits.read_max", Kind::size, 4 * kib, 64 * mib, "1MiB", "one read for a subscriber",
     ZABMQ_FIELD(limits.read_max)},
    {"limits.max_clients", Kind::count, 1, 1'000'000, "10000", "connected clients",
     ZABMQ_FIELD(limits.max_clients)},
    {"limits.max_subscriptions", Kind::count, 1, 65'536, "1024", "subscriptions of a client",
     ZABMQ_FIELD(limits.max_subscriptions)},
    {"limits.max_publishers", Kind::count, 1, 10'000'000, "100000", "publishers remembered",
     ZABMQ_FIELD(limits.max_publishers)},
    {"limits.max_cursors", Kind::count, 1, 65'536, "1024", "durable cursors",
     ZABMQ_FIELD(limits.max_cursors)},
    {"limits.session_ttl", Kind::duration, 1000, 3650 * day_ms, "1h",
     "a publisher silent for so long is forgotten; the same on all servers",
     ZABMQ_FIELD(limits.session_ttl_ms)},

    {"storage.segment_size", Kind::size, 64 * kib, 4 * gib, "64MiB", "size of a log file",
     ZABMQ_FIELD(storage.segment_size)},
    {"storage.batch_max", Kind::size, 4 * kib, 64 * mib, "1MiB", "largest group of one write",
     ZABMQ_FIELD(storage.batch_max)},
    {"storage.min_free", Kind::size, 0, 1024 * gib, "0B",
     "below this publishes are refused; 0B: two segments", ZABMQ_FIELD(storage.min_free)},
    {"storage.page_cache", Kind::size, 0, 1024 * gib, "256MiB",
     "newest log files that stay in the system's page cache", ZABMQ_FIELD(storage.page_cache)},
    {"storage.spare_segments", Kind::count, 0, 64, "2", "log files written ahead while idle",
     ZABMQ_FIELD(storage.spare_segments)},
    {"storage.retain_bytes", Kind::size, 0, 1024 * 1024 * gib, "8GiB",
     "above it the oldest log files go that are old enough and that no cursor needs",
     ZABMQ_FIELD(storage.retain_bytes)},
    {"storage.retain_max_bytes", Kind::size, 0, 1024 * 1024 * gib, "10GiB",
     "above it the oldest log files go, whoever needs them", ZABMQ_FIELD(storage.retain_max_bytes)},
    {"storage.retain_min", Kind::duration, 0, 3650 * day_ms, "1h",
     "messages younger than that stay, up to storage.retain_max_bytes",
     ZABMQ_FIELD(storage.retain_min_ms)},
    {"storage.retain_hold", Kind::duration, 0, day_ms, "30s",
     "a subscription that retention passes may read on for so long",
     ZABMQ_FIELD(storage.retain_hold_ms)},

    {"snapshot.every_bytes", Kind::size, 64 * kib, 1024 * gib, "256MiB",
     "log between two snapshots of the server's state, at most", ZABMQ_FIELD(snapshot.every_bytes)},
    {"snapshot.every", Kind::duration, 1000, 365 * day_ms, "1h",
     "time between two snapshots, when anything happened, at most", ZABMQ_FIELD(snapshot.every_ms)},
    {"snapshot.max_bytes", Kind::size, mib, 64 * gib, "1GiB",
     "largest state that is taken over from another server", ZABMQ_FIELD(snapshot.max_bytes)},
};
#undef ZABMQ_FIELD

std::optional<std::uint64_t> parse_number(Kind kind, std::string_view text) {
  constexpr std::array no_unit{Unit{"", 1}};
  switch (kind) {
    case Kind::duration:
      return parse_duration_ms(text);
    case Kind::size:
      return parse_size(text);
    case Kind::count:
      return parse_with_unit(text, no_unit);
  }
  return std::nullopt;
}

std::string_view example_of(Kind kind) {
  switch (kind) {
    case Kind::duration:
      return "a duration such as 100ms, 5s, 1m";
    case Kind::size:
      return "a size such as 512KiB, 64MiB";
    case Kind::count:
      return "a whole number";
  }
  return "";
}

std::string in_unit(Kind kind, std::uint64_t value) {
  std::span<const Unit> units;
  if (kind == Kind::duration) units = duration_units;
  if (kind == Kind::size) units = size_units;
  std::string text = std::to_string(value);
  for (const Unit& u : units) {
    if (value % u.factor == 0) text = std::to_string(value / u.factor) + std::string(u.name);
    if (value == 0) break;
  }
  return text;
}

Problem bad_value(std::string_view key, std::string_view value, const std::string& expected) {
  return {"--set " + std::string(key) + "=" + std::string(value) + ": expected " + expected};
}

std::optional<Problem> set_number(Options& options, const Number& number, std::string_view value) {
  const auto parsed = parse_number(number.kind, value);
  if (!parsed) return bad_value(number.key, value, std::string(example_of(number.kind)));
  if (*parsed < number.min || *parsed > number.max) {
    return bad_value(number.key, value,
                     in_unit(number.kind, number.min) + " to " + in_unit(number.kind, number.max));
  }
  number.field(options) = *parsed;
  return std::nullopt;
}

std::optional<Problem> set_durability(std::string_view value) {
  if (value == "fsync") return std::nullopt;
  return bad_value("storage.durability", value, "fsync (weaker modes do not exist yet)");
}

std::optional<Problem> set_log_level(Options& options, std::string_view value) {
  constexpr std::pair<std::string_view, LogLevel> levels[] = {{"debug", LogLevel::debug},
                                                              {"info", LogLevel::info},
                                                              {"warning", LogLevel::warning},
                                                              {"error", LogLevel::error}};
  for (const auto& [name, level] : levels) {
    if (name != value) continue;
    options.log_level = level;
    return std::nullopt;
  }
  return bad_value("log.level", value, "debug, info, warning or error");
}

Problem contradiction(std::string_view key, Kind kind, std::uint64_t value, std::string_view why) {
  return {std::string(key) + "=" + in_unit(kind, value) + ": " + std::string(why)};
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse_with_unit(text, size_units);
}

std::optional<std::uint64_t> parse_duration_ms(std::string_view text) {
  return parse_with_unit(text, duration_units);
}

std::optional<Problem> Options::set(std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) {
    return Problem{"--set " + std::string(assignment) + ": expected KEY=VALUE"};
  }
  const std::string_view key = assignment.substr(0, equals);
  const std::string_view value = assignment.substr(equals + 1);
  for (const Number& number : numbers) {
    if (number.key == key) return set_number(*this, number, value);
  }
  if (key == "storage.durability") return set_durability(value);
  if (key == "log.level") return set_log_level(*this, value);
  return Problem{"--set " + std::string(assignment) + ": unknown key '" + std::string(key) + "'"};
}

std::optional<Problem> Options::check() const {
  if (timing.peer_timeout_ms < 2 * timing.heartbeat_ms) {
    return contradiction("timing.peer_timeout", Kind::duration, timing.peer_timeout_ms,
                         "must be at least two of timing.heartbeat (" +
                             in_unit(Kind::duration, timing.heartbeat_ms) + ")");
  }
  if (limits.max_batch < limits.max_payload + message_overhead_max) {
    return contradiction("limits.max_batch", Kind::size, limits.max_batch,
                         "must hold one message of limits.max_payload (" +
                             in_unit(Kind::size, limits.max_payload) + ") and 128KiB around it");
  }
  if (limits.max_inflight_bytes < 2 * limits.max_batch) {
    return contradiction(
        "limits.max_inflight_bytes", Kind::size, limits.max_inflight_bytes,
        "must hold two of limits.max_batch (" + in_unit(Kind::size, limits.max_batch) + ")");
  }
  if (limits.max_forwarded_bytes < 2 * limits.max_batch) {
    return contradiction(
        "limits.max_forwarded_bytes", Kind::size, limits.max_forwarded_bytes,
        "must hold two of limits.max_batch (" + in_unit(Kind::size, limits.max_batch) + ")");
  }
  if (storage.segment_size < 2 * (limits.max_batch + record_overhead_max)) {
    return contradiction("storage.segment_size", Kind::size, storage.segment_size,
                         "must hold two records of limits.max_batch (" +
                             in_unit(Kind::size, limits.max_batch) + ") and 4KiB around each");
  }
  if (storage.retain_max_bytes < storage.retain_bytes) {
    return contradiction("storage.retain_max_bytes", Kind::size, storage.retain_max_bytes,
                         "must be at least storage.retain_bytes (" +
                             in_unit(Kind::size, storage.retain_bytes) + ")");
  }
  return std::nullopt;
}

std::size_t Options::min_free_bytes() const {
  return storage.min_free != 0 ? storage.min_free : 2 * storage.segment_size;
}

replica::Options Options::for_replica() const {
  replica::Options options;
  options.zab.heartbeat_ms = timing.heartbeat_ms;
  options.zab.peer_timeout_ms = timing.peer_timeout_ms;
  options.zab.finalize_wait_ms = timing.election_wait_ms;
  options.zab.discovery_timeout_ms = timing.discovery_timeout_ms;
  options.zab.sync_timeout_ms = timing.sync_timeout_ms;
  options.batch.payload_max = limits.max_payload;
  options.batch.batch_max = limits.max_batch;
  options.group_bytes_max = storage.batch_max;
  options.forwarded_bytes_max = limits.max_forwarded_bytes;
  options.in_flight_bytes_max = limits.max_inflight_bytes;
  options.learner_window_bytes = limits.learner_window;
  options.read_bytes_max = limits.read_max;
  options.publishers_max = limits.max_publishers;
  options.cursors_max = limits.max_cursors;
  options.publisher_ttl_us = limits.session_ttl_ms * 1000;
  options.retention = {storage.retain_bytes, storage.retain_max_bytes,
                       storage.retain_min_ms * 1000};
  options.retention_hold_ms = storage.retain_hold_ms;
  options.snapshots = {snapshot.every_bytes, snapshot.every_ms, snapshot.max_bytes};
  options.connections_max = limits.max_clients;
  options.subscriptions_max = limits.max_subscriptions;
  options.client_timeout_ms = timing.client_timeout_ms;
  options.client_heartbeat_ms = timing.client_heartbeat_ms;
  options.disk_stuck_ms = timing.disk_stuck_timeout_ms;
  options.question_timeout_ms = timing.question_timeout_ms;
  return options;
}

std::vector<OptionKey> option_keys() {
  std::vector<OptionKey> keys;
  for (const Number& number : numbers) {
    keys.push_back({number.key, number.default_value, number.meaning});
  }
  keys.push_back({"storage.durability", "fsync", "when a message counts as stored"});
  keys.push_back({"log.level", "info", "debug, info, warning or error"});
  return keys;
}

}  // namespace zabmq::node
