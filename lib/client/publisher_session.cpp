// PublisherSession: the connection, from HELLO to leaving it, and the publisher's instance.
#include "client/publisher_session.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::client {

PublisherSession::PublisherSession(Options options)
    : options_(std::move(options)),
      route_(options_.endpoints, options_.seed),
      next_(route_.first(0)),
      newest_instance_(options_.known_instance),
      input_(options_.known_input) {
  ZABMQ_CHECK(!is_none(options_.publisher));
}

// --- time ---

void PublisherSession::tick(std::uint64_t now_ms) {
  if (link_ == Link::none) return settle_waiters(now_ms);
  if (leaving_ != Leave::stay) perform_leave(now_ms);
  watch_connection(now_ms);
  if (deadline_passed(now_ms)) {
    give_up(last_refusal_ ? last_refusal_->code : Code::unavailable,
            "no receipt before its deadline: " +
                (last_refusal_ ? std::string(last_refusal_->what()) : trouble_));
  }
  settle_waiters(now_ms);
  if (new_instance_needed_ && reported_ == 0 && link_ == Link::open) reopen();
  end_hold(now_ms);
  send_waiting();
  watch_closing(now_ms);
  if (leaving_ != Leave::stay) perform_leave(now_ms);
}

void PublisherSession::watch_connection(std::uint64_t now_ms) {
  // With an open outcome nothing may be sent unless retry() asks: no reason to connect either.
  const bool resting = reported_ > 0 && waiters_.empty();
  if (link_ == Link::waiting && now_ms >= next_.at_ms && !resting) return connect(now_ms);
  if (link_ == Link::greeting && now_ms >= greet_deadline_ms_) {
    return leave(Leave::failure, "no answer to HELLO");
  }
  if (unanswered_ == 0 || link_ != Link::open) answered_ms_ = now_ms;
  if (link_ != Link::open) return;
  if (now_ms >= answered_ms_ + answer_patience_ms) {
    return leave(Leave::failure, "a publish was not answered");
  }
  if (now_ms >= heard_ms_ + silence_max_ms) return leave(Leave::failure, "the server is silent");
  if (now_ms >= pinged_ms_ + ping_interval_ms) {
    pinged_ms_ = now_ms;
    send(wire::ClientPing{});
  }
}

void PublisherSession::watch_closing(std::uint64_t now_ms) {
  if (!closing_) return;
  if (now_ms >= closing_->deadline_ms) {
    return finish_close(closing_->ever_sent
                            ? Error(Code::unknown_outcome, Outcome::maybe,
                                    "CLOSE was sent, but not answered in time: " + trouble_)
                            : Error(Code::unavailable, Outcome::no,
                                    "could not close before the deadline: " + trouble_));
  }
  const bool idle = batches_.empty() && intake_empty_;
  if (!idle || closing_->sent || link_ != Link::open || leaving_ != Leave::stay) return;
  closing_->sent = closing_->ever_sent = true;
  send(wire::ClosePublisher{instance_});
}

// --- the connection ---

void PublisherSession::connect(std::uint64_t now_ms) {
  link_ = Link::greeting;
  endpoint_ = next_.endpoint;
  greet_deadline_ms_ = now_ms + connect_patience_ms;
  if (new_instance_needed_ && reported_ == 0) {
    new_instance_needed_ = false;
    instance_ = 0;
    openings_ = 0;
  }
  if (instance_ == 0) ++openings_;
  outputs_.emplace_back(Connect{endpoint_});
  wire::Hello hello;
  hello.cluster = options_.cluster;
  hello.history = options_.history;
  hello.publisher = options_.publisher;
  hello.instance = instance_;
  if (instance_ == 0 && is_known()) hello.known = newest_instance_;
  send(hello);
}

void PublisherSession::connected(std::uint64_t now_ms) {
  if (link_ == Link::greeting) greet_deadline_ms_ = now_ms + welcome_patience_ms;
}

void PublisherSession::lost(const std::string& why) {
  if (link_ == Link::greeting || link_ == Link::open) leave(Leave::failure, why);
}

// Only noted here: frames that arrived with this one may still answer batches.
void PublisherSession::leave(Leave why, const std::string& trouble, std::string endpoint) {
  trouble_ = endpoint_ + ": " + trouble;
  if (leaving_ != Leave::stay && why != Leave::redirect) return;
  leaving_ = why;
  leave_for_ = std::move(endpoint);
}

void PublisherSession::leave_for_leader(const std::string& endpoint, const std::string& trouble) {
  const bool elsewhere = !endpoint.empty() && endpoint != endpoint_ && !options_.stays;
  if (!elsewhere) return leave(Leave::without_leader, trouble);
  leave(Leave::redirect, trouble, endpoint);
}

// It was the leader, and does not know yet that another one is: its word on this publisher is old.
// As long as there is nobody else messages wait for their deadlines.
void PublisherSession::leave_behind(Sequence last) {
  leave(Leave::without_leader, "is behind: it knows of " + std::to_string(last) +
                                   " messages of this publisher, and " + std::to_string(reached()) +
                                   " were acknowledged");
}

void PublisherSession::perform_leave(std::uint64_t now_ms) {
  drop_connection();
  const bool in_vain = link_ == Link::greeting && leaving_ == Leave::failure;
  if (in_vain && redirected_) unreachable_leader_ = endpoint_;
  redirected_ = leaving_ == Leave::redirect;
  link_ = Link::waiting;
  switch (std::exchange(leaving_, Leave::stay)) {
    case Leave::stay:
    case Leave::failure:
      next_ = route_.after_failure(now_ms);
      break;
    case Leave::without_leader:
      next_ = route_.without_leader(now_ms);
      break;
    case Leave::redirect:
      next_ = route_.redirected(leave_for_, now_ms);
      break;
  }
}

// What was sent and not answered may have been taken, or may still be on its way.
void PublisherSession::drop_connection() {
  for (InFlight& flight : batches_) {
    const bool may_be_taken = flight.state == InFlight::State::sent && !flight.answered();
    if (may_be_taken && !ZABMQ_MUTANT(lost_answer_told_as_no)) flight.maybe = true;
    flight.state = InFlight::State::waiting;
  }
  unanswered_ = 0;
  held_until_ms_.reset();
  holds_ = 0;
  if (closing_) closing_->sent = false;
  outputs_.emplace_back(Disconnect{});
}

void PublisherSession::send(wire::ClientMessage message, SharedBody body) {
  outputs_.emplace_back(SendFrame{std::move(message), std::move(body)});
}

void PublisherSession::receive(const wire::ServerMessage& message, const Slice&,
                               std::uint64_t now_ms) {
  if (link_ != Link::greeting && link_ != Link::open) return;
  heard_ms_ = now_ms;
  std::visit([&](const auto& frame) { on(frame, now_ms); }, message);
}

// --- greeting ---

void PublisherSession::on(const wire::Welcome& welcome, std::uint64_t now_ms) {
  if (link_ != Link::greeting) return;
  if (!welcome.publisher_open) {
    return leave_for_leader(welcome.leader_endpoint, welcome.leader_endpoint.empty()
                                                         ? "knows of no leader now"
                                                         : "does not lead");
  }
  if (welcome.instance == 0) return leave(Leave::failure, "opened no instance");
  const bool as_expected = instance_ == 0 ? open_instance(welcome) : continue_instance(welcome);
  if (!as_expected) return;

  // Whatever server comes next, it must be of this cluster.
  options_.cluster = welcome.cluster;
  options_.history = welcome.history;
  if (welcome.payload_max > 0 && welcome.batch_bytes_max > 0) {
    new_limits_ =
        wire::BatchLimits{.payload_max = welcome.payload_max, .batch_max = welcome.batch_bytes_max};
  }
  if (const std::string leader = better_server(welcome); !leader.empty()) {
    return leave(Leave::redirect, "forwards to the leader", leader);
  }
  link_ = Link::open;
  trouble_ = endpoint_ + ": connected, but it has not acknowledged (is there a quorum?)";
  pinged_ms_ = now_ms;
}

// A server that forwards serves as well, only slower: its leader, unless that was tried in vain.
std::string PublisherSession::better_server(const wire::Welcome& welcome) {
  const bool leads = welcome.leader == welcome.server || welcome.leader_endpoint == endpoint_;
  if (leads) unreachable_leader_.clear();
  return leads || options_.stays || welcome.leader_endpoint == unreachable_leader_
             ? ""
             : welcome.leader_endpoint;
}

bool PublisherSession::open_instance(const wire::Welcome& welcome) {
  const Sequence last = welcome.last_sequence;
  // The answer to a transaction: nothing that was taken before can be missing in it.
  if (last < reached()) {
    die(forgotten());
    return false;
  }
  if (opened_ && last >= next_cut_) {
    die(Error(Code::refused, Outcome::no,
              "another process published as this publisher: its last sequence is " +
                  std::to_string(last) + ", this process had reached " +
                  std::to_string(next_cut_ - 1)));
    return false;
  }
  instance_ = newest_instance_ = welcome.instance;
  acknowledged_any_ = false;
  // No copy sent under an older instance can be taken any more.
  for (InFlight& flight : batches_) {
    if (flight.batch->first > last) flight.maybe = false;
  }
  if (opened_) return true;
  opened_ = true;
  resumed_after_ = acknowledged_ = last;
  next_cut_ = last + 1;
  start_intake_ = true;
  return true;
}

bool PublisherSession::continue_instance(const wire::Welcome& welcome) {
  if (welcome.instance > instance_) {
    die_fenced("fenced: opened again as instance " + std::to_string(welcome.instance),
               welcome.last_sequence);
    return false;
  }
  if (welcome.last_sequence < reached()) {
    leave_behind(welcome.last_sequence);
    return false;
  }
  openings_ = 0;
  return true;
}

void PublisherSession::on_greeting_refused(const wire::Refused& refused) {
  if (instance_ != 0 && refused.code == Code::refused && refused.id > instance_) {
    return die_fenced(refused.text, refused.last_sequence);
  }
  if (is_known() && refused.code == Code::expired) {
    if (!opened_) return die(forgotten());
    // The entry went away between our CLOSE and its answer: it was the CLOSE.
    if (closing_ && closing_->ever_sent) return finish_close(std::nullopt);
    return die(Error(refused.code, Outcome::no, refused.text));
  }
  const bool final = refused.code == Code::refused || refused.code == Code::protocol ||
                     refused.code == Code::not_authorized || refused.code == Code::expired;
  if (!final) return leave_for_leader(refused.leader_endpoint, refused.text);

  leave(Leave::failure, refused.text);
  if (opened_) return;  // this server is none of ours; those that were may come back
  // Another server may think otherwise, for instance when one endpoint is of another cluster.
  greetings_refused_.insert(endpoint_);
  const auto& all = route_.endpoints();
  if (std::all_of(all.begin(), all.end(),
                  [this](const std::string& e) { return greetings_refused_.contains(e); })) {
    die(Error(refused.code, Outcome::no, trouble_));
  }
}

// --- other frames about the connection ---

void PublisherSession::on(const wire::Refused& refused, std::uint64_t now_ms) {
  switch (refused.about) {
    case wire::About::connection:
      return link_ == Link::greeting ? on_greeting_refused(refused)
                                     : leave(Leave::failure, refused.text);
    case wire::About::publish:
      return on_publish_refused(refused, now_ms);
    case wire::About::close:
      return on_close_refused(refused);
    case wire::About::subscribe:
    case wire::About::status:
    case wire::About::cursor:
      return;
  }
}

void PublisherSession::on(const wire::Reset& reset, std::uint64_t) {
  leave(Leave::redirect, "forgot the connection: " + reset.reason, endpoint_);
}

void PublisherSession::on(const wire::ServerPong&, std::uint64_t) {
  route_.succeeded();  // not WELCOME: two servers that both greet but refuse would be a fast circle
}

// HELLO again, as a newer instance: at this server, unless it no longer leads.
void PublisherSession::reopen() {
  instance_ = 0;
  openings_ = 0;
  new_instance_needed_ = false;
  leave(Leave::redirect, "opening a new instance", endpoint_);
}

// --- the end ---

void PublisherSession::close(std::uint64_t deadline_ms, CloseDone done) {
  if (dead_ || closing_) {
    const Error why = dead_ ? *dead_ : Error(Code::refused, Outcome::no, "being closed already");
    replies_.push_back([done = std::move(done), why] { done(why); });
    return;
  }
  intake_empty_ = false;  // as far as is known: the next exchange() tells
  closing_ = Closing{.deadline_ms = deadline_ms, .done = std::move(done)};
}

void PublisherSession::on(const wire::Closed& closed, std::uint64_t) {
  if (closing_ && closing_->ever_sent && closed.instance == instance_) finish_close(std::nullopt);
}

void PublisherSession::on_close_refused(const wire::Refused& refused) {
  if (!closing_ || !closing_->sent) return;
  closing_->sent = false;
  switch (refused.code) {
    case Code::unavailable:
    case Code::unknown_outcome:
    case Code::busy:
    case Code::no_space:
      return leave_for_leader(refused.leader_endpoint, refused.text);
    case Code::expired:
      return finish_close(std::nullopt);
    default:
      break;
  }
  if (refused.not_leading) return leave_for_leader(refused.leader_endpoint, refused.text);
  finish_close(Error(refused.code, refused.outcome, refused.text));
}

void PublisherSession::finish_close(const std::optional<Error>& error) {
  ZABMQ_CHECK(closing_);
  replies_.push_back([done = std::move(closing_->done), error] { done(error); });
  closing_.reset();
  if (!error) die(Error(Code::refused, Outcome::no, "the publisher is closed"));
}

void PublisherSession::die(Error error) {
  if (dead_) return;
  dead_ = error;
  give_up(error.code, error.what());
  link_ = Link::none;
  leaving_ = Leave::stay;
  send(wire::Bye{});
  outputs_.emplace_back(Disconnect{});
  if (closing_) finish_close(error);
}

// By a HELLO that we had given up, which opened one instance more.
bool PublisherSession::fenced_by_ourselves() const {
  return options_.id_is_ours || (openings_ > 1 && !acknowledged_any_);
}

// A newer process goes on with this publisher. What it took over from us is behind `last` only if
// it was never taken; 0 tells nothing.
void PublisherSession::die_fenced(const std::string& text, Sequence last) {
  if (fenced_by_ourselves()) return reopen();
  for (InFlight& flight : batches_) {
    if (last == 0 || flight.batch->first <= last || flight.answered()) continue;
    flight.maybe = false;
    flight.state = InFlight::State::refused;
  }
  die(Error(Code::refused, Outcome::no, text));
}

Error PublisherSession::forgotten() const {
  return {Code::expired, Outcome::maybe,
          "the cluster has forgotten this publisher, which had reached sequence " +
              std::to_string(reached()) +
              " at least: whether anything behind that was taken cannot be told; open a new one"};
}

void PublisherSession::abandon() {
  if (!dead_) die(Error(Code::unavailable, Outcome::no, "the publisher was destroyed"));
  settle_waiters(0);
}

}  // namespace zabmq::client
