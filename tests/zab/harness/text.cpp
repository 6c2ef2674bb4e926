// Text: printing and parsing.
#include "zab/harness/text.hpp"

#include <charconv>
#include <sstream>
#include <stdexcept>

namespace zabmq::zab::test {
namespace {

std::uint64_t parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
    throw std::invalid_argument("not a number: '" + std::string(text) + "'");
  }
  return number;
}

// Splits "a<mark>b".
std::pair<std::uint64_t, std::uint64_t> parse_pair(std::string_view text, char mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) {
    throw std::invalid_argument("expected '" + std::string(1, mark) + "' in '" + std::string(text) +
                                "'");
  }
  return {parse_number(text.substr(0, at)), parse_number(text.substr(at + 1))};
}

std::string text_of(const Run& run) {
  const std::string e = to_string(run.epoch) + ".";
  const std::string first = e + std::to_string(run.first);
  return run.first == run.last ? first : first + ".." + e + std::to_string(run.last);
}

struct Fields {  // what follows a message's name
  std::string operator()(const Vote& m) const {
    return "for " + to_string(m.leader) + " current=" + to_string(m.current_epoch) +
           " last=" + to_string(m.last) + " round=" + std::to_string(m.round) + " " +
           std::string(to_string(m.role)) + "/" + std::string(to_string(m.phase));
  }
  std::string operator()(const StandingMessage& m) const {
    const std::string leader = m.leader == ServerId::none ? "" : " leader=" + to_string(m.leader);
    return std::string(test::text(m.standing)) + leader + (m.answer ? " answer" : "");
  }
  std::string operator()(const CEpoch& m) const {
    const bool plain = m.standing == Standing::voter;
    return "accepted=" + to_string(m.accepted) +
           (plain ? "" : " standing=" + std::string(test::text(m.standing)));
  }
  std::string operator()(const AckEpoch& m) const {
    return to_string(m.epoch) + " promised=" + (m.promised ? "true" : "false") +
           " current=" + to_string(m.current) + " history=[" + test::text(m.history) + "]";
  }
  std::string operator()(const Progress& m) const { return to_string(m.durable); }
  std::string operator()(const AckLeader& m) const { return to_string(m.epoch); }
  std::string operator()(const Ack& m) const { return to_string(m.durable); }
  std::string operator()(const Pong& m) const { return std::to_string(m.number); }
  std::string operator()(const NewEpoch& m) const {
    if (is_none(m.furthest.incarnation)) return to_string(m.epoch);
    return to_string(m.epoch) + " furthest=" + (m.furthest.voter ? "voter/" : "wiped/") +
           to_string(m.furthest.accepted) + "/" + to_string(m.furthest.current) + "/" +
           to_string(m.furthest.durable);
  }
  std::string operator()(const Diff& m) const { return to_string(m.common); }
  std::string operator()(const Trunc& m) const { return to_string(m.common); }
  std::string operator()(const Snap& m) const { return "floor=" + to_string(m.floor.zxid); }
  std::string operator()(const StateTaken& m) const { return std::to_string(m.part); }
  std::string operator()(const Propose& m) const {
    std::string runs;
    for (const Run& run : m.runs) runs += text_of(run) + " ";
    return runs + "commit=" + to_string(m.commit);
  }
  std::string operator()(const NewLeader& m) const { return to_string(m.epoch); }
  std::string operator()(const UpToDate& m) const {
    return to_string(m.epoch) + " commit=" + to_string(m.commit);
  }
  std::string operator()(const Commit& m) const { return to_string(m.commit); }
  std::string operator()(const Ping& m) const {
    return std::to_string(m.number) + " commit=" + to_string(m.commit);
  }
  // Answered by lib/replica; the core never sees these, nor FORWARD.
  std::string operator()(const EndQuestion& m) const { return std::to_string(m.number); }
  std::string operator()(const EndAnswer& m) const {
    return std::to_string(m.number) + " " + to_string(m.zxid);
  }
  std::string operator()(const Admitted& m) const { return to_string(m.incarnation); }
  std::string operator()(const Forward& m) const { return std::to_string(m.number); }
  std::string operator()(const ForwardAnswer& m) const { return std::to_string(m.number); }
};

}  // namespace

Zxid parse_zxid(std::string_view text) {
  const auto [e, counter] = parse_pair(text, '.');
  return {Epoch{static_cast<std::uint32_t>(e)}, counter};
}

History parse_history(std::string_view text) {
  History history;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (word.starts_with("floor=")) {
      history.floor.zxid = parse_zxid(std::string_view(word).substr(6));
      continue;
    }
    const auto [e, last] = parse_pair(word, ':');
    history.ends.push_back({Epoch{static_cast<std::uint32_t>(e)}, last});
  }
  return history;
}

std::string text(const History& history) {
  std::string out;
  if (!is_none(history.floor.zxid)) out = "floor=" + to_string(history.floor.zxid);
  for (const EpochEnd& end : history.ends) {
    if (!out.empty()) out += " ";
    out += to_string(end.epoch) + ":" + std::to_string(end.last);
  }
  return out;
}

std::string_view text(Standing standing) {
  switch (standing) {
    case Standing::empty:
      return "empty";
    case Standing::founding:
      return "founding";
    case Standing::voter:
      return "voter";
    case Standing::wiped:
      return "wiped";
  }
  return "?";
}

std::string text(const Identity& identity) {
  return std::string(text(identity.standing)) + " accepted=" + to_string(identity.accepted) +
         " current=" + to_string(identity.current);
}

std::string text(const Message& message) {
  return std::string(name_of(message)) + " " + std::visit(Fields{}, message);
}

}  // namespace zabmq::zab::test
