// LogImage: the files of a data directory as plain bytes, what can be found in them, and what can
// happen to them: faults, and (with the checksums made good again) forgeries.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "input.hpp"
#include "sim/memory_disk.hpp"
#include "storage/history_log.hpp"

namespace zabmq::fuzz {

using Files = std::map<std::string, std::vector<std::byte>>;

Files files_of(const sim::MemoryDisk::State& state);
sim::MemoryDisk::State state_of(const Files& files);

// A valid mark, and what it proves to have been synced. Found by a walk of its own, which shares
// nothing with recovery but the parsers of single items.
struct Proof {
  std::uint64_t segment = 0;
  std::uint64_t position = 0;
  Digest digest = Digest::none;  // of the last record in front of it
  Zxid last;                     // its zxid
  Zxid delivered;
  std::vector<std::byte> bytes;  // of the mark
};
std::vector<Proof> proofs_of(const Files& files);
bool stands(const Proof& proof, const Files& files);  // still there, byte for byte

// Where marks and records begin: the places where faults hurt.
std::vector<std::uint64_t> item_positions(Bytes file);

// What hardware and people do: bits, lost and misdirected writes, cut, removed and copied files.
void damage(Files& files, Input& input, std::size_t faults_max);

// What they never do: the checksums of all items in the file are made to fit what they cover now;
// with `chained`, records also continue each other again.
void reseal(std::vector<std::byte>& file, std::uint64_t number, bool chained);

// A segment of whatever the input says, each item with the checksum it should have.
std::vector<std::byte> made_segment(std::uint64_t number, Input& input);

}  // namespace zabmq::fuzz
