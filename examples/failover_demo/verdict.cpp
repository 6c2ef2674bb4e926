// Verdict: the comparisons.
#include "failover_demo/verdict.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

#include "zabmq/check.hpp"

namespace zabmq::demo {

namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    ZABMQ_CHECK(context_ != nullptr);
    ZABMQ_CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }

  void add(std::string_view bytes) {
    ZABMQ_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }

  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    ZABMQ_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1);
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      text += digits[digest[i] >> 4];
      text += digits[digest[i] & 15];
    }
    return text;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

void count_steps(const Deliveries& deliveries, Offset after, Verdict& verdict) {
  Offset last = after;
  for (const Delivery& delivery : deliveries) {
    if (delivery.offset <= last) {
      ++verdict.duplicates;
    } else {
      verdict.gaps += delivery.offset - last - 1;
      last = delivery.offset;
    }
  }
}

bool equals(const Deliveries& deliveries, const Lines& lines) {
  return std::equal(
      deliveries.begin(), deliveries.end(), lines.begin(), lines.end(),
      [](const Delivery& delivery, std::string_view line) { return delivery.payload == line; });
}

bool has(const Deliveries& deliveries, const Receipt& receipt, std::string_view line) {
  const auto at = std::lower_bound(
      deliveries.begin(), deliveries.end(), receipt.offset,
      [](const Delivery& delivery, Offset offset) { return delivery.offset < offset; });
  return at != deliveries.end() && at->offset == receipt.offset && at->zxid == receipt.zxid &&
         at->payload == line;
}

// Looks receipts up by offset, whatever the order of arrival was.
std::vector<Deliveries> sorted_by_offset(const std::vector<Deliveries>& subscribers) {
  std::vector<Deliveries> sorted = subscribers;
  for (Deliveries& deliveries : sorted) {
    std::stable_sort(deliveries.begin(), deliveries.end(),
                     [](const Delivery& a, const Delivery& b) { return a.offset < b.offset; });
  }
  return sorted;
}

}  // namespace

Verdict judge(const std::vector<Deliveries>& subscribers, const Lines& lines,
              const std::vector<Receipt>& receipts, Offset after) {
  ZABMQ_CHECK(!subscribers.empty() && receipts.size() <= lines.size());
  Verdict verdict;
  for (const Deliveries& deliveries : subscribers) {
    verdict.same_order = verdict.same_order && deliveries == subscribers.front();
    verdict.equal_to_file = verdict.equal_to_file && equals(deliveries, lines);
    count_steps(deliveries, after, verdict);
  }
  const std::vector<Deliveries> sorted = sorted_by_offset(subscribers);
  verdict.acknowledged = receipts.size();
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    const bool everywhere = std::all_of(
        sorted.begin(), sorted.end(),
        [&](const Deliveries& deliveries) { return has(deliveries, receipts[i], lines[i]); });
    if (!everywhere) ++verdict.lost;
  }
  return verdict;
}

std::string sha256_of(const Deliveries& deliveries, bool final_newline) {
  Sha256 sha;
  for (std::size_t i = 0; i < deliveries.size(); ++i) {
    sha.add(deliveries[i].payload);
    if (final_newline || i + 1 < deliveries.size()) sha.add("\n");
  }
  return sha.hex();
}

std::string sha256_of(std::string_view bytes) {
  Sha256 sha;
  sha.add(bytes);
  return sha.hex();
}

Lines split_lines(std::string_view file) {
  Lines lines;
  while (!file.empty()) {
    const std::size_t newline = file.find('\n');
    lines.push_back(file.substr(0, newline));
    file.remove_prefix(newline == std::string_view::npos ? file.size() : newline + 1);
  }
  return lines;
}

}  // namespace zabmq::demo
