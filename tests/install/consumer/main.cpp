// Consumer: uses every header of the installed client, and ends as a program without a cluster
// should.
#include <cstdio>
#include <string>
#include <zabmq/admin.hpp>
#include <zabmq/publisher.hpp>
#include <zabmq/subscriber.hpp>

int main() {
  zabmq::ClientOptions nobody;
  nobody.endpoints = {"tcp://127.0.0.1:9"};
  nobody.timeout = zabmq::Millis{200};
  if (zabmq::cluster_status(nobody, nobody.timeout).leader != zabmq::ServerId::none) return 1;
  try {
    zabmq::SubscriberOptions options;
    static_cast<zabmq::ClientOptions&>(options) = nobody;
    zabmq::Subscriber subscriber(options);
    subscriber.next();
    return 2;
  } catch (const zabmq::Error&) {
  }
  try {
    zabmq::PublisherOptions options;
    static_cast<zabmq::ClientOptions&>(options) = nobody;
    const zabmq::Publisher publisher(options);
    return 3;
  } catch (const zabmq::Error& error) {
    std::printf("%s\n", std::string(to_string(error.code)).c_str());
  }
  return 0;
}
