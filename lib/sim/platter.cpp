// Platter: reading writes as they pass, and the bytes that they left.
#include "sim/platter.hpp"

#include <algorithm>

#include "storage/mark.hpp"
#include "storage/segment_header.hpp"
#include "zabmq/record.hpp"

namespace zabmq::sim {
namespace {

std::uint64_t key_of(Digest digest) {
  return static_cast<std::uint64_t>(digest);
}

}  // namespace

void Platter::watch_write(storage::FileId file, std::uint64_t position,
                          const std::vector<Slice>& slices) {
  const auto id = static_cast<std::uint32_t>(file);
  if (position == 0 && marks_.contains(id)) forget_file(id);
  for (const Slice& slice : slices) {
    note_items(id, position, slice.bytes());
    position += slice.size();
  }
}

// Marks and records, until something is neither.
void Platter::note_items(std::uint32_t file, std::uint64_t position, Bytes rest) {
  while (rest.size() >= storage::mark_size) {
    std::size_t size = storage::mark_size;
    if (storage::looks_like_mark(rest)) {
      marks_[file].push_back(position);
    } else {
      const std::optional<RecordHeader> header = parse_header(rest);
      if (!header) return;
      size = record_size(header->body_size);
      const Place place{file, position, static_cast<std::uint32_t>(size)};
      const auto [known, added] = places_.try_emplace(key_of(header->checksum), place);
      if (!added && known->second.file != file) older_places_[known->first] = known->second;
      known->second = place;
      noted_[file].push_back(known->first);
    }
    if (size >= rest.size()) return;
    rest = rest.subspan(size);
    position += size;
  }
}

void Platter::learn() {
  forget();
  for (const auto& [name, id] : disk_.state().durable) {
    const Bytes bytes = disk_.state().files.at(id).platter;
    if (!storage::parse_segment_name(name) || bytes.size() < storage::segment_header_size) continue;
    note_items(id, storage::segment_header_size, bytes.subspan(storage::segment_header_size));
  }
}

// A freed file keeps what it holds until a new header is written over its first page: until then a
// crash may give it its old name back.
void Platter::forget_file(std::uint32_t file) {
  for (const std::uint64_t key : noted_[file]) {
    for (auto* places : {&places_, &older_places_}) {
      const auto found = places->find(key);
      if (found != places->end() && found->second.file == file) places->erase(found);
    }
  }
  noted_.erase(file);
  std::erase_if(damage_, [file](const Damage& damage) { return damage.file == file; });
  marks_.erase(file);
  looked_up_.erase(file);
}

const Platter::Place* Platter::place_of(Digest digest) const {
  const auto found = places_.find(key_of(digest));
  return found == places_.end() ? nullptr : &found->second;
}

std::optional<std::string> Platter::file_name(std::uint32_t file) const {
  for (const auto& [name, id] : disk_.state().durable) {
    if (id == file) return name;
  }
  return std::nullopt;
}

bool Platter::is_segment(std::uint32_t file) const {
  if (looked_up_.contains(file)) return true;
  const auto data = disk_.state().files.find(file);
  if (data == disk_.state().files.end() || !file_name(file)) return false;
  const Bytes bytes = data->second.platter;
  if (bytes.size() < storage::segment_header_size) return false;
  const auto parsed = storage::parse_segment_header(bytes.first(storage::segment_header_size));
  const bool valid = parsed.kind == storage::ParsedSegmentHeader::Kind::valid;
  if (!valid && !header_damaged(file)) return false;
  looked_up_.insert(file);
  return true;
}

bool Platter::header_damaged(std::uint32_t file) const {
  return std::any_of(damage_.begin(), damage_.end(), [file](const Damage& damage) {
    return damage.file == file && damage.position < storage::segment_header_size;
  });
}

bool Platter::holds(Digest digest) const {
  const Place* place = place_of(digest);
  if (!place) return false;
  if (holds_at(*place, digest)) return true;
  const auto older = older_places_.find(key_of(digest));
  return older != older_places_.end() && holds_at(older->second, digest);
}

bool Platter::holds_at(const Place& place, Digest digest) const {
  if (!is_segment(place.file)) return false;
  const auto file = disk_.state().files.find(place.file);
  if (file == disk_.state().files.end()) return false;
  const Bytes platter = file->second.platter;
  if (place.position + place.size > platter.size()) return false;
  const auto record =
      parse_record(platter.subspan(static_cast<std::size_t>(place.position), place.size));
  return record && record->checksum == digest;
}

// Positions of the marks that are on the platter of this file.
std::set<std::uint64_t> Platter::valid_marks(std::uint32_t file) const {
  std::set<std::uint64_t> valid;
  const auto positions = marks_.find(file);
  const auto data = disk_.state().files.find(file);
  if (positions == marks_.end() || data == disk_.state().files.end()) return valid;
  const std::optional<std::string> name = file_name(file);
  const auto number = name ? storage::parse_segment_name(*name) : std::nullopt;
  const Bytes platter = data->second.platter;
  for (const std::uint64_t position : positions->second) {
    if (position + storage::mark_size > platter.size()) continue;
    const auto mark = storage::parse_mark(
        platter.subspan(static_cast<std::size_t>(position), storage::mark_size));
    if (mark && mark->position == position && mark->segment == number) valid.insert(position);
  }
  return valid;
}

bool Platter::proven(Digest digest) const {
  const Place* place = place_of(digest);
  if (!place || !holds(digest)) return false;
  const std::set<std::uint64_t> marks = valid_marks(place->file);
  return !marks.empty() && *marks.rbegin() >= place->position + place->size;
}

std::vector<Platter::Place> Platter::proven_marks() const {
  std::vector<Place> places;
  for (const auto& [file, positions] : marks_) {
    const std::set<std::uint64_t> marks =
        is_segment(file) ? valid_marks(file) : std::set<std::uint64_t>();
    for (const std::uint64_t position : marks) {
      if (position == *marks.rbegin()) break;
      places.push_back({file, position, storage::mark_size});
    }
  }
  return places;
}

std::vector<Platter::Place> Platter::proven_headers() const {
  std::vector<Place> places;
  for (const auto& [file, positions] : marks_) {
    if (!is_segment(file) || valid_marks(file).empty()) continue;
    places.push_back({file, 0, storage::segment_header_size});
  }
  return places;
}

void Platter::damaging(const std::string& name, std::uint64_t position) {
  const std::uint32_t file = disk_.state().live.at(name);
  const Bytes platter = disk_.state().files.at(file).platter;
  if (position >= platter.size()) return;
  damage_.push_back({file, position, platter[static_cast<std::size_t>(position)]});
}

bool Platter::damaged() const {
  return std::any_of(damage_.begin(), damage_.end(), [this](const Damage& damage) {
    const auto& live = disk_.state().live;
    const bool named = std::any_of(live.begin(), live.end(), [&](const auto& entry) {
      return entry.second == damage.file && storage::parse_spare_name(entry.first) == std::nullopt;
    });
    if (!named) return false;
    const Bytes platter = disk_.state().files.at(damage.file).platter;
    const auto at = static_cast<std::size_t>(damage.position);
    return at < platter.size() && platter[at] != damage.before;
  });
}

}  // namespace zabmq::sim
