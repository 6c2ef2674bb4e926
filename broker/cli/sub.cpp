// sub: prints the messages of a subscription, each as soon as it is there.
#include <algorithm>
#include <cstdio>
#include <string>

#include "cli/commands.hpp"
#include "cli/json_lines.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::cli {

namespace {

constexpr std::size_t messages_between_flushes = 4096;
// How late Ctrl-C may be noticed, and the end of whoever reads what is printed.
constexpr Millis signal_interval{100};

void print(const Message& message, SubFormat format) {
  switch (format) {
    case SubFormat::json:
      return write_out(json_line(message));
    case SubFormat::raw:
      return write_out(message.text());
    case SubFormat::lines:
      write_out(message.text());
      return write_out("\n");
  }
}

// Told to people and scripts: a stream that has jumped may not look like one that has not.
void tell_gap(const Gap& gap, SubFormat format) {
  const std::string from =
      gap.from == 0 ? "what was asked for" : "offset " + std::to_string(gap.from);
  std::fprintf(stderr, "zabmq sub: %s is no longer kept: going on with offset %llu\n", from.c_str(),
               static_cast<unsigned long long>(gap.first_available));
  if (format == SubFormat::json) write_out(json_line(gap));
}

SubscriberOptions subscriber_options(const SubArguments& arguments) {
  SubscriberOptions options;
  static_cast<ClientOptions&>(options) = arguments.client;
  options.topics = arguments.topics;
  options.from = arguments.from;
  options.until_end = arguments.until_end;
  options.cursor = arguments.cursor;
  if (arguments.jumps_gaps) {
    options.on_gap = [format = arguments.format](const Gap& gap) { tell_gap(gap, format); };
  }
  return options;
}

void tell_how_to_resume(const SubArguments& arguments, Offset next) {
  if (next == 0 || arguments.cursor) return;  // the same command goes on
  std::string topics;
  for (const std::string& topic : arguments.topics) topics += " '" + topic + "'";
  std::fprintf(stderr, "zabmq sub: interrupted; go on with: zabmq sub%s --from %llu\n",
               topics.c_str(), static_cast<unsigned long long>(next));
}

// What is printed is handled. Under filters, so is what was left out.
void acknowledge_printed(const SubArguments& arguments, Subscriber& subscriber) {
  const Offset next = subscriber.next_offset();
  if (arguments.cursor && next > 1) subscriber.ack(next - 1);
}

// What is not durable by then would be printed again: that is said.
void settle_cursor(const SubArguments& arguments, Subscriber& subscriber) {
  const Offset next = subscriber.next_offset();
  if (arguments.cursor && next > 1) subscriber.ack_sync(next - 1, arguments.client.timeout);
}

}  // namespace

ExitCode run(const SubArguments& arguments) {
  StopSignals stop;  // before the library's thread starts
  Subscriber subscriber(subscriber_options(arguments));
  std::uint64_t left = arguments.count.value_or(UINT64_MAX);
  Offset next = 0;
  while (left > 0 && !subscriber.at_end() && !stop.arrived()) {
    const auto limit = std::min<std::uint64_t>(left, messages_between_flushes);
    const auto take = [&](const Message& message) {
      print(message, arguments.format);
      next = message.offset + 1;
    };
    const std::size_t printed = subscriber.poll(take, limit, signal_interval);
    left -= printed;
    flush_out();
    // Only while nothing comes: who has read what was asked for may go before that is acknowledged.
    if (printed == 0) check_out();
    acknowledge_printed(arguments, subscriber);
  }
  settle_cursor(arguments, subscriber);
  if (stop.arrived()) tell_how_to_resume(arguments, next);
  return ExitCode::done;
}

}  // namespace zabmq::cli
