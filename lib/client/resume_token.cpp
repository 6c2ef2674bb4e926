// ResumeToken: its text form.
#include <charconv>

#include "zabmq/subscriber.hpp"

namespace zabmq {

std::string to_string(const ResumeToken& token) {
  return to_string(token.cluster) + "." + to_string(token.history) + "." +
         std::to_string(token.offset);
}

std::optional<ResumeToken> parse_resume_token(std::string_view text) {
  const std::size_t first = text.find('.');
  const std::size_t second = first == text.npos ? text.npos : text.find('.', first + 1);
  if (second == text.npos) return std::nullopt;
  const auto cluster = parse_uuid(text.substr(0, first));
  const auto history = parse_uuid(text.substr(first + 1, second - first - 1));
  const std::string_view number = text.substr(second + 1);
  ResumeToken token;
  const char* const number_end = number.data() + number.size();
  const auto [end, error] = std::from_chars(number.data(), number_end, token.offset);
  const bool whole = error == std::errc{} && end == number_end && token.offset > 0;
  if (!cluster || !history || is_none(*cluster) || is_none(*history) || !whole) return std::nullopt;
  token.cluster = *cluster;
  token.history = *history;
  return token;
}

}  // namespace zabmq
