// Cursors: what clients ask of durable cursors. Moving one is a transaction, decided by the leader.
#include "replica/clients.hpp"
#include "replica/proposals.hpp"
#include "replica/replica.hpp"
#include "wire/batch.hpp"

namespace zabmq::replica {

void Replica::on_move_cursor(ConnectionId from, const wire::MoveCursor& move) {
  if (forwards()) return forward({.connection = from}, clients_->find(from)->publisher, move, {});
  move_cursor({.connection = from}, move);
}

void Replica::move_cursor(const Asker& from, const wire::MoveCursor& move) {
  if (!wire::valid_topic(move.cursor)) {
    return answer(
        from, refused(wire::About::cursor, move.request, Code::protocol, Outcome::no,
                      "a cursor's name is 1 to 200 bytes of UTF-8 without control characters and "
                      "without '*'"));
  }
  if (!core_.leading_in_broadcast()) {
    return answer(from, not_leading(wire::About::cursor, move.request));
  }
  if (!proposals_->move_cursor(from, move)) {
    answer(from, refused(wire::About::cursor, move.request, Code::busy, Outcome::no, too_busy()));
  }
}

void Replica::on_list_cursors(ConnectionId from, const wire::ListCursors& question) {
  // Such an answer is large: no second one waits for a link.
  if (!clients_->find(from)->held.empty()) {
    return clients_->answer(from,
                            refused(wire::About::cursor, question.request, Code::busy, Outcome::no,
                                    "read the answers that wait, then ask again"));
  }
  wire::Cursors answer{.request = question.request, .cursors = {}};
  answer.first_offset = state_.first_offset();
  answer.last_offset = state_.delivered_offset();
  const auto& all = state_.cursors().all();
  for (auto at = all.upper_bound(question.after); at != all.end(); ++at) {
    if (answer.cursors.size() == wire::cursors_max) {
      answer.more = true;
      break;
    }
    answer.cursors.push_back({at->first, at->second});
  }
  clients_->answer(from, std::move(answer));
}

}  // namespace zabmq::replica
