// Failures: the words in which they are told.
#include "storage/failure.hpp"

#include <cerrno>

namespace zabmq::storage {

std::string describe(const Damage& damage, const std::string& why) {
  return damage.file + " is damaged at byte " + std::to_string(damage.position) +
         ", behind transaction " + to_string(damage.behind) + " (" + why +
         "); move the data directory away and start this server empty: it joins again as a learner";
}

StartFailure corrupt(Damage damage, const std::string& why) {
  std::string text = describe(damage, why);
  return {StartFailure::Kind::corrupt, std::move(text), std::move(damage)};
}

StartFailure failed(const IoStatus& status) {
  const bool in_use = status.error == EWOULDBLOCK;
  return {in_use ? StartFailure::Kind::in_use : StartFailure::Kind::io, status.what, std::nullopt};
}

bool is_out_of_space(const IoStatus& status) {
  return status.error == ENOSPC || status.error == EDQUOT;
}

}  // namespace zabmq::storage
