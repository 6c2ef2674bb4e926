// Network: where the servers live. As root each has its own network namespace, joined by a bridge
// that the clients are at; links between them can be cut as a cable is. Otherwise all are on
// loopback, and only proxies can come between them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::nemesis {

class Network {
 public:
  // `separate`: try to make namespaces; without the rights for it, loopback.
  Network(std::size_t servers, bool separate);
  ~Network();  // takes away what it made
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  bool separate() const { return separate_; }
  std::string host(ServerId id) const;
  std::string space_file(ServerId id) const;  // of its namespace; empty: ours
  // Words before a command that shall run at that server.
  std::vector<std::string> entering(ServerId id) const;

  // Packets from one to the other are lost from now on, both ways, until heal(). Only when
  // separate. False: it could not be done.
  bool cut(ServerId a, ServerId b);
  bool cut_from_clients(ServerId id);
  void heal();

 private:
  struct Cut {
    ServerId at = ServerId::none;
    std::string address;
  };

  bool make();
  void remove();
  std::string space(ServerId id) const;
  bool lose(ServerId at, const std::string& address);

  std::size_t servers_;
  bool separate_ = false;
  std::string name_;
  std::string subnet_;  // "10.201.7."
  std::vector<Cut> cuts_;
};

// The same command, its program found by PATH.
std::vector<std::string> searched(std::vector<std::string> words);

// Runs a program to its end; its exit status. Nothing of it is shown.
int run_quietly(const std::vector<std::string>& words);

}  // namespace zabmq::nemesis
