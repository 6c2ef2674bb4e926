// Arrows: the table of layers and what each may include.
#include "arrows.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace zabmq::architecture {
namespace {

using Names = std::set<std::string, std::less<>>;

struct Include {
  std::string name;
  bool angled = false;
};

struct Rules {
  Names layers;         // of which project headers may come
  Names libraries;      // third-party
  bool system = false;  // POSIX headers
  bool outer = false;   // threads, clocks, randomness, streams of the standard library
};

// Headers of lib/include that every layer shares; the others are the client API.
const Names shared_headers = {"zabmq/check.hpp",  "zabmq/mutant.hpp", "zabmq/mutant_catalogue.hpp",
                              "zabmq/record.hpp", "zabmq/result.hpp", "zabmq/slice.hpp",
                              "zabmq/types.hpp"};

// lib/replica works against interfaces: of storage and net it sees only these.
const Names replica_interfaces = {"storage/history_log.hpp", "storage/snapshot.hpp",
                                  "net/peer_links.hpp"};

const Names core_standard = {"algorithm", "array",   "bit",         "compare",  "cstddef",
                             "cstdint",   "deque",   "functional",  "iterator", "limits",
                             "map",       "memory",  "numeric",     "optional", "set",
                             "span",      "string",  "string_view", "tuple",    "type_traits",
                             "utility",   "variant", "vector"};

// Standard headers that mean a thread, a clock, randomness or a stream.
const Names outer_standard = {
    "atomic",     "barrier",   "chrono",       "condition_variable", "csignal", "ctime",
    "filesystem", "fstream",   "future",       "iostream",           "latch",   "mutex",
    "random",     "semaphore", "shared_mutex", "stop_token",         "thread"};

const std::map<std::string, Names, std::less<>> library_prefixes = {
    {"zmq", {"zmq"}},          {"msgpack", {"msgpack"}},      {"spdlog", {"spdlog", "fmt/"}},
    {"CLI11", {"CLI/"}},       {"json", {"nlohmann/"}},       {"xxhash", {"xxhash", "xxh3"}},
    {"openssl", {"openssl/"}}, {"benchmark", {"benchmark/"}}, {"doctest", {"doctest/"}}};

const std::map<std::string, Rules, std::less<>>& table() {
  static const std::map<std::string, Rules, std::less<>> rules = {
      {"types", {{"types"}, {"xxhash"}}},
      {"api", {{"types", "api"}, {}, false, true}},
      {"zab", {{"types", "zab"}, {}}},
      {"storage", {{"types", "storage"}, {}}},
      {"wire", {{"types", "wire"}, {"msgpack"}}},
      {"net", {{"types", "net", "zab", "wire"}, {"msgpack"}}},
      {"replica", {{"types", "replica", "zab", "wire"}, {}}},
      {"client", {{"types", "api", "client", "wire"}, {}}},
      {"sim", {{"types", "api", "zab", "storage", "wire", "net", "replica", "client", "sim"}, {}}},
      {"node",
       {{"types", "node", "zab", "replica", "storage", "net", "wire"}, {"zmq"}, true, true}},
      {"broker", {{"types", "node", "broker"}, {"spdlog", "CLI11"}, true, true}},
      {"cli",
       {{"types", "api", "client", "storage", "cli"}, {"spdlog", "CLI11", "json"}, true, true}},
      {"conformance", {{"types", "api", "cli"}, {"zmq", "json"}, true, true}},
      {"examples", {{"types", "api", "cli", "examples"}, {"CLI11", "json", "openssl"}, true, true}},
      {"bench",
       {{"types", "api", "zab", "storage", "wire", "net", "replica", "client", "sim", "cli",
         "bench"},
        {"CLI11", "json", "benchmark", "zmq"},
        true,
        true}}};
  return rules;
}

// The outermost files of layers that are pure otherwise: only they see sockets, threads and disks.
// Their names say so.
bool is_outermost(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return starts_with_any(name, {"posix_", "zmq_"}) &&
         starts_with_any(path, {"lib/storage/", "lib/wire/", "lib/net/", "lib/client/"});
}

std::optional<Include> include_of(std::string_view line) {
  const std::size_t hash = line.find_first_not_of(' ');
  if (hash == line.npos || line[hash] != '#') return std::nullopt;
  const std::size_t word = line.find("include", hash);
  if (word == line.npos) return std::nullopt;
  const std::size_t open = line.find_first_of("<\"", word);
  if (open == line.npos) return std::nullopt;
  const bool angled = line[open] == '<';
  const std::size_t close = line.find(angled ? '>' : '"', open + 1);
  if (close == line.npos) return std::nullopt;
  return Include{std::string(line.substr(open + 1, close - open - 1)), angled};
}

// Headers of C and C++ without a dot or a slash are the standard library's.
bool is_standard(std::string_view name) {
  return name.find_first_of("./") == name.npos;
}

std::string library_of(std::string_view name) {
  for (const auto& [library, prefixes] : library_prefixes) {
    for (const std::string& prefix : prefixes) {
      if (name.starts_with(prefix)) return library;
    }
  }
  return {};
}

std::string layer_of_header(const std::string& from_layer, std::string_view name) {
  if (name.starts_with("zabmq/")) return shared_headers.contains(name) ? "types" : "api";
  const std::string folder(name.substr(0, name.find('/')));
  if (folder != name && table().contains(folder)) return folder;
  return from_layer;  // a header beside the including file
}

Rules rules_of(const SourceFile& file, const std::string& layer) {
  Rules rules = table().at(layer);
  if (is_outermost(file.path)) rules.system = rules.outer = true;
  if (is_outermost(file.path) && layer != "storage") rules.libraries.insert("zmq");
  return rules;
}

std::string wrong_with_quoted(const std::string& layer, const Rules& rules,
                              const std::string& name) {
  const std::string target = layer_of_header(layer, name);
  if (layer == "replica" && replica_interfaces.contains(name)) return {};
  if (rules.layers.contains(target)) return {};
  return layer + " may not include " + target;
}

std::string wrong_with_angled(const SourceFile& file, const std::string& layer, const Rules& rules,
                              const std::string& name) {
  if (is_standard(name)) {
    if (layer == "zab" && !core_standard.contains(name)) return "lib/zab is a pure function";
    if (outer_standard.contains(name) && !rules.outer)
      return "only the outermost files have threads, clocks, randomness and streams";
    return {};
  }
  if (file.path.starts_with("lib/include/zabmq/")) return "public headers include std only";
  const std::string library = library_of(name);
  if (library.empty()) {
    return rules.system ? "" : "only the outermost files may see the operating system";
  }
  return rules.libraries.contains(library) ? "" : layer + " may not include " + library;
}

}  // namespace

std::string layer_of(std::string_view path) {
  if (path.starts_with("lib/include/zabmq/"))
    return shared_headers.contains(path.substr(std::string_view("lib/include/").size())) ? "types"
                                                                                         : "api";
  if (path.starts_with("lib/include/")) return "types";
  if (path.starts_with("broker/cli/conformance/")) return "conformance";
  if (path.starts_with("broker/cli/")) return "cli";
  if (path.starts_with("lib/")) path.remove_prefix(4);
  std::string folder(path.substr(0, path.find('/')));
  return folder == "tests" || table().contains(folder) ? folder : std::string();
}

std::vector<std::string> bad_includes(const SourceFile& file) {
  const std::string layer = layer_of(file.path);
  if (layer == "tests") return {};
  if (layer.empty()) return {file.path + ": belongs to no layer"};
  const Rules rules = rules_of(file, layer);
  std::vector<std::string> bad;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const auto include = include_of(file.lines[i]);
    if (!include) continue;
    const std::string wrong = include->angled ? wrong_with_angled(file, layer, rules, include->name)
                                              : wrong_with_quoted(layer, rules, include->name);
    if (wrong.empty()) continue;
    bad.push_back(file.path + ":" + std::to_string(i + 1) + ": " + include->name + ": " + wrong);
  }
  return bad;
}

}  // namespace zabmq::architecture
