// Arguments: flags, their checks, and the text of --help.
#include "arguments.hpp"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <vector>

namespace zabmq::broker {
namespace {

constexpr const char* description =
    "zabmqd: one server of a zabmq cluster: ordered, replicated, durable messages.";

struct Flags {
  std::uint32_t id = 0;
  std::string servers;
  std::string data_dir;
  std::vector<std::string> settings;
  std::string config_file;
  bool insecure = false;
};

std::string examples_and_keys() {
  std::string text =
      "Examples:\n"
      "  A cluster of one, for a first try:\n"
      "    zabmqd --id 1 --servers 1=127.0.0.1:9570:9470 --data-dir /var/lib/zabmq/1\n"
      "  Server 2 of a cluster of three (the same --servers on each):\n"
      "    zabmqd --id 2 --data-dir /var/lib/zabmq/2 \\\n"
      "      --servers 1=127.0.0.1:9570:9470,2=127.0.0.1:9580:9480,3=127.0.0.1:9590:9490\n"
      "  With other limits:\n"
      "    zabmqd ... --set limits.max_payload=256KiB --set timing.peer_timeout=2s\n"
      "\nKeys of --set (defaults in parentheses):\n";
  for (const node::OptionKey& key : node::option_keys()) {
    std::string name = "  " + std::string(key.key);
    name.resize(std::max<std::size_t>(name.size() + 1, 30), ' ');
    text += name + std::string(key.meaning) + " (" + std::string(key.default_value) + ")\n";
  }
  return text;
}

void declare(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", std::string("zabmqd ") + ZABMQ_VERSION);
  app.add_option("--id", flags.id, "this server's number, one of --servers")->required();
  app.add_option("--servers", flags.servers,
                 "all voters of the cluster: ID=HOST:PEERPORT:CLIENTPORT,...")
      ->required();
  app.add_option("--data-dir", flags.data_dir, "this server's own directory; created when missing")
      ->required();
  app.add_option("--set", flags.settings, "KEY=VALUE, any number of times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--insecure-allow-plaintext", flags.insecure,
               "listen on addresses that are not loopback, without encryption");
  app.add_option("--config", flags.config_file)->group("");  // refused below, not by CLI11
  app.footer(examples_and_keys());
}

std::optional<node::Problem> find_plaintext(const node::ServerList& servers) {
  for (const node::Server& server : servers.all()) {
    if (server.is_loopback()) continue;
    return node::Problem{"--servers " + to_string(server.id) + "=" + server.host +
                         ": not a loopback address, and links are not encrypted; "
                         "--insecure-allow-plaintext accepts that"};
  }
  return std::nullopt;
}

std::variant<node::NodeConfig, Information, node::Problem> config_from(const Flags& flags) {
  if (!flags.config_file.empty()) {
    return node::Problem{"--config " + flags.config_file +
                         ": configuration files are not supported by this version; use --set"};
  }
  node::NodeConfig config;
  config.self = ServerId{flags.id};
  config.data_dir = flags.data_dir;
  for (const std::string& setting : flags.settings) {
    if (auto problem = config.options.set(setting)) return *problem;
  }
  if (auto problem = config.options.check()) return *problem;

  auto servers = node::ServerList::parse(flags.servers);
  if (auto* problem = std::get_if<node::Problem>(&servers)) return *problem;
  config.servers = std::get<node::ServerList>(std::move(servers));
  if (config.servers.find(config.self) == nullptr) {
    return node::Problem{"--id " + to_string(config.self) + ": not in --servers " + flags.servers};
  }
  if (flags.data_dir.empty()) return node::Problem{"--data-dir '': must not be empty"};
  if (!flags.insecure) {
    if (auto problem = find_plaintext(config.servers)) return *problem;
  }
  return config;
}

}  // namespace

std::variant<node::NodeConfig, Information, node::Problem> parse_arguments(int argc, char** argv) {
  CLI::App app(description, "zabmqd");
  Flags flags;
  declare(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Information{app.help()};
  } catch (const CLI::CallForVersion& version) {
    return Information{std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    return node::Problem{error.what()};
  }
  return config_from(flags);
}

}  // namespace zabmq::broker
