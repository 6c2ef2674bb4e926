// Snapshot writer: the steps, one after the other.
#include "storage/snapshot_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "storage/snapshot.hpp"
#include "zabmq/check.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t chunk_bytes = 1 << 20;

}  // namespace

// Each step begins when the one before has succeeded; the first error ends it all.
template <class Next>
FileSystem::Done SnapshotWriter::then(Next next) {
  return [this, next, alive = std::weak_ptr<int>(alive_)](const IoStatus& status) {
    if (alive.expired()) return;
    if (status) {
      next();
    } else {
      end(status);
    }
  };
}

void SnapshotWriter::write(Slice bytes, std::string name, Done done, std::function<void()> step) {
  ZABMQ_CHECK(!writing() && done && step && !bytes.empty());
  bytes_ = std::move(bytes);
  name_ = std::move(name);
  done_ = std::move(done);
  step_ = std::move(step);
  position_ = 0;
  file_ = fs_.create(snapshot_tmp_name, then([this] { write_chunk(); }));
}

void SnapshotWriter::write_chunk() {
  const std::size_t count = std::min(chunk_bytes, bytes_.size() - position_);
  fs_.write(file_, position_, {bytes_.sub(position_, count)}, true,
            then([this, count] { on_chunk(count); }));
}

void SnapshotWriter::on_chunk(std::size_t count) {
  position_ += count;
  step_();
  if (position_ < bytes_.size()) return write_chunk();
  position_ = 0;
  read_chunk();
}

void SnapshotWriter::read_chunk() {
  fs_.read(file_, position_, std::min(chunk_bytes, bytes_.size() - position_),
           [this, alive = std::weak_ptr<int>(alive_)](const IoStatus& status, const Slice& chunk) {
             if (!alive.expired()) on_read(status, chunk);
           });
}

void SnapshotWriter::on_read(const IoStatus& status, const Slice& chunk) {
  if (!status) return end(status);
  const Bytes written = bytes_.bytes().subspan(position_);
  const Bytes there = chunk.bytes();
  if (there.empty() || there.size() > written.size() ||
      !std::equal(there.begin(), there.end(), written.begin())) {
    return end({EIO, std::string(snapshot_tmp_name) + ": what was written is not what is read"});
  }
  position_ += there.size();
  step_();
  if (position_ < bytes_.size()) return read_chunk();
  rename();
}

void SnapshotWriter::rename() {
  fs_.close(std::exchange(file_, FileId::none));
  fs_.rename(snapshot_tmp_name, name_,
             then([this] { fs_.sync_directory(then([this] { end({}); })); }));
}

void SnapshotWriter::end(const IoStatus& status) {
  bytes_ = {};
  if (file_ != FileId::none) fs_.close(std::exchange(file_, FileId::none));
  if (!status) fs_.remove(snapshot_tmp_name, [](const IoStatus&) {});
  std::exchange(done_, nullptr)(status);
}

}  // namespace zabmq::storage
