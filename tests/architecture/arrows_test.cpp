// Arrows test: every #include in the tree keeps the arrows of docs/architecture.md.
#include "arrows.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace zabmq::architecture {
namespace {

std::vector<std::string> judged(const std::string& path, const std::string& text) {
  return bad_includes(from_text(path, text));
}

TEST_SUITE("architecture/arrows") {
  TEST_CASE("arrows: every source file -> includes only what its layer may") {
    std::vector<std::string> bad;
    for (const SourceFile& file : cpp_sources()) {
      const auto wrong = bad_includes(file);
      bad.insert(bad.end(), wrong.begin(), wrong.end());
    }
    INFO(joined(bad));
    CHECK(bad.empty());
  }

  TEST_CASE("arrows: the tree -> every layer has files, so the check reads what it should") {
    std::set<std::string> layers;
    for (const SourceFile& file : cpp_sources()) layers.insert(layer_of(file.path));

    for (const std::string layer :
         {"types", "api", "zab", "storage", "wire", "net", "replica", "client", "node", "sim",
          "broker", "cli", "conformance", "examples", "bench", "tests"}) {
      CAPTURE(layer);
      CHECK(layers.contains(layer));
    }
    CHECK_FALSE(layers.contains(""));
  }

  TEST_CASE("arrows: an include against an arrow -> reported with file and line") {
    const auto bad = judged("lib/zab/core.cpp", "// Core: x.\n#include \"storage/mark.hpp\"\n");

    REQUIRE(bad.size() == 1);
    CHECK(bad.front() == "lib/zab/core.cpp:2: storage/mark.hpp: zab may not include storage");
  }

  TEST_CASE("arrows: planted violations -> each is reported") {
    const struct {
      std::string path;
      std::string include;
    } planted[] = {
        {"lib/zab/core.cpp", "#include <thread>"},
        {"lib/zab/core.cpp", "#include <chrono>"},
        {"lib/zab/core.cpp", "#include <unordered_map>"},
        {"lib/zab/core.cpp", "#include <unistd.h>"},
        {"lib/zab/core.cpp", "#  include <iostream>"},
        {"lib/zab/core.cpp", "#include \"zabmq/publisher.hpp\""},
        {"lib/zab/core.cpp", "#include \"net/peer_links.hpp\""},
        {"lib/storage/segmented_log.cpp", "#include \"zab/history.hpp\""},
        {"lib/storage/segmented_log.cpp", "#include <sys/uio.h>"},
        {"lib/wire/batch.cpp", "#include \"net/peer_links.hpp\""},
        {"lib/wire/batch.cpp", "#include <zmq.h>"},
        {"lib/net/session.cpp", "#include <zmq.hpp>"},
        {"lib/net/session.cpp", "#include <random>"},
        {"lib/replica/perform.cpp", "#include \"storage/segmented_log.hpp\""},
        {"lib/replica/perform.cpp", "#include <mutex>"},
        {"lib/replica/perform.cpp", "#include <msgpack.hpp>"},
        {"lib/client/publisher.cpp", "#include \"zab/message.hpp\""},
        {"lib/client/publisher.cpp", "#include \"storage/file_system.hpp\""},
        {"lib/client/publisher.cpp", "#include \"replica/replica.hpp\""},
        {"lib/client/publisher_session.cpp", "#include <thread>"},
        {"lib/include/zabmq/client.hpp", "#include <zmq.hpp>"},
        {"lib/include/zabmq/client.hpp", "#include <sys/socket.h>"},
        {"lib/include/zabmq/types.hpp", "#include \"zabmq/publisher.hpp\""},
        {"lib/node/node.cpp", "#include <spdlog/spdlog.h>"},
        {"lib/sim/memory_disk.cpp", "#include \"node/node.hpp\""},
        {"broker/main.cpp", "#include \"storage/segmented_log.hpp\""},
        {"broker/cli/pub.cpp", "#include \"node/node.hpp\""},
        {"broker/cli/pub.cpp", "#include <zmq.hpp>"},
        {"broker/cli/conformance/frame.cpp", "#include \"wire/client_frame.hpp\""},
        {"examples/publish.cpp", "#include \"wire/batch.hpp\""},
        {"attic/old.cpp", "#include <vector>"},
    };
    for (const auto& [path, include] : planted) {
      CAPTURE(path);
      CAPTURE(include);
      CHECK_FALSE(judged(path, include).empty());
    }
  }

  TEST_CASE("arrows: includes along the arrows -> nothing to report") {
    const struct {
      std::string path;
      std::string include;
    } allowed[] = {
        {"lib/zab/core.cpp", "#include <algorithm>"},
        {"lib/zab/core.cpp", "#include \"zabmq/check.hpp\""},
        {"lib/storage/posix_file_system.cpp", "#include <sys/uio.h>"},
        {"lib/storage/posix_file_system.cpp", "#include <thread>"},
        {"lib/net/zmq_peer_links.cpp", "#include <zmq.hpp>"},
        {"lib/wire/zmq_inbox.hpp", "#include <zmq.h>"},
        {"lib/replica/replica.hpp", "#include \"storage/history_log.hpp\""},
        {"lib/wire/client_frame.cpp", "#include <msgpack.hpp>"},
        {"lib/include/zabmq/client.hpp", "#include <chrono>"},
        {"broker/main.cpp", "#include <spdlog/spdlog.h>"},
        {"broker/cli/conformance/connection.cpp", "#include <zmq.hpp>"},
        {"tests/zab/core_test.cpp", "#include <thread>"},
    };
    for (const auto& [path, include] : allowed) {
      CAPTURE(path);
      CAPTURE(include);
      CHECK(judged(path, include).empty());
    }
  }
}

}  // namespace
}  // namespace zabmq::architecture
