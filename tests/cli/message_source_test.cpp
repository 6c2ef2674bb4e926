// MessageSourceTest: what `zabmq pub` takes for a message, byte for byte.
#include "cli/message_source.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vector>

namespace zabmq::cli {
namespace {

// Standard input and the stop event of one test.
struct Streams {
  int input[2];
  int stop = eventfd(0, EFD_NONBLOCK);
  Streams() { REQUIRE(pipe(input) == 0); }
  ~Streams() {
    close(input[0]);
    if (input[1] >= 0) close(input[1]);
    close(stop);
  }
  void write(std::string_view text) {
    REQUIRE(::write(input[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void end() {
    close(input[1]);
    input[1] = -1;
  }
};

std::vector<std::string> all(MessageSource& source) {
  std::vector<std::string> messages;
  while (const auto payload = source.next()) messages.emplace_back(*payload);
  return messages;
}

std::vector<std::string> messages_of(PubArguments arguments, std::string_view text) {
  Streams streams;
  streams.write(text);
  streams.end();
  const auto source = make_source(arguments, streams.input[0], streams.stop);
  return all(*source);
}

PubArguments lines() {
  PubArguments arguments;
  arguments.lines = true;
  return arguments;
}

using List = std::vector<std::string>;

}  // namespace

TEST_SUITE("cli/message_source") {
  TEST_CASE("lines: the newline ends a line, the rest is kept") {
    CHECK(messages_of(lines(), "a\nb\n") == List{"a", "b"});
    CHECK(messages_of(lines(), "a\nb") == List{"a", "b"});
    CHECK(messages_of(lines(), "a\r\nb\r\n") == List{"a\r", "b\r"});
    CHECK(messages_of(lines(), "\n\n") == List{"", ""});
    CHECK(messages_of(lines(), "\n") == List{""});
    CHECK(messages_of(lines(), "").empty());
    CHECK(messages_of(lines(), std::string_view("a\0b\n\xff\n", 6)) ==
          List{std::string("a\0b", 3), "\xff"});
  }

  TEST_CASE("lines: longer than the read buffer, and many in one read") {
    const std::string longer(40000, 'x');
    std::string text = "first\n" + longer + "\n";
    for (int i = 0; i < 1000; ++i) text += "line\n";

    const List messages = messages_of(lines(), text);

    REQUIRE(messages.size() == 1002);
    CHECK(messages[1] == longer);
    CHECK(messages[1001] == "line");
  }

  TEST_CASE("lines: each as it arrives, before the input ends") {
    Streams streams;
    const auto source = make_source(lines(), streams.input[0], streams.stop);

    streams.write("one\ntw");
    CHECK(source->next() == "one");
    streams.write("o\n");
    CHECK(source->next() == "two");
    streams.write("three");
    streams.end();
    CHECK(source->next() == "three");
    CHECK_FALSE(source->next());
    CHECK_FALSE(source->next());
  }

  TEST_CASE("lines: the stop event ends the wait for input") {
    Streams streams;
    const auto source = make_source(lines(), streams.input[0], streams.stop);
    streams.write("one\nunfinished");
    CHECK(source->next() == "one");

    REQUIRE(eventfd_write(streams.stop, 1) == 0);

    CHECK_FALSE(source->next());
  }

  TEST_CASE("lines with a count: no more than that, and no further read") {
    PubArguments arguments = lines();
    arguments.count = 2;

    CHECK(messages_of(arguments, "a\nb\nc\n") == List{"a", "b"});
  }

  TEST_CASE("whole input: one message, its newlines included, as often as asked") {
    PubArguments arguments;
    CHECK(messages_of(arguments, "a\nb\n") == List{"a\nb\n"});
    arguments.count = 2;
    CHECK(messages_of(arguments, "x") == List{"x", "x"});
  }

  TEST_CASE("whole input without a byte: no message") {
    CHECK(messages_of(PubArguments{}, "").empty());
    PubArguments thrice;
    thrice.count = 3;
    CHECK(messages_of(thrice, "").empty());
  }

  TEST_CASE("given and generated messages: standard input is not touched") {
    PubArguments arguments;
    arguments.message = "m";
    CHECK(messages_of(arguments, "input") == List{"m"});
    arguments.count = 3;
    CHECK(messages_of(arguments, "input") == List{"m", "m", "m"});
    PubArguments generated;
    generated.size = 5;
    CHECK(messages_of(generated, "input") == List{"xxxxx"});
    generated.size = 0;
    generated.count = 2;
    CHECK(messages_of(generated, "input") == List{"", ""});
  }
}

}  // namespace zabmq::cli
