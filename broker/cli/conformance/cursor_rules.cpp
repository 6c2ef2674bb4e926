// CursorRules: durable cursors, of names that nobody else has.
#include <cstdio>
#include <string>

#include "cli/conformance/rules.hpp"
#include "cli/conformance/stream.hpp"
#include "cli/conformance/test_publisher.hpp"

namespace zabmq::cli::conformance {

namespace {

constexpr Offset far_ahead = Offset{1} << 62;

// A cursor of the tool's own, removed when it is not needed any more.
class TestCursor {
 public:
  explicit TestCursor(Context& context)
      : link_(context), name_(context.topic + "/" + to_string(random_id()).substr(0, 8)) {
    link_.hello();
  }
  ~TestCursor() {
    try {
      move(0, true);
    } catch (...) {  // it may stay, and hold what is retained: somebody must know
      std::fprintf(
          stderr,
          "zabmq conformance: a cursor may be left behind, remove it: zabmq cursor remove %s\n",
          name_.c_str());
    }
  }
  TestCursor(const TestCursor&) = delete;
  TestCursor& operator=(const TestCursor&) = delete;

  const std::string& name() const { return name_; }
  Connection& link() { return link_; }

  void send(Offset offset, bool remove = false) {
    link_.send({10, ++request_, name_, offset, remove});
  }
  // Sends and waits: where it stands then.
  Offset move(Offset offset, bool remove = false) {
    send(offset, remove);
    const Frame moved = link_.expect(Command::cursor_moved, "CURSOR-MOVED");
    require_equal("request", request_, moved.number(0));
    return moved.number(1);
  }
  Refused refused(Code code, const std::string& expected) {
    const Refused refused = link_.expect_refused(about_cursor, code, expected);
    require_equal("request", request_, refused.id);
    return refused;
  }

 private:
  Connection link_;
  std::string name_;
  std::uint64_t request_ = 0;
};

// Of a batch of three messages.
BatchReceipt three_messages(Context& context) {
  TestPublisher publisher(context);
  return publisher.publish(1, 3);
}

void moving(Context& context) {
  const BatchReceipt receipt = three_messages(context);
  TestCursor cursor(context);
  const Offset first = receipt.base_offset;
  require_equal("a new cursor at", first, cursor.move(first));
  require_equal("a cursor moved forward to", first + 2, cursor.move(first + 2));
  require_equal("a cursor that does not go back from", first + 2, cursor.move(first + 1));
  require_equal("the same again,", first + 2, cursor.move(first + 2));
}

void beyond_end(Context& context) {
  const Offset last = three_messages(context).last_offset();
  TestCursor cursor(context);
  cursor.send(far_ahead);
  const Refused refused =
      cursor.refused(Code::refused, "REFUSED refused about the cursor, with last_offset");
  require(refused.last_offset >= last && refused.last_offset < far_ahead,
          "a last_offset of at least " + std::to_string(last), std::to_string(refused.last_offset));
}

void wrong_names(Context& context) {
  TestCursor cursor(context);
  std::uint64_t request = 100;
  for (const std::string& name : {std::string(), context.topic + "*", context.topic + "\n"}) {
    cursor.link().send({10, ++request, name, 0, false});
    const Refused refused = cursor.link().expect_refused(about_cursor, Code::protocol,
                                                         "REFUSED protocol about the cursor");
    require_equal("request", request, refused.id);
  }
}

void subscribing(Context& context) {
  const BatchReceipt receipt = three_messages(context);
  TestCursor cursor(context);
  cursor.move(receipt.base_offset);
  Connection link(context);
  link.hello();
  const Stream stream(link, from_new(), {.cursor = cursor.name()});
  require_equal("next", receipt.base_offset + 1, stream.next());
}

void unknown_cursor(Context& context) {
  const BatchReceipt receipt = three_messages(context);
  const TestCursor cursor(context);
  Connection link(context);
  link.hello();
  const Stream stream(link, from_offset(receipt.last_offset()), {.cursor = cursor.name()});
  require_equal("next", receipt.last_offset(), stream.next());
}

void removing(Context& context) {
  const BatchReceipt receipt = three_messages(context);
  TestCursor cursor(context);
  cursor.move(receipt.base_offset);
  require_equal("a removed cursor at", 0, cursor.move(0, true));
  Connection link(context);
  link.hello();
  const Stream stream(link, from_offset(receipt.last_offset()), {.cursor = cursor.name()});
  require_equal("next", receipt.last_offset(), stream.next());
}

// Behind a SUBSCRIBE with the cursor: then this server has delivered it.
void listing(Context& context) {
  const BatchReceipt receipt = three_messages(context);
  TestCursor cursor(context);
  cursor.move(receipt.base_offset);
  Connection link(context);
  link.hello();
  const Stream stream(link, from_new(), {.messages = 0, .cursor = cursor.name()});
  const std::string before = cursor.name().substr(0, cursor.name().size() - 1);
  link.send({11, 17, before});
  const Frame answer = link.expect(Command::cursors, "CURSORS");
  require_equal("request", 17, answer.number(0));
  const List& cursors = std::get<List>(answer.elements[1].is);
  const Value expected = List{cursor.name(), receipt.base_offset};
  require(!cursors.empty() && cursors.front() == expected, to_text(expected) + " first", answer);
  link.send({11, 18, cursor.name()});
  const Frame behind = link.expect(Command::cursors, "CURSORS");
  const List& others = std::get<List>(behind.elements[1].is);
  require(others.empty() || others.front() != expected, "only what is behind the name", behind);
}

}  // namespace

std::vector<Rule> cursor_rules() {
  return {
      {"C75", "4.5, 12", "MOVE-CURSOR creates a cursor and moves it forward, never back", moving},
      {"C76", "4.5, 12", "a cursor beyond the last offset is refused", beyond_end},
      {"C77", "4.5, 12", "what is no name of a cursor is refused", wrong_names},
      {"C78", "4.5, 13", "SUBSCRIBE with a cursor begins behind it", subscribing},
      {"C79", "4.5, 13", "SUBSCRIBE with an unknown cursor begins at its start", unknown_cursor},
      {"C80", "4.5, 12", "a removed cursor is unknown", removing},
      {"C81", "4.5, 14", "LIST-CURSORS tells the cursors behind a name, in order", listing},
  };
}

}  // namespace zabmq::cli::conformance
