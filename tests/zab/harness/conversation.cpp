// Conversation: the interpreter.
#include "zab/harness/conversation.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace zabmq::zab::test {
namespace {

unsigned number(const std::string& word) {
  return static_cast<unsigned>(std::stoul(word));
}

// "1->2"
std::pair<unsigned, unsigned> link(const std::string& word) {
  const std::size_t arrow = word.find("->");
  if (arrow == std::string::npos) throw std::invalid_argument("expected A->B, not " + word);
  return {number(word.substr(0, arrow)), number(word.substr(arrow + 2))};
}

bool is_noise(const std::string& line, bool show_votes) {
  const auto says = [&](const char* name) { return line.find(name) != std::string::npos; };
  if (!says(" -> ")) return false;
  if (says(" PING ") || says(" PONG ")) return true;
  return !show_votes && (says(" VOTE ") || says(" STANDING "));
}

void set(Past& past, const std::string& key, std::string value) {
  std::replace(value.begin(), value.end(), ',', ' ');
  if (key == "history") {
    past.history = value;
  } else if (key == "accepted") {
    past.accepted = number(value);
  } else if (key == "current") {
    past.current = number(value);
  } else if (key == "delivered") {
    past.delivered = value;
  } else if (key == "diverging") {
    past.diverging = value;
  } else if (key == "empty") {
    past.standing = Standing::empty;
  } else {
    throw std::invalid_argument("unknown key " + key);
  }
}

}  // namespace

// --- the file ---

std::vector<Conversation::Block> Conversation::read() const {
  std::ifstream file(path_);
  if (!file) throw std::runtime_error("cannot read " + path_);
  std::vector<Block> blocks;
  Block block;
  bool in_trace = false;
  const auto end_block = [&] {
    if (!block.head.empty()) blocks.push_back(std::move(block));
    block = {};
    in_trace = false;
  };
  for (std::string line; std::getline(file, line);) {
    if (line.empty() && in_trace) {
      end_block();
    } else if (in_trace) {
      block.expected.push_back(line);
    } else if (line == "----") {
      in_trace = true;
    } else if (!line.empty()) {
      block.head.push_back(line);
    }
  }
  end_block();
  return blocks;
}

void Conversation::rewrite(const std::vector<Block>& blocks) const {
  std::ofstream file(path_);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i > 0) file << "\n";
    for (const std::string& line : blocks[i].head) file << line << "\n";
    file << "----\n";
    for (const std::string& line : blocks[i].expected) file << line << "\n";
  }
}

void Conversation::run() {
  std::vector<Block> blocks = read();
  REQUIRE(!blocks.empty());
  const bool rewriting = std::getenv("ZABMQ_REWRITE") != nullptr;
  for (Block& block : blocks) {
    const std::vector<std::string> actual = perform(block);
    if (rewriting) {
      block.expected = actual;
      continue;
    }
    const auto join = [](const std::vector<std::string>& lines) {
      std::string all;
      for (const std::string& line : lines) all += line + "\n";
      return all;
    };
    INFO("after: " << block.head.back() << "\nZABMQ_REWRITE=1 writes what happens into " << path_);
    REQUIRE_EQ(join(actual), join(block.expected));
  }
  if (rewriting) rewrite(blocks);
}

// --- commands ---

std::vector<std::string> Conversation::perform(const Block& block) {
  lines_.clear();
  for (const std::string& line : block.head) {
    if (!line.starts_with("#")) perform(line);
  }
  if (lines_.empty()) lines_.push_back("ok");
  return lines_;
}

void Conversation::perform(const std::string& command) {
  std::istringstream stream(command);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  quiet_ = words[0] == "quietly";
  if (quiet_) words.erase(words.begin());
  if (words.at(0) == "peers") {
    start_peers(words);
  } else if (!perform_on_network(words) && !perform_on_disk(words) && !perform_on_life(words) &&
             !perform_on_time(words) && !perform_looking(words)) {
    throw std::invalid_argument("unknown command: " + command);
  }
  complete_free_disks();
  quiet_ = false;
}

void Conversation::start_peers(const Words& words) {
  std::vector<Past> pasts(number(words.at(1)));
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::size_t equals = std::min(words[i].find('='), words[i].size());
    const std::string value = equals < words[i].size() ? words[i].substr(equals + 1) : "";
    std::string key = words[i].substr(0, equals);
    const std::size_t dot = key.find('.');
    if (dot != std::string::npos) {
      set(pasts.at(number(key.substr(0, dot)) - 1), key.substr(dot + 1), value);
    } else {
      for (Past& past : pasts) set(past, key, value);
    }
  }
  cluster_ = std::make_unique<Cluster>(std::move(pasts));
  for (ServerId id : cluster_->ids()) {
    (*cluster_)[static_cast<unsigned>(id)].trace = [this](const std::string& line) { write(line); };
  }
}

bool Conversation::perform_on_network(const Words& words) {
  if (words[0] == "deliver") {
    deliver(words);
  } else if (words[0] == "drop") {
    const auto [from, to] = link(words.at(1));
    if (!cluster().drop(from, to, words.at(2))) write("nothing to drop");
  } else if (words[0] == "lose-session") {
    cluster().lose_session(number(words.at(1)), number(words.at(2)));
  } else if (words[0] == "isolate") {
    cluster().isolate(number(words.at(1)));
  } else if (words[0] == "heal") {
    cluster().heal();
  } else {
    return false;
  }
  return true;
}

void Conversation::deliver(const Words& words) {
  const auto [from, to] = link(words.at(1));
  const std::string name = words.size() > 2 ? words[2] : "";
  if (name != "*") {
    if (!cluster().deliver(from, to, name)) write("nothing to deliver");
    return;
  }
  while (cluster().deliver(from, to)) complete_free_disks();
}

bool Conversation::perform_on_disk(const Words& words) {
  if (words.size() < 2) return false;
  if (words[0] == "hold-disk" || words[0] == "free-disk") {
    Server& server = cluster()[number(words[1])];
    server.hold_log = server.hold_store = words[0] == "hold-disk";
  } else if (words[0] == "sync") {
    Server& server = cluster()[number(words[1])];
    server.disk().log_busy() ? server.complete_log() : write("no write is under way");
  } else if (words[0] == "store") {
    Server& server = cluster()[number(words[1])];
    server.disk().storing() ? server.complete_store() : write("nothing is being stored");
  } else {
    return false;
  }
  return true;
}

bool Conversation::perform_on_life(const Words& words) {
  if (words[0] == "crash") {
    cluster().crash(number(words.at(1)));
  } else if (words[0] == "restart") {
    cluster().restart(number(words.at(1)));
  } else if (words[0] == "wipe") {
    cluster().wipe(number(words.at(1)));
  } else if (words[0] == "propose") {
    const std::vector<std::string> values(words.begin() + 2, words.end());
    const std::vector<Zxid> given = cluster()[number(words.at(1))].propose(values);
    if (given.empty()) write("does not lead in broadcast");
  } else {
    return false;
  }
  return true;
}

bool Conversation::perform_on_time(const Words& words) {
  if (words[0] == "tick") {
    cluster().tick(number(words.at(1)));
  } else if (words[0] == "run") {
    cluster().run(number(words.at(1)));
  } else if (words[0] == "stabilize") {
    cluster().settle();
  } else if (words[0] == "elect") {
    if (!cluster().elect(number(words.at(1)))) write("was not elected");
  } else {
    return false;
  }
  return true;
}

bool Conversation::perform_looking(const Words& words) {
  if (words[0] == "state") {
    std::istringstream lines(cluster().describe());
    for (std::string line; std::getline(lines, line);) write(line.substr(2));
  } else if (words[0] == "history") {
    write("[" + cluster().history(number(words.at(1))) + "]");
  } else if (words[0] == "show" || words[0] == "hide") {
    show_votes_ = words[0] == "show";
  } else {
    return false;
  }
  return true;
}

// --- helpers ---

void Conversation::complete_free_disks() {
  for (bool again = true; again;) {
    again = false;
    for (ServerId id : cluster().ids()) {
      Server& server = cluster()[static_cast<unsigned>(id)];
      if (!server.up()) continue;
      if (!server.hold_log && server.disk().log_busy()) server.complete_log(), again = true;
      if (!server.hold_store && server.disk().storing()) server.complete_store(), again = true;
    }
  }
}

void Conversation::write(const std::string& line) {
  if (!quiet_ && !is_noise(line, show_votes_)) lines_.push_back(line);
}

Cluster& Conversation::cluster() {
  if (!cluster_) throw std::invalid_argument("the first command must be peers");
  return *cluster_;
}

}  // namespace zabmq::zab::test
