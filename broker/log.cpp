// Log: spdlog on stderr, and the limit per cause.
#include "log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

namespace zabmq::broker {
namespace {

spdlog::level::level_enum to_spdlog(node::LogLevel level) {
  switch (level) {
    case node::LogLevel::debug:
      return spdlog::level::debug;
    case node::LogLevel::info:
      return spdlog::level::info;
    case node::LogLevel::warning:
      return spdlog::level::warn;
    case node::LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::uint64_t now_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

}  // namespace

void start_log(ServerId self, node::LogLevel level) {
  auto logger = spdlog::stderr_color_st("zabmqd");
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e [%^%l%$] zabmqd " + to_string(self) + ": %v");
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void RateLimitedLog::operator()(const node::Notice& notice) {
  if (causes_.size() >= causes_max && !causes_.contains(notice.cause)) causes_.clear();
  Cause& cause = causes_.try_emplace(std::string(notice.cause)).first->second;
  const std::uint64_t left_out = cause.left_out;
  if (!allows(cause)) return;
  const auto level = to_spdlog(notice.level);
  if (left_out == 0) {
    spdlog::log(level, "{}", notice.text);
  } else {
    spdlog::log(level, "{} ({} more of this kind left out)", notice.text, left_out);
  }
}

bool RateLimitedLog::allows(Cause& cause) {
  const std::uint64_t second = now_seconds();
  if (cause.second != second) cause = {.second = second, .left_out = cause.left_out};
  if (cause.lines == lines_per_second) {
    ++cause.left_out;
    return false;
  }
  ++cause.lines;
  cause.left_out = 0;
  return true;
}

}  // namespace zabmq::broker
