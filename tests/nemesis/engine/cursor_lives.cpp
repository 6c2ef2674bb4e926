// Cursor lives: two bounds, and what lies between them.
#include "nemesis/engine/cursor_lives.hpp"

#include <algorithm>

namespace zabmq::nemesis {

void CursorLives::begin() {
  started_ = overtaken_ = false;
}

void CursorLives::overtaken() {
  overtaken_ = true;
}

std::optional<std::string> CursorLives::starts_at(Offset first) {
  started_ = true;
  const Offset sent = acknowledged_;
  acknowledged_ = std::max(acknowledged_, first - 1);
  if (!confirmed_) return std::nullopt;  // it may exist, or not
  ++resumes_;
  if (first > *confirmed_ && (first <= sent + 1 || overtaken_)) return std::nullopt;
  return "began at offset " + std::to_string(first) + ", where " + std::to_string(*confirmed_) +
         " was confirmed, and nothing above " + std::to_string(sent) + " acknowledged";
}

void CursorLives::acknowledged(Offset up_to) {
  acknowledged_ = std::max(acknowledged_, up_to);
}

void CursorLives::confirmed(std::optional<Offset> durable) {
  if (durable) confirmed_ = std::max(confirmed_.value_or(0), *durable);
}

}  // namespace zabmq::nemesis
