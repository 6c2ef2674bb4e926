// StartFailure: why a data directory cannot be used, as one line for a person.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/file_system.hpp"
#include "zabmq/types.hpp"

namespace zabmq::storage {

// Where stored bytes are not what was written.
struct Damage {
  std::string file;
  std::uint64_t position = 0;
  Zxid behind;  // the last good transaction before it
};

struct StartFailure {
  enum class Kind : std::uint8_t {
    io,             // the operating system refused
    in_use,         // another process has the directory
    corrupt,        // final: never truncated, never repaired
    foreign,        // another cluster's, server's or voter set's
    newer_version,  // written by a newer program
    used            // segments, but no identity record
  };
  Kind kind = Kind::io;
  std::string text;  // what is wrong with what, both values, and the way out
  std::optional<Damage> damage;
};

// "00000003.seg is damaged at byte 4160, behind transaction 7.42 (why); <way out>"
std::string describe(const Damage& damage, const std::string& why);
StartFailure corrupt(Damage damage, const std::string& why);
StartFailure failed(const IoStatus& status);  // EWOULDBLOCK is in_use

// Of a write: a state that ends by itself, where nothing that was promised depends on the write.
bool is_out_of_space(const IoStatus& status);

}  // namespace zabmq::storage
