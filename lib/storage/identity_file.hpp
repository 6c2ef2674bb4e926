// IdentityFile: the durable record beside the history: who this server is, and what it has
// promised. One checksummed file, replaced as a whole, so that acceptedEpoch and currentEpoch never
// disagree.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "storage/failure.hpp"
#include "storage/file_system.hpp"
#include "zabmq/types.hpp"

namespace zabmq::storage {

inline constexpr std::uint32_t identity_magic = 0x3149'425a;  // "ZBI1"
inline constexpr std::uint8_t identity_version = 1;
inline constexpr std::size_t voters_text_max = 4096;

// Bytes 0..3 magic, 4 format version; magic, version and the place of the checksum (the last 8
// bytes) are the same in every version.
struct IdentityRecord {
  std::uint8_t standing = 0;         //  5  as lib/zab numbers it
                                     //  6  u16 length of `voters`
  ServerId server = ServerId::none;  //  8
  Epoch accepted = Epoch::none;      // 12  acceptedEpoch
  Epoch current = Epoch::none;       // 16  currentEpoch, never above accepted
  std::uint32_t generation = 0;      // 20  of the history: files of another one are not ours
  Uuid cluster;                      // 24
  Uuid history;                      // 40
  Uuid incarnation;                  // 56
  std::string voters;                // 72  "1,2,3", padded with zeros to 8 bytes, then the checksum
  friend bool operator==(const IdentityRecord&, const IdentityRecord&) = default;
};

std::vector<std::byte> encode_identity(const IdentityRecord& record);

// The record, or what is wrong with `bytes`: corrupt or newer_version.
std::variant<IdentityRecord, StartFailure> parse_identity(Bytes bytes);

// What the program was started as, against what the directory holds. nullopt: they agree.
std::optional<StartFailure> foreign_identity(const IdentityRecord& stored, ServerId server,
                                             const std::string& voters);

class IdentityFile {
 public:
  // monostate: the directory was never used.
  using Loaded = std::variant<std::monostate, IdentityRecord, StartFailure>;
  using Done = std::function<void(IoStatus)>;

  explicit IdentityFile(FileSystem& fs) : fs_(fs) {}
  IdentityFile(const IdentityFile&) = delete;
  IdentityFile& operator=(const IdentityFile&) = delete;

  // At start, once. A directory with segments but without the record is refused: its promises are
  // lost, and a server that has forgotten them must not vote.
  Loaded load();

  // tmp, fsync, rename, fsync of the directory; then `done`. Never two at once. An error is final:
  // nothing is stored any more.
  void store(const IdentityRecord& record, Done done);
  bool storing() const { return done_ != nullptr; }

 private:
  void create();
  void write();
  void rename();
  void sync_directory();
  void finish();
  template <class Next>
  FileSystem::Done then(Next next);

  FileSystem& fs_;
  bool leftover_ = false;  // a tmp file that a crash left
  bool failed_ = false;
  FileId file_ = FileId::none;
  Slice bytes_;
  Done done_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace zabmq::storage
