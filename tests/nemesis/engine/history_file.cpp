// History file: events as bytes, and many files as one history.
#include "nemesis/engine/history_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <queue>
#include <span>
#include <stdexcept>

#include "zabmq/record.hpp"

namespace zabmq::nemesis {

namespace {

using Kind = sim::HistoryEvent::Kind;

constexpr std::array<char, 8> magic{'Z', 'B', 'H', 'I', 'S', 'T', '0', '2'};
constexpr std::size_t block_size = 64 * 1024;
constexpr std::size_t block_max = 1024 * 1024;

struct BlockHeader {
  std::uint64_t size = 0;
  std::uint64_t checksum = 0;
};

std::uint64_t checksum_of(const std::string& bytes) {
  return static_cast<std::uint64_t>(checksum(std::as_bytes(std::span(bytes))));
}

void put_number(std::string& out, std::uint64_t n) {
  for (; n >= 0x80; n >>= 7) out += static_cast<char>((n & 0x7f) | 0x80);
  out += static_cast<char>(n);
}

void put_word(std::string& out, std::uint64_t n) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>((n >> (8 * i)) & 0xff);
}

void put_text(std::string& out, const std::string& text) {
  put_number(out, text.size());
  out += text;
}

void put_zxid(std::string& out, Zxid zxid) {
  put_number(out, static_cast<std::uint32_t>(zxid.epoch));
  put_number(out, zxid.counter);
}

// Every kind has the same fields; most are zero, which takes one byte.
void encode(std::string& out, const RecordedEvent& event) {
  put_number(out, static_cast<std::uint32_t>(event.publisher));
  put_number(out, event.sequence);
  put_number(out, event.ticket);
  put_number(out, static_cast<std::uint64_t>(event.subscription));
  put_number(out, static_cast<std::uint32_t>(event.server));
  put_number(out, event.offset);
  put_number(out, event.first);
  put_zxid(out, event.zxid);
  put_word(out, event.payload_hash);
  put_text(out, event.topic);
  put_number(out, event.topics.size());
  for (const std::string& topic : event.topics) put_text(out, topic);
}

}  // namespace

HistoryWriter::HistoryWriter(const std::filesystem::path& path)
    : path_(path), file_(path, std::ios::binary | std::ios::trunc) {
  file_.write(magic.data(), magic.size());
}

HistoryWriter::~HistoryWriter() {
  try {
    close();
  } catch (const std::exception&) {  // the reader will find the end missing
  }
}

void HistoryWriter::add(const RecordedEvent& event) {
  block_ += static_cast<char>(event.kind);
  const std::uint64_t time = std::max(event.time, time_);
  put_number(block_, time - time_);
  time_ = time;
  encode(block_, event);
  if (block_.size() >= block_size) write_block();
}

void HistoryWriter::write_block() {
  const BlockHeader header{block_.size(), checksum_of(block_)};
  file_.write(reinterpret_cast<const char*>(&header), sizeof header);
  file_.write(block_.data(), static_cast<std::streamsize>(block_.size()));
  block_.clear();
}

void HistoryWriter::close() {
  if (closed_) return;
  closed_ = true;
  if (!block_.empty()) write_block();
  write_block();  // empty: the end
  file_.close();
  if (!file_) throw std::runtime_error(path_.string() + ": could not be written");
}

HistoryReader::HistoryReader(const std::filesystem::path& path)
    : path_(path), file_(path, std::ios::binary) {
  std::array<char, magic.size()> found{};
  file_.read(found.data(), found.size());
  if (!file_ || found != magic) fail("is not a history");
}

void HistoryReader::fail(const std::string& what) const {
  throw std::runtime_error(path_.string() + ": " + what);
}

bool HistoryReader::read_block() {
  BlockHeader header;
  file_.read(reinterpret_cast<char*>(&header), sizeof header);
  if (!file_ || header.size > block_max) fail("was cut, or is damaged");
  block_.resize(header.size);
  at_ = 0;
  file_.read(block_.data(), static_cast<std::streamsize>(block_.size()));
  if (!file_ || checksum_of(block_) != header.checksum) fail("was cut, or is damaged");
  if (!block_.empty()) return true;
  if (file_.peek() != std::ifstream::traits_type::eof()) fail("goes on behind its end");
  return false;
}

std::uint64_t HistoryReader::number() {
  std::uint64_t n = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (at_ == block_.size()) break;
    const auto byte = static_cast<unsigned char>(block_[at_++]);
    n |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return n;
  }
  fail("holds an event that is none");
}

std::uint64_t HistoryReader::word() {
  if (block_.size() - at_ < 8) fail("holds an event that is none");
  std::uint64_t n = 0;
  for (unsigned i = 0; i < 8; ++i) {
    n |= static_cast<std::uint64_t>(static_cast<unsigned char>(block_[at_++])) << (8 * i);
  }
  return n;
}

std::string HistoryReader::text() {
  const std::uint64_t size = number();
  if (size > block_.size() - at_) fail("holds an event that is none");
  at_ += size;
  return block_.substr(at_ - size, size);
}

RecordedEvent HistoryReader::decode() {
  RecordedEvent event;
  event.kind = static_cast<Kind>(block_[at_++]);
  if (event.kind < Kind::invoke || event.kind > Kind::drain) fail("holds an event that is none");
  time_ += number();
  event.time = time_;
  event.publisher = sim::PublisherKey{static_cast<std::uint32_t>(number())};
  event.sequence = number();
  event.ticket = number();
  event.subscription = sim::SubscriptionKey{number()};
  event.server = ServerId{static_cast<std::uint32_t>(number())};
  event.offset = number();
  event.first = number();
  event.zxid.epoch = Epoch{static_cast<std::uint32_t>(number())};
  event.zxid.counter = number();
  event.payload_hash = word();
  event.topic = text();
  const std::uint64_t topics = number();
  for (std::uint64_t i = 0; i < topics; ++i) event.topics.push_back(text());
  return event;
}

std::optional<RecordedEvent> HistoryReader::next() {
  if (at_ == block_.size() && !read_block()) return std::nullopt;
  return decode();
}

// --- many files ---

namespace {

struct Head {
  RecordedEvent event;
  std::size_t file = 0;
  bool operator>(const Head& other) const {
    return event.time != other.event.time ? event.time > other.event.time : file > other.file;
  }
};

// By publisher and ticket; 0: that ticket was never used.
class Tickets {
 public:
  void take(const RecordedEvent& invocation) {
    std::vector<Sequence>& sequences = by_publisher_[invocation.publisher];
    if (invocation.ticket >= sequences.size()) sequences.resize(invocation.ticket + 1);
    sequences[invocation.ticket] = invocation.sequence;
  }
  Sequence sequence_of(const RecordedEvent& delivery) const {
    const auto found = by_publisher_.find(delivery.publisher);
    const bool used = found != by_publisher_.end() && delivery.ticket < found->second.size();
    return used ? found->second[delivery.ticket] : 0;
  }

 private:
  std::map<sim::PublisherKey, std::vector<Sequence>> by_publisher_;
};

}  // namespace

void merge(const std::vector<std::filesystem::path>& files,
           const std::function<void(const sim::HistoryEvent&)>& take) {
  std::vector<HistoryReader> readers;
  std::priority_queue<Head, std::vector<Head>, std::greater<>> heads;
  const auto advance = [&](std::size_t file) {
    if (auto event = readers[file].next()) heads.push({std::move(*event), file});
  };
  for (const std::filesystem::path& file : files) readers.emplace_back(file);
  for (std::size_t file = 0; file < files.size(); ++file) advance(file);
  Tickets tickets;
  while (!heads.empty()) {
    Head head = heads.top();
    heads.pop();
    if (head.event.kind == Kind::invoke) tickets.take(head.event);
    if (head.event.kind == Kind::deliver) head.event.sequence = tickets.sequence_of(head.event);
    take(head.event);
    advance(head.file);
  }
}

Judgement judge(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  std::filesystem::directory_iterator it(directory, error);
  for (const std::filesystem::directory_iterator end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == history_suffix) files.push_back(it->path());
  }
  if (error) throw std::runtime_error(directory.string() + ": " + error.message());
  if (files.empty()) throw std::runtime_error(directory.string() + ": holds no history");
  std::sort(files.begin(), files.end());
  Judgement judgement;
  judgement.files = files.size();
  std::vector<sim::HistoryChecker::Drain> drains;
  merge(files, [&](const sim::HistoryEvent& event) {
    ++judgement.events;
    sim::tell(judgement.checker, event);
    if (event.kind == Kind::drain) drains.push_back(sim::drain_of(event));
  });
  if (drains.empty()) throw std::runtime_error(directory.string() + ": has no final drain");
  judgement.checker.finish(drains);
  return judgement;
}

}  // namespace zabmq::nemesis
