// Verdicts: what a client believes for good is told only by a leader that a quorum still follows:
// that a publisher or its instance is unknown, or that it is known still (it may have been closed
// meanwhile), that a condition does not hold, that an acknowledged offset does not exist, that a
// cursor stands further anyhow (it may have been removed meanwhile). One that was deposed and does
// not know it would tell it of what its successor has.
#include <utility>
#include <variant>

#include "replica/clients.hpp"
#include "replica/end_questions.hpp"
#include "replica/replica.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {
namespace {

// What is told in place of it, and decides nothing.
wire::Refused unconfirmed(const wire::ServerMessage& verdict, Code code) {
  if (const auto* moved = std::get_if<wire::CursorMoved>(&verdict)) {
    return refused(wire::About::cursor, moved->request, code, Outcome::no, "");
  }
  if (std::holds_alternative<wire::Welcome>(verdict)) {
    return refused(wire::About::connection, 0, code, Outcome::no, "");
  }
  wire::Refused answer = std::get<wire::Refused>(verdict);
  if (answer.code == Code::expired && code == Code::unavailable) answer.outcome = Outcome::maybe;
  answer.code = code;
  answer.expect_last_offset.reset();
  answer.last_offset = 0;
  return answer;
}

}  // namespace

bool Replica::is_verdict(const wire::Refused& refused) {
  return refused.code == Code::expired || refused.expect_last_offset ||
         (refused.about == wire::About::cursor && refused.code == Code::refused) ||
         (refused.about == wire::About::connection && refused.code == Code::protocol);
}

// Everything else that is answered meanwhile may overtake it.
void Replica::hold_verdict(const Asker& asker, wire::ServerMessage answer) {
  if (ZABMQ_MUTANT(verdict_without_round)) return answer_now(asker, std::move(answer));
  if (verdicts_.size() >= options_.connections_max) {
    wire::Refused busy = unconfirmed(answer, Code::busy);
    busy.text = "too many answers wait to be confirmed by a quorum: try again";
    return answer_now(asker, std::move(busy));
  }
  const std::uint64_t question = verdict_questions | ++verdicts_held_;
  verdicts_.emplace(question, Verdict{asker, std::move(answer), core_.identity().current});
  questions_->ask(question);
}

void Replica::on_verdict_round(std::uint64_t question, bool confirmed) {
  auto held = verdicts_.extract(question);
  if (held.empty()) return;
  Verdict& verdict = held.mapped();
  if (confirmed && leading_ && verdict.epoch == core_.identity().current) {
    return answer_now(verdict.asker, std::move(verdict.answer));
  }
  wire::Refused answer = unconfirmed(verdict.answer, Code::unavailable);
  answer.text = "this server could not confirm that it still leads: ask another one";
  answer_now(verdict.asker, std::move(answer));
}

// The next life of the learner counts its requests from 1 again.
void Replica::withdraw_verdicts(ServerId learner) {
  std::erase_if(verdicts_, [&](const auto& held) {
    if (held.second.asker.learner != learner) return false;
    questions_->withdraw(held.first);
    return true;
  });
}

}  // namespace zabmq::replica
