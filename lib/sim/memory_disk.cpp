// Memory disk: page cache, platter, and what happens between them.
#include "sim/memory_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::sim {

using storage::FileId;
using storage::IoStatus;

namespace {

const char* name_of_error(int error) {
  switch (error) {
    case EIO:
      return "Input/output error";
    case ENOSPC:
      return "No space left on device";
    case ENOENT:
      return "No such file or directory";
    case EEXIST:
      return "File exists";
    default:
      return "Error";
  }
}

IoStatus failed_with(int error, const std::string& what) {
  return {error, what + ": " + name_of_error(error)};
}

const char* verb(MemoryDisk::Operation operation) {
  switch (operation) {
    case MemoryDisk::Operation::write:
      return "write ";
    case MemoryDisk::Operation::sync:
      return "fdatasync ";
    case MemoryDisk::Operation::create:
      return "create ";
    case MemoryDisk::Operation::rename:
      return "rename ";
    case MemoryDisk::Operation::remove:
      return "unlink ";
    case MemoryDisk::Operation::sync_directory:
      return "fsync ";
    case MemoryDisk::Operation::read:
      return "pread ";
  }
  return "";
}

// Puts one sector of `from` into `to`, growing it as needed.
void copy_sector(const std::vector<std::byte>& from, std::vector<std::byte>& to,
                 std::uint64_t sector) {
  const std::size_t begin = static_cast<std::size_t>(sector) * sector_size;
  if (begin >= from.size()) return;
  const std::size_t end = std::min(begin + sector_size, from.size());
  if (to.size() < end) to.resize(end);
  std::copy(from.begin() + static_cast<std::ptrdiff_t>(begin),
            from.begin() + static_cast<std::ptrdiff_t>(end),
            to.begin() + static_cast<std::ptrdiff_t>(begin));
}

}  // namespace

// --- running ---

void MemoryDisk::submit(std::deque<Queued>& queue, Job job) {
  ZABMQ_CHECK(locked_);  // a program that has not opened the directory submits nothing
  queue.push_back({next_order_++, std::move(job)});
}

bool MemoryDisk::step_queue(std::deque<Queued>& queue) {
  if (queue.empty()) return false;
  ++steps_;
  // Taken out while it runs: its completion may submit, or drop the whole queue by a crash.
  Queued front = std::move(queue.front());
  queue.pop_front();
  if (!front.job()) queue.push_front(std::move(front));
  return true;
}

bool MemoryDisk::step_writer() {
  return step_queue(writer_);
}

bool MemoryDisk::step_reader() {
  return step_queue(reader_);
}

bool MemoryDisk::step() {
  if (writer_.empty()) return step_reader();
  if (reader_.empty()) return step_writer();
  return writer_.front().order < reader_.front().order ? step_writer() : step_reader();
}

void MemoryDisk::run_all() {
  while (step()) {
  }
}

// --- faults ---

void MemoryDisk::fail(Operation operation, int error, std::size_t skip) {
  faults_.push_back({operation, error, skip});
}

int MemoryDisk::next_error(Operation operation) {
  for (auto it = faults_.begin(); it != faults_.end(); ++it) {
    if (it->operation != operation) continue;
    if (it->skip > 0) {
      --it->skip;
      continue;
    }
    const int error = it->error;
    faults_.erase(it);
    return error;
  }
  return 0;
}

IoStatus MemoryDisk::fault(Operation operation, const std::string& what) {
  const int error = next_error(operation);
  return error == 0 ? IoStatus{} : failed(operation, error, what);
}

IoStatus MemoryDisk::fault(Operation operation, std::uint32_t file) {
  const int error = next_error(operation);
  return error == 0 ? IoStatus{} : failed(operation, error, name_of(file));
}

IoStatus MemoryDisk::failed(Operation operation, int error, const std::string& what) {
  if (on_fault_) on_fault_(operation, error);
  return failed_with(error, verb(operation) + what);
}

void MemoryDisk::flip_bit(const std::string& name, std::uint64_t position, unsigned bit) {
  FileData& file = state_.files.at(state_.live.at(name));
  const auto at = static_cast<std::size_t>(position);
  ZABMQ_CHECK(at < file.cache.size());
  file.cache[at] ^= std::byte{1} << bit;
  if (at < file.platter.size()) file.platter[at] ^= std::byte{1} << bit;
}

void MemoryDisk::overwrite(const std::string& name, std::uint64_t position, Bytes bytes) {
  FileData& file = state_.files.at(state_.live.at(name));
  const auto at = static_cast<std::size_t>(position);
  ZABMQ_CHECK(at + bytes.size() <= file.cache.size());
  std::memcpy(file.cache.data() + at, bytes.data(), bytes.size());
  if (at + bytes.size() <= file.platter.size()) {
    std::memcpy(file.platter.data() + at, bytes.data(), bytes.size());
  }
}

// --- crashes ---

void MemoryDisk::forget_handles() {
  forget_used();
  writer_.clear();
  reader_.clear();
  faults_.clear();
  open_.clear();
  growing_.clear();
  uncached_.clear();
  locked_ = false;
  // Files without a name, now or durably, are nobody's any more.
  std::set<std::uint32_t> named;
  for (const auto& [name, file] : state_.durable) named.insert(file);
  for (const Change& change : state_.changes) named.insert(change.file);
  for (const auto& [name, file] : state_.live) named.insert(file);
  std::erase_if(state_.files, [&](const auto& entry) { return !named.contains(entry.first); });
}

void MemoryDisk::crash_process() {
  forget_handles();
}

void MemoryDisk::replace(State state) {
  state_ = std::move(state);
  forget_handles();
}

std::vector<MemoryDisk::Sector> MemoryDisk::dirty_sectors() const {
  std::vector<Sector> all;
  for (const auto& [id, file] : state_.files) {
    for (const std::uint64_t sector : file.dirty) all.push_back({id, sector});
  }
  return all;
}

bool MemoryDisk::dirty() const {
  return std::any_of(state_.files.begin(), state_.files.end(),
                     [](const auto& file) { return !file.second.dirty.empty(); });
}

MemoryDisk::Loss MemoryDisk::lose_power(const Survival& survival) {
  Loss loss;
  loss.entries = survival.directory_changes < directory_changes();
  std::set<std::uint32_t> seen;
  for (const auto& [name, file] : state_.live) seen.insert(file);
  std::size_t ordinal = 0;
  for (auto& [id, file] : state_.files) {
    for (const std::uint64_t sector : file.dirty) {
      if (survival.sector && survival.sector(ordinal))
        copy_sector(file.cache, file.platter, sector);
      ++ordinal;
    }
    file.dirty.clear();
    if (file.cache == file.platter) continue;
    loss.bytes = loss.bytes || seen.contains(id);
    file.cache = file.platter;
  }
  const std::size_t survived = std::min(survival.directory_changes, directory_changes());
  for (std::size_t i = 0; i < survived; ++i) make(state_.changes[i], state_.durable);
  state_.changes.clear();
  state_.live = state_.durable;
  forget_handles();
  return loss;
}

// --- looking ---

std::vector<std::string> MemoryDisk::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : state_.live) names.push_back(name);
  return names;
}

const std::vector<std::byte>& MemoryDisk::content(const std::string& name) const {
  return state_.files.at(state_.live.at(name)).cache;
}

std::size_t MemoryDisk::uncached_pages(const std::string& name) const {
  const auto found = uncached_.find(state_.live.at(name));
  return found == uncached_.end() ? 0 : found->second.size();
}

void MemoryDisk::set_content(const std::string& name, std::vector<std::byte> bytes) {
  forget_used();
  auto [entry, added] = state_.live.try_emplace(name, state_.next_file);
  if (added) {
    ++state_.next_file;
    state_.durable.emplace(name, entry->second);
  }
  FileData& file = state_.files[entry->second];
  file.cache = file.platter = std::move(bytes);
  file.dirty.clear();
}

bool MemoryDisk::holds_durably(const std::string& name, std::uint64_t position, Bytes bytes) const {
  const auto entry = state_.durable.find(name);
  if (entry == state_.durable.end()) return false;
  const Bytes platter = state_.files.at(entry->second).platter;
  if (position + bytes.size() > platter.size()) return false;
  const Bytes there = platter.subspan(static_cast<std::size_t>(position), bytes.size());
  return std::equal(there.begin(), there.end(), bytes.begin());
}

std::string MemoryDisk::name_of(std::uint32_t file) const {
  for (const auto& [name, id] : state_.live) {
    if (id == file) return name;
  }
  return "a removed file";
}

std::uint64_t MemoryDisk::used_bytes() const {
  if (used_) return used_->bytes;
  Used used;
  for (const auto& [name, file] : state_.live) {
    const auto found = state_.files.find(file);
    if (found == state_.files.end()) continue;
    used.bytes += found->second.cache.size();
    used.files.insert(file);
  }
  used_ = std::move(used);
  return used_->bytes;
}

void MemoryDisk::note_growth(std::uint32_t file, std::uint64_t bytes) {
  if (used_ && used_->files.contains(file)) used_->bytes += bytes;
}

// The size of a file that loses its name, or comes to one, no longer counts, or does. (A directory
// of thousands of files changes often: nothing here may look at all of them.)
void MemoryDisk::note_change(const Change& change) {
  if (!used_) return;
  const auto forget = [this](std::uint32_t file) {
    if (used_->files.erase(file) == 1) used_->bytes -= state_.files.at(file).cache.size();
  };
  const auto displaced = state_.live.find(change.name);
  if (displaced != state_.live.end() && displaced->second != change.file) forget(displaced->second);
  if (change.name.empty()) return forget(change.file);
  if (used_->files.insert(change.file).second) {
    used_->bytes += state_.files.at(change.file).cache.size();
  }
}

void MemoryDisk::make(const Change& change, Entries& entries) {
  if (!change.gone.empty()) entries.erase(change.gone);
  if (!change.name.empty()) entries[change.name] = change.file;
}

// --- FileSystem: start ---

IoStatus MemoryDisk::open_directory() {
  if (locked_) return {EWOULDBLOCK, "the data directory is in use by another process"};
  locked_ = true;
  return {};
}

IoStatus MemoryDisk::list(std::vector<std::string>& all) {
  all = names();
  return {};
}

IoStatus MemoryDisk::open(const std::string& name, FileId& file, std::uint64_t& size) {
  const auto entry = state_.live.find(name);
  if (entry == state_.live.end()) return failed_with(ENOENT, "open " + name);
  file = FileId{entry->second};
  open_.insert(entry->second);
  size = state_.files.at(entry->second).cache.size();
  return {};
}

MemoryDisk::FileData& MemoryDisk::data(FileId file) {
  const auto id = static_cast<std::uint32_t>(file);
  ZABMQ_CHECK(open_.contains(id));
  return state_.files[id];
}

IoStatus MemoryDisk::read_now(FileId file, std::uint64_t position, std::span<std::byte> into,
                              std::size_t& count) {
  count = 0;
  const FileData& from = data(file);
  if (IoStatus status = fault(Operation::read, static_cast<std::uint32_t>(file)); !status)
    return status;
  if (position >= from.cache.size()) return {};
  const auto at = static_cast<std::size_t>(position);
  count = std::min(into.size(), from.cache.size() - at);
  std::memcpy(into.data(), from.cache.data() + at, count);
  return {};
}

// --- FileSystem: write queue ---

IoStatus MemoryDisk::write_to_cache(std::uint32_t id, std::uint64_t position,
                                    const std::vector<Slice>& slices) {
  std::size_t size = 0;
  for (const Slice& slice : slices) size += slice.size();
  IoStatus status = fault(Operation::write, id);
  std::size_t allowed = status ? size : size / 2;
  FileData& file = state_.files[id];
  const std::uint64_t used = used_bytes();
  const std::uint64_t room = file.cache.size() + (capacity_ > used ? capacity_ - used : 0);
  if (position + allowed > std::max<std::uint64_t>(room, file.cache.size())) {
    allowed = room > position ? static_cast<std::size_t>(room - position) : 0;
    status = failed(Operation::write, ENOSPC, name_of(id));
  }
  auto at = static_cast<std::size_t>(position);
  note_cached(id, position, position + allowed);
  if (allowed > 0 && file.cache.size() < at + allowed) {
    note_growth(id, at + allowed - file.cache.size());
    file.cache.resize(at + allowed);
  }
  for (const Slice& slice : slices) {
    const std::size_t count = std::min(slice.size(), allowed);
    if (count == 0) continue;
    std::memcpy(file.cache.data() + at, slice.bytes().data(), count);
    for (std::size_t s = at / sector_size; s <= (at + count - 1) / sector_size; ++s)
      file.dirty.insert(s);
    at += count;
    allowed -= count;
  }
  return status;
}

IoStatus MemoryDisk::sync_file(std::uint32_t id) {
  FileData& file = state_.files[id];
  IoStatus status = fault(Operation::sync, id);
  if (status) {
    if (file.platter.size() < file.cache.size()) file.platter.resize(file.cache.size());
    for (const std::uint64_t sector : file.dirty) copy_sector(file.cache, file.platter, sector);
  }
  file.dirty.clear();
  return status;
}

void MemoryDisk::write(FileId file, std::uint64_t position, std::vector<Slice> slices, bool sync,
                       Done done) {
  const auto id = static_cast<std::uint32_t>(file);
  ZABMQ_CHECK(open_.contains(id));
  std::uint64_t end = position;
  for (const Slice& slice : slices) end += slice.size();
  growing_[id] = std::max(growing_[id], end);
  submit(writer_, [this, id, position, slices = std::move(slices), end, sync,
                   done = std::move(done), written = false]() mutable {
    if (!written) {
      written = true;
      IoStatus status = write_to_cache(id, position, slices);
      if (growing_[id] <= end || !status) growing_.erase(id);
      if (status && sync) return false;
      done(std::move(status));
      return true;
    }
    done(sync_file(id));
    return true;
  });
}

void MemoryDisk::change_directory(Operation operation, const std::string& what,
                                  std::function<int(Change&)> plan, Done done) {
  submit(writer_, [this, operation, what, plan = std::move(plan), done = std::move(done)] {
    IoStatus status = fault(operation, what);
    if (status) {
      Change change;
      if (const int error = plan(change)) {
        status = error == ENOSPC ? failed(operation, error, what)
                                 : failed_with(error, verb(operation) + what);
      } else {
        note_change(change);
        make(change, state_.live);
        state_.changes.push_back(std::move(change));
      }
    }
    done(std::move(status));
    return true;
  });
}

FileId MemoryDisk::create(const std::string& name, Done done) {
  const std::uint32_t id = state_.next_file++;
  open_.insert(id);
  change_directory(
      Operation::create, name,
      [this, name, id](Change& change) {
        if (used_bytes() >= capacity_) return ENOSPC;
        if (state_.live.contains(name)) return EEXIST;
        state_.files.try_emplace(id);
        change = {"", name, id};
        return 0;
      },
      std::move(done));
  return FileId{id};
}

void MemoryDisk::rename(const std::string& from, const std::string& to, Done done) {
  change_directory(
      Operation::rename, from + " to " + to,
      [this, from, to](Change& change) {
        const auto entry = state_.live.find(from);
        if (entry == state_.live.end()) return ENOENT;
        change = {from, to, entry->second};
        return 0;
      },
      std::move(done));
}

void MemoryDisk::remove(const std::string& name, Done done) {
  change_directory(
      Operation::remove, name,
      [this, name](Change& change) {
        const auto entry = state_.live.find(name);
        if (entry == state_.live.end()) return ENOENT;
        change = {name, "", entry->second};
        return 0;
      },
      std::move(done));
}

void MemoryDisk::sync_directory(Done done) {
  submit(writer_, [this, done = std::move(done)] {
    IoStatus status = fault(Operation::sync_directory, "the directory");
    if (status) {
      for (const Change& change : state_.changes) make(change, state_.durable);
      state_.changes.clear();
    }
    done(std::move(status));
    return true;
  });
}

void MemoryDisk::close(FileId file) {
  open_.erase(static_cast<std::uint32_t>(file));
}

void MemoryDisk::drop_cached(FileId file) {
  submit(writer_, [this, id = static_cast<std::uint32_t>(file), size = data(file).cache.size()] {
    std::set<std::uint64_t>& pages = uncached_[id];
    for (std::uint64_t page = 0; page * page_size < size; ++page) pages.insert(page);
    return true;
  });
}

// A page of which only a part is written is read before, when the file has more of it.
void MemoryDisk::note_cached(std::uint32_t id, std::uint64_t begin, std::uint64_t end) {
  const auto found = uncached_.find(id);
  if (found == uncached_.end() || begin == end) return;
  std::set<std::uint64_t>& pages = found->second;
  std::set<std::uint64_t> in_part;
  if (begin % page_size != 0) in_part.insert(begin / page_size);
  if (end % page_size != 0 && end < state_.files[id].cache.size()) in_part.insert(end / page_size);
  for (const std::uint64_t page : in_part) pages_read_ += pages.count(page);
  pages.erase(pages.lower_bound(begin / page_size), pages.upper_bound((end - 1) / page_size));
}

// --- FileSystem: read queue ---

void MemoryDisk::read(FileId file, std::uint64_t position, std::size_t count, ReadDone done) {
  const auto id = static_cast<std::uint32_t>(file);
  ZABMQ_CHECK(open_.contains(id));
  submit(reader_, [this, id, position, count, done = std::move(done)] {
    if (IoStatus status = fault(Operation::read, id); !status) {
      done(std::move(status), {});
      return true;
    }
    const std::vector<std::byte>& cache = state_.files[id].cache;
    const auto begin = static_cast<std::size_t>(std::min<std::uint64_t>(position, cache.size()));
    const std::size_t size = std::min(count, cache.size() - begin);
    bytes_read_ += size;
    auto bytes = std::make_shared<std::vector<std::byte>>(
        cache.begin() + static_cast<std::ptrdiff_t>(begin),
        cache.begin() + static_cast<std::ptrdiff_t>(begin + size));
    done({}, Slice(bytes, *bytes));
    return true;
  });
}

void MemoryDisk::defer(std::function<void()> call) {
  submit(reader_, [call = std::move(call)] {
    call();
    return true;
  });
}

std::uint64_t MemoryDisk::free_bytes() {
  std::uint64_t used = used_bytes();
  for (const auto& [id, end] : growing_) {
    const auto file = state_.files.find(id);
    const std::uint64_t size = file == state_.files.end() ? 0 : file->second.cache.size();
    used += end - std::min(end, size);
  }
  return capacity_ > used ? capacity_ - used : 0;
}

}  // namespace zabmq::sim
