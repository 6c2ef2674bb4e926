// CursorTable: durable cursors, as replicated state: how far the readers of a name have come. They
// hold back retention, up to its hard bound.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "zabmq/types.hpp"

namespace zabmq::replica {

class CursorTable {
 public:
  // A cursor that is acknowledged for the first time is created; it never goes back.
  void acknowledge(const std::string& name, Offset offset) {
    Offset& place = cursors_[name];
    place = std::max(place, offset);
  }
  void remove(const std::string& name) { cursors_.erase(name); }

  // Everything up to here was acknowledged; nullopt: no such cursor.
  std::optional<Offset> find(const std::string& name) const {
    const auto it = cursors_.find(name);
    return it == cursors_.end() ? std::nullopt : std::optional(it->second);
  }
  // What the slowest has acknowledged; nullopt: there are no cursors.
  std::optional<Offset> slowest() const {
    const auto it =
        std::min_element(cursors_.begin(), cursors_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    return it == cursors_.end() ? std::nullopt : std::optional(it->second);
  }
  // How many have acknowledged from `first` on, but not `last`.
  std::size_t between(Offset first, Offset last) const {
    return static_cast<std::size_t>(
        std::count_if(cursors_.begin(), cursors_.end(), [first, last](const auto& cursor) {
          return cursor.second >= first && cursor.second < last;
        }));
  }
  std::size_t size() const { return cursors_.size(); }
  const std::map<std::string, Offset>& all() const { return cursors_; }
  friend bool operator==(const CursorTable&, const CursorTable&) = default;

 private:
  std::map<std::string, Offset> cursors_;
};

}  // namespace zabmq::replica
