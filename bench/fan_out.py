#!/usr/bin/env python3
# fan_out: what subscribers cost the servers, and what stopped ones cost the others.
"""Three servers on loopback, messages of 1 KiB.

replay    20 readers at one follower read the same 64 MiB, nobody publishes: bytes a second together.
cpu       5,000 messages/s: CPU of the leader for each message, without readers and with 20 at
          followers.
stopped   5,000 messages/s to 45 subscribers, without and with 5 more that are stopped (SIGSTOP).

    bench/fan_out.py [replay] [cpu] [stopped] [--seconds 20]
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests/python")]
from join import end_of_leader, say  # noqa: E402
from support import BIN, Cluster  # noqa: E402
from stopped_subscribers import Memory  # noqa: E402

RATE = 5000
TICKS = os.sysconf("SC_CLK_TCK")


def tool(cluster: Cluster, servers, *words) -> list:
    endpoints = ",".join(cluster.endpoint(server) for server in servers)
    return [BIN / "zabmq", *map(str, words), "--endpoints", endpoints]


def measured(cluster: Cluster, servers, *words) -> dict:
    found = subprocess.run(tool(cluster, servers, "bench", *words, "--json"),
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if found.returncode != 0:
        raise SystemExit(f"bench {words[0]} ended with {found.returncode}")
    return json.loads(found.stdout.splitlines()[-1])


def replay(cluster: Cluster, arguments) -> None:
    before = end_of_leader(cluster)
    # As much as a tail cache holds. Groups are as large as this rate makes them.
    duration_ms = 2**16 * 1000 // arguments.fill_rate
    measured(cluster, cluster.ids, "pub", "--size", "1KiB", "--rate", arguments.fill_rate,
             "--window", 16384, "--warmup", 0, "--duration", f"{duration_ms}ms")
    follower = cluster.followers()[0]
    for _ in range(arguments.rounds):
        found = measured(cluster, [follower], "sub", "--readers", 20, "--from", before + 1,
                         "--duration", "60s")
        say(f"replay: 20 readers, {found['messages']} messages in {found['seconds']} s:"
            f" {found['megabytes_per_second'] / 1000:.2f} GB/s together")


def cpu_seconds(cluster: Cluster, server: int) -> float:
    pid = cluster._processes[server].pid
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextlib.contextmanager
def readers(cluster: Cluster, servers, count: int, stopped: bool = False):
    """Programs that read everything from now on; `stopped`: they do not any more."""
    running = [subprocess.Popen(tool(cluster, [servers[i % len(servers)]], "sub"),
                                stdout=subprocess.DEVNULL) for i in range(count)]
    try:
        time.sleep(2)
        if stopped:
            for process in running:
                process.send_signal(signal.SIGSTOP)
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def leader_cpu(cluster: Cluster, arguments) -> float:
    leader = cluster.leader()
    begin, first = cpu_seconds(cluster, leader), end_of_leader(cluster)
    measured(cluster, cluster.ids, "pub", "--size", "1KiB", "--rate", RATE, "--warmup", 0,
             "--duration", f"{arguments.seconds}s")
    return (cpu_seconds(cluster, leader) - begin) / (end_of_leader(cluster) - first) * 1e6


def cpu(cluster: Cluster, arguments) -> None:
    for _ in range(arguments.rounds):
        without = leader_cpu(cluster, arguments)
        with readers(cluster, cluster.followers(), 20):
            beside = leader_cpu(cluster, arguments)
        say(f"cpu: the leader needs {without:.1f} us for a message, with 20 readers at followers"
            f" {beside:.1f} us: {beside / without:.2f}")


def stopped(cluster: Cluster, arguments) -> None:
    def deliver() -> dict:
        return measured(cluster, cluster.ids, "e2e", "--size", "1KiB", "--rate", RATE,
                        "--readers", 45, "--duration", f"{arguments.seconds}s")

    memory = Memory(cluster)
    for _ in range(arguments.rounds):
        for count in (0, 5):
            with readers(cluster, list(cluster.ids), count, stopped=True):
                found = deliver()
            latency = found["latency_us"]
            say(f"stopped: {count} beside 45: {found['messages_per_second']:,} deliveries/s, p50"
                f" {latency['p50'] / 1000:.2f} ms, p99 {latency['p99'] / 1000:.2f} ms;"
                f" {memory.text()}")


PARTS = {"replay": replay, "cpu": cpu, "stopped": stopped}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--seconds", type=int, default=20, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fill-rate", type=int, default=2**17,
                        help="messages a second at which the 64 MiB of replay are published")
    arguments = parser.parse_args()
    if not set(arguments.parts) <= set(PARTS):
        parser.error(f"parts are {', '.join(PARTS)}")
    cluster = Cluster()
    try:
        for name in arguments.parts or PARTS:
            PARTS[name](cluster, arguments)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
