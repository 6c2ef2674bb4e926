// RecordBench: what every byte and every message pays on its way, without disk and network.
#include <benchmark/benchmark.h>

#include <array>

#include "samples.hpp"
#include "wire/batch.hpp"

namespace zabmq::bench {

namespace {

constexpr std::uint32_t messages = 100;

void count_bytes(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

void checksum_of_bytes(benchmark::State& state) {
  const Buffer bytes(static_cast<std::size_t>(state.range(0)), std::byte{'x'});
  for (auto _ : state) benchmark::DoNotOptimize(checksum(bytes));
  count_bytes(state, bytes.size());
}
BENCHMARK(checksum_of_bytes)->Arg(128)->Arg(1 << 10)->Arg(1 << 20);

void encode_record_header(benchmark::State& state) {
  const Buffer body = sample_body(messages, 100);
  const RecordHeader header = sample_header({}, body, messages);
  std::array<std::byte, record_header_size> out{};
  for (auto _ : state) benchmark::DoNotOptimize(encode_header(header, out));
}
BENCHMARK(encode_record_header);

void parse_whole_record(benchmark::State& state) {
  const Buffer body = sample_body(messages, static_cast<std::size_t>(state.range(0)));
  Before before;
  const Slice record = sample_record(before, body, messages);
  for (auto _ : state) benchmark::DoNotOptimize(parse_record(record.bytes()));
  count_bytes(state, record.size());
}
BENCHMARK(parse_whole_record)->Arg(100)->Arg(1 << 10);

void append_messages(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const Buffer payload(size, std::byte{'x'});
  Buffer body;
  for (auto _ : state) {
    body.clear();
    for (std::uint32_t i = 0; i < messages; ++i) {
      wire::append_message(body, {.topic = "bench", .headers = {}, .payload = payload});
    }
    benchmark::DoNotOptimize(body.data());
  }
  state.SetItemsProcessed(messages * state.iterations());
  count_bytes(state, body.size());
}
BENCHMARK(append_messages)->Arg(100)->Arg(1 << 10);

void validate_batch(benchmark::State& state) {
  const Buffer body = sample_body(messages, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(wire::valid_batch(body, messages, {}));
  state.SetItemsProcessed(messages * state.iterations());
}
BENCHMARK(validate_batch)->Arg(100)->Arg(1 << 10);

}  // namespace

}  // namespace zabmq::bench

BENCHMARK_MAIN();
