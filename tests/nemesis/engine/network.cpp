// Network: namespaces, a bridge, and packets sent to nobody.
#include "nemesis/engine/network.hpp"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>

#include "cli/child_process.hpp"

namespace zabmq::nemesis {

namespace {

constexpr std::chrono::milliseconds command_patience{10000};
constexpr const char* nobody = "02:00:00:00:00:99";  // a link address that no card has
constexpr const char* clients_host = "254";

}  // namespace

std::vector<std::string> searched(std::vector<std::string> words) {
  words.insert(words.begin(), "/usr/bin/env");
  return words;
}

int run_quietly(const std::vector<std::string>& words) {
  try {
    cli::ChildProcess process(searched(words), {});
    return process.wait_for(command_patience).value_or(-1);
  } catch (const std::runtime_error&) {
    return -1;
  }
}

Network::Network(std::size_t servers, bool separate) : servers_(servers) {
  const auto number = static_cast<unsigned>(getpid());
  name_ = "zn" + std::to_string(number);
  subnet_ =
      "10." + std::to_string(200 + number / 250 % 50) + "." + std::to_string(number % 250) + ".";
  if (!separate || geteuid() != 0) return;
  if (!make()) {
    remove();
    separate_ = false;
  }
}

Network::~Network() {
  if (separate_) remove();
}

bool Network::make() {
  separate_ = true;  // host() and space_file() tell of what is being made
  const std::string bridge = name_ + "b";
  std::vector<std::vector<std::string>> commands = {
      {"ip", "link", "add", bridge, "type", "bridge"},
      {"ip", "addr", "add", subnet_ + clients_host + "/24", "dev", bridge},
      {"ip", "link", "set", bridge, "up"}};
  for (std::size_t i = 1; i <= servers_; ++i) {
    const ServerId id{static_cast<std::uint32_t>(i)};
    const std::string cable = name_ + "v" + std::to_string(i);
    const std::string in = space(id);
    commands.push_back({"ip", "netns", "add", in});
    commands.push_back(
        {"ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", in});
    commands.push_back({"ip", "link", "set", cable, "master", bridge, "up"});
    commands.push_back({"ip", "-n", in, "addr", "add", host(id) + "/24", "dev", "eth0"});
    commands.push_back({"ip", "-n", in, "link", "set", "eth0", "up"});
    commands.push_back({"ip", "-n", in, "link", "set", "lo", "up"});
  }
  commands.push_back({"nsenter", "--net=" + space_file(ServerId{1}), "true"});
  for (const auto& command : commands) {
    if (run_quietly(command) != 0) return false;
  }
  return true;
}

void Network::remove() {
  for (std::size_t i = 1; i <= servers_; ++i) {
    run_quietly({"ip", "netns", "del", space(ServerId{static_cast<std::uint32_t>(i)})});
    run_quietly({"ip", "link", "del", name_ + "v" + std::to_string(i)});
  }
  run_quietly({"ip", "link", "del", name_ + "b"});
}

std::string Network::space(ServerId id) const {
  return name_ + "s" + to_string(id);
}

std::string Network::host(ServerId id) const {
  return separate_ ? subnet_ + to_string(id) : "127.0.0.1";
}

std::string Network::space_file(ServerId id) const {
  return separate_ ? "/run/netns/" + space(id) : "";
}

std::vector<std::string> Network::entering(ServerId id) const {
  if (!separate_) return {};
  return searched({"nsenter", "--net=" + space_file(id)});
}

// A permanent neighbour entry with a link address that nobody has: what is sent is lost without a
// word, as on a cable that was pulled out further away.
bool Network::lose(ServerId at, const std::string& address) {
  cuts_.push_back({at, address});
  return run_quietly({"ip", "-n", space(at), "neigh", "replace", address, "lladdr", nobody, "dev",
                      "eth0", "nud", "permanent"}) == 0;
}

bool Network::cut(ServerId a, ServerId b) {
  const bool there = lose(a, host(b));
  return lose(b, host(a)) && there;
}

bool Network::cut_from_clients(ServerId id) {
  return lose(id, subnet_ + clients_host);
}

void Network::heal() {
  for (const Cut& cut : cuts_) {
    run_quietly({"ip", "-n", space(cut.at), "neigh", "del", cut.address, "dev", "eth0"});
  }
  cuts_.clear();
}

}  // namespace zabmq::nemesis
