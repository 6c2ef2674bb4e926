// Units: what the words of a command line mean: durations, sizes, positions, endpoints, headers.
// Each parser takes the whole word or nothing; the caller names flag and value in the error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "client/endpoints.hpp"
#include "zabmq/client.hpp"
#include "zabmq/subscriber.hpp"
#include "zabmq/types.hpp"

namespace zabmq::cli {

inline constexpr Millis duration_max{24 * 60 * 60 * 1000};
inline constexpr std::size_t topic_size_max = 200;

// A decimal number in [least, most], without sign or spaces.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t least,
                                          std::uint64_t most = UINT64_MAX);

// "500ms", "5s", "1m", "2h", "1d"; more than nothing and at most duration_max.
std::optional<Millis> parse_duration(std::string_view text);

// "100", "64KiB", "1MiB", "2GiB"; bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);

// Messages in a second: a positive decimal number, fractions allowed.
std::optional<double> parse_rate(std::string_view text);

std::optional<Zxid> parse_zxid(std::string_view text);

// RFC 3339 ("2026-11-25T21:00:00Z", "...T22:00:00.5+01:00"), a day ("2026-11-25": its beginning in
// UTC), or so long before `now` ("-10m", "-7d"; without duration_max).
std::optional<LogTime> parse_time(std::string_view text, LogTime now);

// "first", "new", an offset from 1, "zxid:E.C", "time:" and what parse_time takes.
std::optional<From> parse_from(std::string_view text, LogTime now);

// "tcp://HOST:PORT".
using client::is_endpoint;

// "K=V" with a name that is not empty.
std::optional<std::pair<std::string, std::string>> parse_header(std::string_view text);

bool is_utf8(std::string_view text);

// Why `topic` is no topic; empty when it is one.
std::string topic_problem(std::string_view topic);
// The same for a topic or a prefix of topics ("orders/*").
std::string topic_filter_problem(std::string_view filter);

}  // namespace zabmq::cli
