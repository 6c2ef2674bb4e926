// Replay: runs a target on files that are kept, without libFuzzer: the corpus as a normal test, and
// one input again after it was found. Every file is also run with a few bytes changed, the same
// ones each time, so that a corpus tests more than it holds.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "target.hpp"

namespace {

using zabmq::Bytes;
using Content = std::vector<char>;

constexpr int usage_error = 2;

Content read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  Content content{std::istreambuf_iterator<char>(in), {}};
  if (!in.good() && !in.eof()) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::exit(usage_error);
  }
  return content;
}

// The files named, and those in the directories named, in a fixed order.
std::vector<std::filesystem::path> files_of(int count, char** words) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < count; ++i) {
    if (std::filesystem::is_directory(words[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(words[i])) {
        if (entry.is_regular_file()) files.push_back(entry.path());
      }
    } else {
      files.emplace_back(words[i]);
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void run(const Content& content) {
  zabmq::fuzz::fuzz_one(std::as_bytes(std::span(content)));
}

void change(Content& content, std::mt19937_64& random) {
  if (content.empty()) return;
  const std::size_t at = random() % content.size();
  switch (random() % 4) {
    case 0:
      content[at] = static_cast<char>(random());
      break;
    case 1:
      content[at] = static_cast<char>(content[at] ^ (1 << random() % 8));
      break;
    case 2:
      content.erase(content.begin() + static_cast<std::ptrdiff_t>(at));
      break;
    default:
      content.insert(content.begin() + static_cast<std::ptrdiff_t>(at), content[at]);
  }
}

}  // namespace

int main(int count, char** words) {
  const bool changing = count > 2 && std::string(words[1]) == "--changes";
  const int changes = changing ? std::atoi(words[2]) : 0;
  const auto files = changing ? files_of(count - 2, words + 2) : files_of(count, words);
  if (files.empty()) {
    std::fprintf(stderr, "usage: %s [--changes N] FILE|DIRECTORY...\n", words[0]);
    return usage_error;
  }
  std::mt19937_64 random(files.size());
  std::size_t runs = 0;
  for (const auto& file : files) {
    std::printf("%s\n", file.c_str());  // the last one printed is the one that breaks it
    std::fflush(stdout);
    const Content content = read_file(file);
    Content input = content;
    for (int i = 0; i <= changes; ++i, ++runs) {
      if (i > 0) change(input, random);
      run(input);
      if (i % 4 == 0) input = content;
    }
  }
  std::printf("%zu files, %zu runs\n", files.size(), runs);
  return 0;
}
