// StatusQuery: one question to every server that is known, and what their answers say together. No
// sockets, no clock.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "wire/client_frame.hpp"
#include "zabmq/admin.hpp"

namespace zabmq::client {

class StatusQuery {
 public:
  static constexpr std::size_t endpoints_max = 64;  // answers may name servers, but not for ever

  explicit StatusQuery(const std::vector<std::string>& endpoints);

  // Endpoints that were named since the last call and are to be asked.
  std::vector<std::string> take_new_endpoints();
  // From the server at `endpoint`.
  void on_answer(const std::string& endpoint, const wire::StatusAnswer& answer);
  ClusterStatus result() const;

 private:
  struct Asked {
    bool answered = false;
    wire::StatusAnswer answer;
  };

  void add(const std::string& endpoint);

  std::vector<std::string> order_;  // as they became known
  std::map<std::string, Asked> asked_;
  std::map<ServerId, std::string> named_;  // configured servers, by any answer
  std::size_t handed_out_ = 0;
};

}  // namespace zabmq::client
