// Config: who the voters are. Every quorum in the system is asked here and computed nowhere else.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "zabmq/mutant.hpp"
#include "zabmq/types.hpp"

namespace zabmq::zab {

class Config {
 public:
  // `voters` in any order, without repetition. `voter_set_hash` is what handshakes compare: a hash
  // of ids and roles, computed by the composition root.
  Config(std::vector<ServerId> voters, std::uint64_t voter_set_hash)
      : voters_(std::move(voters)), voter_set_hash_(voter_set_hash) {
    std::sort(voters_.begin(), voters_.end());
  }

  const std::vector<ServerId>& voters() const { return voters_; }
  std::uint64_t voter_set_hash() const { return voter_set_hash_; }
  bool is_voter(ServerId id) const {
    return std::binary_search(voters_.begin(), voters_.end(), id);
  }
  ServerId founder() const { return voters_.front(); }

  std::size_t quorum() const {
    return ZABMQ_MUTANT(quorum_is_half) ? (voters_.size() + 1) / 2 : voters_.size() / 2 + 1;
  }

  // True when the voters for which `counts(id)` holds are a quorum.
  template <class Predicate>
  bool is_quorum(Predicate counts) const {
    return static_cast<std::size_t>(std::count_if(voters_.begin(), voters_.end(), counts)) >=
           quorum();
  }

  // The greatest value that a quorum of voters has reached, given each voter's own.
  template <class Value, class Of>
  Value reached_by_quorum(Of value_of) const {
    std::vector<Value> values;
    values.reserve(voters_.size());
    for (ServerId id : voters_) values.push_back(value_of(id));
    std::sort(values.begin(), values.end());
    return values[values.size() - quorum()];
  }

 private:
  std::vector<ServerId> voters_;  // sorted
  std::uint64_t voter_set_hash_;
};

}  // namespace zabmq::zab
