// End questions: rounds and time-outs.
#include "replica/end_questions.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace zabmq::replica {

void EndQuestions::ask(std::uint64_t asker) {
  waiting_.push_back({asker, now_ms_ + timeout_ms_, false});
}

void EndQuestions::withdraw(std::uint64_t asker) {
  std::erase_if(waiting_, [asker](const Waiting& w) { return w.asker == asker; });
}

void EndQuestions::ask_for(ServerId peer, std::uint64_t number) {
  peers_[peer] = {number, false};
}

bool EndQuestions::wants_round() const {
  return !round_ && (!waiting_.empty() || !peers_.empty());
}

void EndQuestions::begin_round(std::uint64_t number) {
  round_ = number;
  for (Waiting& w : waiting_) w.in_round = true;
  for (auto& [peer, w] : peers_) w.in_round = true;
}

void EndQuestions::end_round(std::uint64_t number, End end) {
  if (round_ != number) return;
  round_.reset();
  // Answering may ask anew, so what is answered leaves the lists first.
  const auto later = std::stable_partition(waiting_.begin(), waiting_.end(),
                                           [](const Waiting& w) { return w.in_round; });
  const std::vector<Waiting> answered(waiting_.begin(), later);
  waiting_.erase(waiting_.begin(), later);
  std::vector<std::pair<ServerId, std::uint64_t>> peers;
  for (const auto& [peer, w] : peers_) {
    if (w.in_round) peers.emplace_back(peer, w.number);
  }
  std::erase_if(peers_, [](const auto& p) { return p.second.in_round; });
  for (const Waiting& w : answered) answer_(w.asker, end);
  for (const auto& [peer, peer_number] : peers) peer_answer_(peer, peer_number, end);
}

void EndQuestions::forget_round() {
  round_.reset();
  for (Waiting& w : waiting_) w.in_round = false;
  for (auto& [peer, w] : peers_) w.in_round = false;
}

void EndQuestions::tick(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  const auto pending = std::find_if(waiting_.begin(), waiting_.end(),
                                    [now_ms](const Waiting& w) { return w.deadline_ms > now_ms; });
  const std::vector<Waiting> expired(waiting_.begin(), pending);
  waiting_.erase(waiting_.begin(), pending);
  for (const Waiting& w : expired) answer_(w.asker, std::nullopt);
}

}  // namespace zabmq::replica
