// Disk damage: on files of a stopped server, and by the size of a tmpfs.
#include "nemesis/engine/disk_damage.hpp"

#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <vector>

#include "storage/dump.hpp"

namespace zabmq::nemesis {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t newest_segments = 3;
constexpr std::uint64_t header_size = 4096;  // of a segment
constexpr std::uint64_t cut_max = 48 * 1024;
constexpr int fill_attempts = 20;

// Oldest first: their names are their numbers.
std::vector<fs::path> segments_of(const fs::path& data) {
  std::vector<fs::path> segments;
  for (const auto& entry : fs::directory_iterator(data)) {
    if (entry.path().extension() == ".seg") segments.push_back(entry.path());
  }
  std::sort(segments.begin(), segments.end());
  return segments;
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Where the history ends in the newest segment; 0: not known. What stands behind that in a file
// that was a segment before is of no use to anybody.
class End final : public storage::DumpReader {
 public:
  std::uint64_t of(const std::string& file) const { return file_ == file ? end_ : 0; }
  void on_identity(const storage::IdentityFile::Loaded&) override {}
  void on_snapshot(const storage::DumpedSnapshot&) override {}
  void on_segment(const storage::DumpedSegment& segment) override {
    if (!segment.in_chain) return;
    file_ = segment.file;
    end_ = segment.end;
  }
  void on_mark(const storage::Place&, const storage::Mark&) override {}
  void on_record(const storage::Place&, const RecordHeader&) override {}
  void on_damage(const storage::Place&, std::uint64_t, const std::string&) override {}
  void on_other_file(const std::string&, std::uint64_t) override {}

 private:
  std::string file_;
  std::uint64_t end_ = 0;
};

// Files that were never anything else end with zeros.
std::uint64_t written_bytes(const fs::path& data, const fs::path& segment) {
  End end;
  storage::dump_directory(data.string(), end);
  if (const std::uint64_t known = end.of(segment.filename().string()); known > 0) return known;
  return content_of(segment).find_last_not_of('\0') + 1;
}

}  // namespace

std::optional<std::string> truncate_tail(const fs::path& data, std::mt19937_64& random) {
  const std::vector<fs::path> segments = segments_of(data);
  if (segments.empty()) return std::nullopt;
  const fs::path& newest = segments.back();
  const std::uint64_t written = written_bytes(data, newest);
  const std::uint64_t cut = 1 + random() % cut_max;
  const std::uint64_t left = written > header_size + cut ? written - cut : header_size;
  if (left >= written) return std::nullopt;  // a segment that has only begun
  fs::resize_file(newest, left);
  return newest.filename().string() + " cut from " + std::to_string(written) + " to " +
         std::to_string(left) + " bytes";
}

std::optional<std::string> flip_bit(const fs::path& data, std::mt19937_64& random) {
  std::vector<fs::path> files = segments_of(data);
  if (files.size() > newest_segments) {
    files.erase(files.begin(), files.end() - newest_segments);
  }
  for (const auto& entry : fs::directory_iterator(data)) {
    const bool other = entry.is_regular_file() && entry.path().extension() != ".seg" &&
                       !entry.path().filename().string().starts_with("spare-");
    if (other && entry.file_size() > 0) files.push_back(entry.path());
  }
  if (files.empty()) return std::nullopt;
  const fs::path& file = files[random() % files.size()];
  const std::string content = content_of(file);
  const std::uint64_t written = content.find_last_not_of('\0') + 1;
  const std::uint64_t position = random() % std::max<std::uint64_t>(written, 1);
  const char changed = static_cast<char>(content[position] ^ (1 << (random() % 8)));
  std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
  out.seekp(static_cast<std::streamoff>(position));
  out.put(changed);
  if (!out.flush()) return std::nullopt;
  return "a bit of " + file.filename().string() + " flipped at " + std::to_string(position);
}

// --- a small disk ---

bool SmallDisk::available() {
  if (geteuid() != 0) return false;
  std::error_code error;
  const fs::path probe =
      fs::temp_directory_path(error) / ("zabmq-disk-" + std::to_string(getpid()));
  if (!error) fs::create_directory(probe, error);
  if (error) return false;
  const bool mounted = mount("tmpfs", probe.c_str(), "tmpfs", 0, "size=1m") == 0;
  if (mounted) umount2(probe.c_str(), MNT_DETACH);
  fs::remove(probe, error);
  return mounted;
}

SmallDisk::SmallDisk(fs::path directory, std::uint64_t bytes)
    : directory_(std::move(directory)), bytes_(bytes) {
  const std::string size = "size=" + std::to_string(bytes_);
  mounted_ = mount("tmpfs", directory_.c_str(), "tmpfs", 0, size.c_str()) == 0;
}

SmallDisk::~SmallDisk() {
  if (mounted_) umount2(directory_.c_str(), MNT_DETACH);
}

bool SmallDisk::resize(std::uint64_t bytes) {
  const std::string size = "size=" + std::to_string(bytes);
  return mount("tmpfs", directory_.c_str(), "tmpfs", MS_REMOUNT, size.c_str()) == 0;
}

// Somebody may be writing meanwhile: less than what is used is refused.
bool SmallDisk::fill(std::uint64_t left) {
  if (!mounted_) return false;
  for (int attempt = 0; attempt < fill_attempts; ++attempt) {
    struct statvfs space {};
    if (statvfs(directory_.c_str(), &space) != 0) return false;
    const std::uint64_t used = (space.f_blocks - space.f_bfree) * space.f_frsize;
    if (resize(used + left)) return true;
  }
  return false;
}

void SmallDisk::make_room() {
  if (mounted_) resize(bytes_);
}

}  // namespace zabmq::nemesis
