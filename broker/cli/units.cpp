// Units: the parsers.
#include "cli/units.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <string>

namespace zabmq::cli {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 5> duration_units{
    {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {"d", 24 * 60 * 60 * 1000}}};
constexpr std::array<Unit, 5> size_units{
    {{"", 1}, {"B", 1}, {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}}};

// A number and one of `units` behind it; nothing when the product does not fit.
template <std::size_t N>
std::optional<std::uint64_t> parse_with_unit(std::string_view text,
                                             const std::array<Unit, N>& units) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(text.substr(0, digits), 0);
  if (!number) return std::nullopt;
  for (const Unit& unit : units) {
    if (text.substr(digits) != unit.name) continue;
    if (*number > UINT64_MAX / unit.factor) return std::nullopt;
    return *number * unit.factor;
  }
  return std::nullopt;
}

// How many bytes follow a UTF-8 lead byte, and the least code point that needs so many.
struct LeadByte {
  int more;
  std::uint32_t bits;
  std::uint32_t least;
};

std::optional<LeadByte> lead(unsigned char byte) {
  if (byte < 0x80) return LeadByte{0, byte, 0};
  if ((byte & 0xe0) == 0xc0) return LeadByte{1, byte & 0x1fu, 0x80};
  if ((byte & 0xf0) == 0xe0) return LeadByte{2, byte & 0x0fu, 0x800};
  if ((byte & 0xf8) == 0xf0) return LeadByte{3, byte & 0x07u, 0x10000};
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t least,
                                          std::uint64_t most) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  if (number < least || number > most) return std::nullopt;
  return number;
}

std::optional<Millis> parse_duration(std::string_view text) {
  const auto millis = parse_with_unit(text, duration_units);
  const auto most = static_cast<std::uint64_t>(duration_max.count());
  if (!millis || *millis == 0 || *millis > most) return std::nullopt;
  return Millis{static_cast<Millis::rep>(*millis)};
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse_with_unit(text, size_units);
}

std::optional<double> parse_rate(std::string_view text) {
  double rate = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, rate, std::chars_format::fixed);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  if (!std::isfinite(rate) || rate <= 0 || rate > 1e9) return std::nullopt;
  return rate;
}

std::optional<Zxid> parse_zxid(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto epoch = parse_number(text.substr(0, dot), 0, UINT32_MAX);
  const auto counter = parse_number(text.substr(dot + 1), 0);
  if (!epoch || !counter) return std::nullopt;
  return Zxid{Epoch{static_cast<std::uint32_t>(*epoch)}, *counter};
}

namespace {

// "Z", "+01:00", "-05:30": minutes ahead of UTC.
std::optional<int> parse_zone(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = parse_number(text.substr(1, 2), 0, 23);
  const auto minutes = parse_number(text.substr(4, 2), 0, 59);
  if (!hours || !minutes) return std::nullopt;
  const int ahead = static_cast<int>(*hours * 60 + *minutes);
  return text[0] == '+' ? ahead : -ahead;
}

// ".5" at the front of `text`, which is taken off: microseconds; nothing at the front: 0.
std::optional<LogTime> take_fraction(std::string_view& text) {
  if (!text.starts_with('.')) return 0;
  text.remove_prefix(1);
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0) return std::nullopt;
  std::string micros(text.substr(0, std::min<std::size_t>(digits, 6)));
  micros.resize(6, '0');
  text.remove_prefix(digits);
  return parse_number(micros, 0);
}

}  // namespace

std::optional<LogTime> parse_time(std::string_view text, LogTime now) {
  constexpr LogTime second_us = 1'000'000;
  constexpr LogTime milli_us = 1000;
  if (text.starts_with('-')) {  // however long ago: before the first message is the first one
    const auto ago = parse_with_unit(text.substr(1), duration_units);
    if (!ago || *ago == 0) return std::nullopt;
    return *ago > now / milli_us ? 0 : now - *ago * milli_us;
  }
  constexpr std::size_t date = 10;           // YYYY-MM-DD
  constexpr std::size_t date_and_time = 19;  // YYYY-MM-DDTHH:MM:SS
  if (text.size() == date) return parse_time(std::string(text) + "T00:00:00Z", now);
  if (text.size() <= date_and_time) return std::nullopt;
  const std::string clock(text.substr(0, date_and_time));
  std::tm parts{};
  const char* end = ::strptime(clock.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (!end || *end != '\0') return std::nullopt;
  const int day = parts.tm_mday;
  const std::time_t seconds = ::timegm(&parts);
  if (seconds < 0 || parts.tm_mday != day) return std::nullopt;  // such as February 30
  text.remove_prefix(date_and_time);
  const auto fraction = take_fraction(text);
  const auto ahead = parse_zone(text);
  if (!fraction || !ahead) return std::nullopt;
  const std::int64_t utc = static_cast<std::int64_t>(seconds) - std::int64_t{*ahead} * 60;
  if (utc < 0) return std::nullopt;
  return static_cast<LogTime>(utc) * second_us + *fraction;
}

std::optional<From> parse_from(std::string_view text, LogTime now) {
  constexpr std::string_view zxid_prefix = "zxid:";
  constexpr std::string_view time_prefix = "time:";
  if (text == "first") return first();
  if (text == "new") return fresh();
  if (text.starts_with(zxid_prefix)) {
    const auto zxid = parse_zxid(text.substr(zxid_prefix.size()));
    return zxid ? std::optional<From>(at_zxid(*zxid)) : std::nullopt;
  }
  if (text.starts_with(time_prefix)) {
    const auto time = parse_time(text.substr(time_prefix.size()), now);
    return time ? std::optional<From>(at_time(*time)) : std::nullopt;
  }
  const auto offset = parse_number(text, 1);
  return offset ? std::optional<From>(at_offset(*offset)) : std::nullopt;
}

std::optional<std::pair<std::string, std::string>> parse_header(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  return std::pair{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = lead(static_cast<unsigned char>(text[at++]));
    if (!begin || text.size() - at < static_cast<std::size_t>(begin->more)) return false;
    std::uint32_t point = begin->bits;
    for (int i = 0; i < begin->more; ++i) {
      const auto byte = static_cast<unsigned char>(text[at++]);
      if ((byte & 0xc0) != 0x80) return false;
      point = point << 6 | (byte & 0x3fu);
    }
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    if (point < begin->least || point > 0x10ffff || surrogate) return false;
  }
  return true;
}

std::string topic_problem(std::string_view topic) {
  if (topic.empty()) return "a topic has at least one byte";
  if (topic.size() > topic_size_max) return "a topic has at most 200 bytes";
  if (topic.find('*') != std::string_view::npos) {
    return "a topic has no '*'; a subscription may have one at the end, as in orders/*";
  }
  for (const char c : topic) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return "a topic has no control characters";
  }
  return is_utf8(topic) ? "" : "a topic is UTF-8";
}

std::string topic_filter_problem(std::string_view filter) {
  if (!filter.ends_with('*')) return topic_problem(filter);
  if (filter.size() > topic_size_max) return "a topic has at most 200 bytes";
  if (filter.size() == 1) return "";
  return topic_problem(filter.substr(0, filter.size() - 1));
}

}  // namespace zabmq::cli
