// Arguments: flags, their checks, and the text of --help.
#include "arguments.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace zabmq::broker {
namespace {

constexpr const char* description =
    "zabmqd: one server of a zabmq cluster: ordered, replicated, durable messages.";

using Values = std::vector<std::string>;

// As given. Conversion and every check are ours, so that each complaint names flag and value.
struct Flags {
  Values id;
  Values servers;
  Values data_dir;
  Values settings;
  Values config_file;
  bool has_config_file = false;
  bool insecure = false;
  Values unknown;
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

CLI::Option* declare_value(CLI::App& app, const std::string& flag, Values& values,
                           const std::string& meaning) {
  return app.add_option(flag, values, meaning)
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void declare(CLI::App& app, Flags& flags) {
  app.allow_extras();
  app.set_version_flag("--version", std::string("zabmqd ") + ZABMQ_VERSION);
  declare_value(app, "--id", flags.id, "this server's number, one of --servers")->type_name("N");
  declare_value(app, "--servers", flags.servers,
                "all voters of the cluster, separated by commas; the same on each server")
      ->type_name("ID=HOST:PEERPORT:CLIENTPORT");
  declare_value(app, "--data-dir", flags.data_dir,
                "this server's own directory; created when missing")
      ->type_name("DIR");
  declare_value(app, "--set", flags.settings, "an option; any number of times")
      ->type_name("KEY=VALUE");
  app.add_flag("--insecure-allow-plaintext", flags.insecure,
               "listen on addresses that are not loopback, without encryption");
  app.add_option("--config", flags.config_file)->expected(0, 1)->group("");
  app.footer(examples_and_keys());
}

std::string joined(const Values& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : " ") + value;
  return text;
}

std::optional<node::Problem> find_misuse(const Flags& flags) {
  if (!flags.unknown.empty()) {
    return node::Problem{joined(flags.unknown) + ": unknown argument; zabmqd --help lists all"};
  }
  if (flags.has_config_file) {
    const std::string file = flags.config_file.empty() ? "" : " " + joined(flags.config_file);
    return node::Problem{"--config" + file +
                         ": configuration files are not supported by this version; use --set"};
  }
  for (const auto& [flag, values] : {std::pair<std::string, const Values&>{"--id", flags.id},
                                     {"--servers", flags.servers},
                                     {"--data-dir", flags.data_dir}}) {
    if (values.empty()) return node::Problem{flag + " is missing; zabmqd --help has examples"};
    if (values.size() > 1) return node::Problem{flag + " " + joined(values) + ": given twice"};
    if (values.front().empty()) return node::Problem{flag + " '': must not be empty"};
  }
  return std::nullopt;
}

std::optional<ServerId> parse_id(const std::string& text) {
  std::uint32_t id = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, id);
  if (error != std::errc{} || rest != end || id == 0) return std::nullopt;
  return ServerId{id};
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
  if (auto problem = find_misuse(flags)) return *problem;
  node::NodeConfig config;
  config.data_dir = flags.data_dir.front();
  for (const std::string& setting : flags.settings) {
    if (auto problem = config.options.set(setting)) return *problem;
  }
  if (auto problem = config.options.check()) return *problem;

  auto servers = node::ServerList::parse(flags.servers.front());
  if (auto* problem = std::get_if<node::Problem>(&servers)) return *problem;
  config.servers = std::get<node::ServerList>(std::move(servers));
  const auto id = parse_id(flags.id.front());
  if (!id) return node::Problem{"--id " + flags.id.front() + ": must be a number from 1"};
  config.self = *id;
  if (config.servers.find(config.self) == nullptr) {
    return node::Problem{"--id " + flags.id.front() + ": not in --servers " +
                         flags.servers.front()};
  }
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
    flags.unknown = app.remaining();
    flags.has_config_file = app.count("--config") > 0;
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
