// publish: sends each line of standard input as a message and prints where it stands.
//
//   zabmq-publish orders < orders.txt
#include <cstdio>
#include <future>
#include <iostream>
#include <string>
#include <vector>
#include <zabmq/publisher.hpp>

int main(int count, char** words) {
  if (count != 2 || words[1][0] == '-') {
    std::printf("usage: zabmq-publish TOPIC < LINES\n");
    return count == 2 && std::string(words[1]) == "--help" ? 0 : 1;
  }
  const std::string topic = words[1];
  try {
    zabmq::Publisher publisher({});  // $ZABMQ_ENDPOINTS, or what `zabmq dev` opens
    std::vector<std::future<zabmq::Receipt>> receipts;
    for (std::string line; std::getline(std::cin, line);) {
      receipts.push_back(publisher.publish(topic, line));
    }
    for (auto& future : receipts) {
      const zabmq::Receipt receipt = future.get();  // durable on a quorum, or Error
      std::printf("offset %llu zxid %s\n", static_cast<unsigned long long>(receipt.offset),
                  to_string(receipt.zxid).c_str());
    }
    return 0;
  } catch (const zabmq::UsageError& error) {  // such as what $ZABMQ_ENDPOINTS holds
    std::fprintf(stderr, "publish: %s\n", error.what());
    return 1;
  } catch (const zabmq::Error& error) {
    std::fprintf(stderr, "publish: %s\n", error.what());
    return error.outcome == zabmq::Outcome::maybe ? 4 : 2;
  }
}
