// CursorLives: where the lives of a program with a durable cursor begin, one after the other: above
// what the cluster had confirmed to any of them, and not above what they had acknowledged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "zabmq/types.hpp"

namespace zabmq::nemesis {

class CursorLives {
 public:
  void begin();      // a life, which does not know yet where
  void overtaken();  // it is told of a gap first: it may begin above what was acknowledged
  // The first offset that it is given or told of. Not nullopt: why that is wrong. Now the cursor
  // exists, and stands there.
  std::optional<std::string> starts_at(Offset first);
  bool started() const { return started_; }
  void acknowledged(Offset up_to);                // handed over; may become durable or not
  void confirmed(std::optional<Offset> durable);  // by the cluster, to this life

  std::uint64_t resumes() const { return resumes_; }  // starts where something was confirmed before

 private:
  Offset acknowledged_ = 0;  // the greatest so far
  std::optional<Offset> confirmed_;
  bool started_ = false;
  bool overtaken_ = false;
  std::uint64_t resumes_ = 0;
};

}  // namespace zabmq::nemesis
