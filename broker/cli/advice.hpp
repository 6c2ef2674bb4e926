// Advice: what a newcomer may have missed, to stand behind what went wrong.
#pragma once

#include <filesystem>
#include <string>

#include "zabmq/admin.hpp"

namespace zabmq::cli {

// Whether all endpoints are those of `zabmq dev`.
bool asks_dev(const ClientOptions& client);

// "; `zabmq dev` starts a cluster there" when nobody answers where it would, else nothing.
std::string advice_without_cluster(const ClientOptions& client, const ClusterStatus& status);

// "; unknown host: NAME" when the name of one of the endpoints cannot be resolved, else nothing.
// Waits at most `patience` for the resolver.
std::string advice_about_hosts(const ClientOptions& client, Millis patience);

// What `directory` is instead of a server's data directory; empty when it looks like one.
std::string data_directory_problem(const std::filesystem::path& directory);

}  // namespace zabmq::cli
