// DataDirectory: one server's directory: lock, identity, and the log.
//
// The log of an empty directory has no ids yet; they come with the first stored identity that names
// a cluster (belong_to), before anything can be appended.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "node/node_config.hpp"
#include "node/problem.hpp"
#include "replica/replica.hpp"
#include "storage/identity_file.hpp"
#include "storage/posix_file_system.hpp"
#include "storage/segmented_log.hpp"

namespace zabmq::node {

// What the directory held, and what a person should know of it.
struct Recovery {
  replica::Recovered state;
  std::vector<std::string> notes;
};

class DataDirectory {
 public:
  // The text of an error; nullopt: durable.
  using Stored = std::function<void(const std::optional<std::string>& failure)>;

  // Locks the directory and knows whose it is; the problem names the directory and both values.
  static std::variant<std::unique_ptr<DataDirectory>, Problem> open(const NodeConfig& config);
  // Reads the log and makes all of it durable again. Blocks; once, before anything else below.
  std::variant<Recovery, Problem> recover();

  storage::SegmentedLog& log() { return *log_; }
  void store(const zab::Identity& identity, Stored stored);
  // The durable identity is this one. True: it is of a cluster that was not known before.
  bool belong_to(const zab::Identity& identity);

  int completion_fd() const { return files_.completion_fd(); }
  void run_completions() { files_.run_completions(); }
  void wait_for_completions(long timeout_ms);

  Problem problem(const std::string& text) const;  // with the directory's name in front

 private:
  explicit DataDirectory(const NodeConfig& config);

  std::optional<Problem> load_identity();
  std::optional<Problem> wait_until_durable();
  storage::LogOptions log_options() const;
  Problem problem(const storage::StartFailure& failure) const;

  std::string name_;
  ServerId self_;
  std::string voters_;
  Options options_;
  storage::PosixFileSystem files_;
  storage::IdentityFile identity_file_;
  zab::Identity identity_;  // durable, but for an empty directory's incarnation
  std::unique_ptr<storage::SegmentedLog> log_;
};

}  // namespace zabmq::node
