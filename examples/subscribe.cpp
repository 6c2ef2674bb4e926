// subscribe: prints every message from the first one on, and goes on with new ones.
//
//   zabmq-subscribe orders
#include <cstdio>
#include <string>
#include <zabmq/subscriber.hpp>

int main(int count, char** words) {
  if (count > 1 && words[1][0] == '-') {
    std::printf("usage: zabmq-subscribe [TOPIC...]\n");
    return std::string(words[1]) == "--help" ? 0 : 1;
  }
  zabmq::SubscriberOptions options;                 // $ZABMQ_ENDPOINTS, or what `zabmq dev` opens
  options.topics.assign(words + 1, words + count);  // none: all
  options.from = zabmq::first();
  try {
    zabmq::Subscriber subscriber(options);
    for (const zabmq::Message& message : subscriber) {
      std::printf("%llu %s %s: %.*s\n", static_cast<unsigned long long>(message.offset),
                  to_string(message.zxid).c_str(), std::string(message.topic).c_str(),
                  static_cast<int>(message.payload.size()), message.text().data());
      std::fflush(stdout);
    }
    return 0;
  } catch (const zabmq::UsageError& error) {  // such as what $ZABMQ_ENDPOINTS holds
    std::fprintf(stderr, "subscribe: %s\n", error.what());
    return 1;
  } catch (const zabmq::Error& error) {
    std::fprintf(stderr, "subscribe: %s\n", error.what());
    return 2;
  }
}
