// Result: the public errors, and the value-or-error that callbacks and `try_` functions receive.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "zabmq/types.hpp"

namespace zabmq {

// What went wrong, for programs. Each value has one meaning in every layer and on the wire.
enum class Code : std::uint8_t {
  unavailable = 1,      // no leader or no quorum could be reached before the deadline
  refused = 2,          // the request cannot be honoured as it stands; the text says why
  too_large = 3,        // over a size limit; never sent
  busy = 4,             // a bound is reached; try again later
  no_space = 5,         // the cluster's disks are nearly full
  gap = 6,              // the position asked for is below the first kept offset
  expired = 7,          // the publisher was forgotten; open a new one
  duplicate = 8,        // appended before, too long ago for its receipt to be kept
  not_authorized = 9,   // the principal may not do this
  protocol = 10,        // the peer broke the protocol
  unknown_outcome = 11  // may have happened; retrying the same sequence is safe
};

// What the caller may conclude about the request's effect.
enum class Outcome : std::uint8_t { no = 0, maybe = 1 };

std::string_view to_string(Code);

// Thrown by what returns a value, carried by futures and by Result. `text` says what happened, to
// what, and what to do next.
class Error : public std::runtime_error {
 public:
  Error(Code c, Outcome o, const std::string& text, Sequence s = 0)
      : std::runtime_error(text), code(c), outcome(o), sequence(s) {}

  Code code;
  Outcome outcome;
  Sequence sequence;  // of the publish concerned; 0 = none
  // With `gap`: the first available offset. With `refused`, of a start beyond the end or of a
  // condition that did not hold: the last one.
  std::optional<Offset> first;
};

// What was given is unusable as it is, an endpoint or a session file, which the text names:
// refused, and nothing was asked of the cluster.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& text) : Error(Code::refused, Outcome::no, text) {}
};

// A value or an Error. Ask with `if (r)` first; value() throws the Error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::move(value)) {}
  Result(Error error) : v_(std::move(error)) {}

  explicit operator bool() const { return v_.index() == 0; }
  T& value() {
    if (auto* e = std::get_if<Error>(&v_)) throw *e;
    return std::get<T>(v_);
  }
  const T& value() const { return const_cast<Result*>(this)->value(); }
  const Error& error() const { return std::get<Error>(v_); }

 private:
  std::variant<T, Error> v_;
};

}  // namespace zabmq
