// Value: msgpack's formats, as its specification lists them.
#include "cli/conformance/value.hpp"

#include <utility>

namespace zabmq::cli::conformance {

namespace {

constexpr int depth_max = 8;
constexpr std::size_t text_shown_max = 80;

void append_big_endian(std::string& out, std::uint64_t number, std::size_t size) {
  for (std::size_t i = size; i-- > 0;) out += static_cast<char>(number >> 8 * i & 0xff);
}

void append_number(std::string& out, std::uint64_t number) {
  if (number <= 0x7f) {
    out += static_cast<char>(number);
    return;
  }
  const int width = number <= 0xff ? 0 : number <= 0xffff ? 1 : number <= 0xffff'ffff ? 2 : 3;
  out += static_cast<char>(0xcc + width);
  append_big_endian(out, number, std::size_t{1} << width);
}

// `first`: the formats with lengths of 1, 2 and 4 bytes stand behind each other.
void append_length(std::string& out, std::size_t length, int first) {
  const int width = length <= 0xff ? 0 : length <= 0xffff ? 1 : 2;
  out += static_cast<char>(first + width);
  append_big_endian(out, length, std::size_t{1} << width);
}

void append_text(std::string& out, const std::string& text) {
  if (text.size() < 32) {
    out += static_cast<char>(0xa0 + text.size());
  } else {
    append_length(out, text.size(), 0xd9);
  }
  out += text;
}

void append_list(std::string& out, const List& list) {
  if (list.size() < 16) {
    out += static_cast<char>(0x90 + list.size());
  } else {
    out += '\xdc';
    append_big_endian(out, list.size(), 2);
  }
  for (const Value& element : list) append(out, element);
}

class Parser {
 public:
  explicit Parser(std::string_view bytes) : rest_(bytes) {}

  std::optional<Value> all() {
    Value value = one(0);
    if (!good_ || !rest_.empty()) return std::nullopt;
    return value;
  }

 private:
  std::string take(std::uint64_t size) {
    if (size > rest_.size()) good_ = false;
    if (!good_) return {};
    std::string bytes(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return bytes;
  }
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    for (const char c : take(size)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  // Of one of three formats behind each other, or of two without the shortest.
  std::uint64_t length(unsigned first, unsigned smallest) {
    return number(std::size_t{1} << (first - smallest));
  }

  Value list(std::uint64_t count, int depth) {
    List elements;
    if (count > rest_.size()) good_ = false;  // each takes a byte at least
    for (std::uint64_t i = 0; good_ && i < count; ++i) elements.push_back(one(depth + 1));
    return elements;
  }
  Value ignored(std::uint64_t count, int depth) {
    list(count, depth);
    return other();
  }
  Value ignored_bytes(std::uint64_t size) {
    take(size);
    return other();
  }
  static Value other() {
    Value value;
    value.is = Other{};
    return value;
  }

  Value one(int depth) {
    const auto first = static_cast<unsigned>(number(1));
    if (depth > depth_max) good_ = false;
    if (!good_) return {};
    if (first <= 0x7f) return first;
    if (first <= 0x8f) return ignored(2 * (first - 0x80), depth);
    if (first <= 0x9f) return list(first - 0x90, depth);
    if (first <= 0xbf) return take(first - 0xa0);
    if (first >= 0xe0) return other();
    return of_format(first, depth);
  }

  Value of_format(unsigned first, int depth) {
    if (first == 0xc0) return {};
    if (first == 0xc2 || first == 0xc3) return first == 0xc3;
    if (first >= 0xc4 && first <= 0xc6) return Bin{take(length(first, 0xc4))};
    if (first >= 0xc7 && first <= 0xc9) return ignored_bytes(1 + length(first, 0xc7));
    if (first == 0xca || first == 0xcb) return ignored_bytes(first == 0xca ? 4 : 8);
    if (first >= 0xcc && first <= 0xcf) return length(first, 0xcc);
    if (first >= 0xd0 && first <= 0xd3) return ignored_bytes(std::uint64_t{1} << (first - 0xd0));
    if (first >= 0xd4 && first <= 0xd8)
      return ignored_bytes(1 + (std::uint64_t{1} << (first - 0xd4)));
    if (first >= 0xd9 && first <= 0xdb) return take(length(first, 0xd9));
    if (first == 0xdc || first == 0xdd) return list(length(first, 0xdb), depth);
    if (first == 0xde || first == 0xdf) return ignored(2 * length(first, 0xdd), depth);
    good_ = false;  // 0xc1 is never used
    return {};
  }

  std::string_view rest_;
  bool good_ = true;
};

std::string hex(const std::string& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[static_cast<unsigned char>(c) & 0xf];
  }
  return text;
}

std::string shortened(std::string text) {
  if (text.size() > text_shown_max) text = text.substr(0, text_shown_max) + "...";
  return text;
}

}  // namespace

Value::Value(const Uuid& id)
    : is(Bin{std::string(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size())}) {}

void append(std::string& out, const Value& value) {
  if (std::holds_alternative<Nil>(value.is)) out += '\xc0';
  if (const auto* flag = std::get_if<bool>(&value.is)) out += *flag ? '\xc3' : '\xc2';
  if (const auto* number = std::get_if<std::uint64_t>(&value.is)) append_number(out, *number);
  if (const auto* text = std::get_if<std::string>(&value.is)) append_text(out, *text);
  if (const auto* bin = std::get_if<Bin>(&value.is)) {
    append_length(out, bin->bytes.size(), 0xc4);
    out += bin->bytes;
  }
  if (const auto* list = std::get_if<List>(&value.is)) append_list(out, *list);
}

std::optional<Value> parse(std::string_view bytes) {
  return Parser(bytes).all();
}

std::string to_text(const Value& value) {
  if (std::holds_alternative<Nil>(value.is)) return "nil";
  if (const auto* flag = std::get_if<bool>(&value.is)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::uint64_t>(&value.is)) return std::to_string(*number);
  if (const auto* text = std::get_if<std::string>(&value.is)) return '"' + shortened(*text) + '"';
  if (const auto* bin = std::get_if<Bin>(&value.is)) return shortened(hex(bin->bytes));
  if (const auto* list = std::get_if<List>(&value.is)) return to_text(*list);
  return "?";
}

std::string to_text(const List& list) {
  std::string text;
  for (const Value& element : list) text += (text.empty() ? "" : ", ") + to_text(element);
  return "[" + text + "]";
}

}  // namespace zabmq::cli::conformance
