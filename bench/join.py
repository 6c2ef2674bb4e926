#!/usr/bin/env python3
# join: how long an empty server takes to be even with a cluster that keeps gigabytes, under load.
"""Three servers on loopback are filled; then one of them starts with an empty directory while a
publisher runs at a fixed rate. Told: until it is a voter and even, and what the publisher noticed.

    bench/join.py --gigabytes 5 --rate 5000
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/python"))
from support import BIN, Cluster, eventually, zabmq  # noqa: E402

HOUR = 3600.0
SETTINGS = ("storage.retain_bytes=100GiB", "storage.retain_max_bytes=100GiB")


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} ({load()}) {text}", flush=True)


def log_bytes(cluster: Cluster, server: int) -> int:
    return sum(file.stat().st_blocks * 512 for file in (cluster.path / str(server)).glob("*.seg"))


def bench(cluster: Cluster, *words) -> subprocess.Popen:
    return subprocess.Popen([BIN / "zabmq", "bench", "pub", "--json", *map(str, words),
                             "--endpoints", ",".join(cluster.endpoints)],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def result(process: subprocess.Popen) -> dict:
    out, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"bench pub ended with {process.returncode}")
    return json.loads(out.splitlines()[-1])


def told(numbers: dict) -> str:
    return " ".join(f"{name}={value}" for name, value in numbers.items())


def own_word(cluster: Cluster, server: int):
    return next((s for s in zabmq.status(cluster.endpoint(server)).servers if s.id == server), None)


def end_of_leader(cluster: Cluster) -> int:
    status = zabmq.status(cluster.endpoints)
    return max((s.last_offset or 0 for s in status.servers if s.id == status.leader), default=0)


def fill(cluster: Cluster, size: int) -> None:
    begin = time.monotonic()
    while min(log_bytes(cluster, server) for server in cluster.ids) < size:
        result(bench(cluster, "--size", "10KiB", "--window", 2048, "--duration", "10s"))
    took = time.monotonic() - begin
    say(f"filled: {[round(log_bytes(cluster, s) / 2**30, 2) for s in cluster.ids]} GiB of log in"
        f" {took:.0f} s")


def restart(cluster: Cluster, server: int, name: str) -> None:
    begin = time.monotonic()
    cluster.start(server)
    eventually(lambda: (s := own_word(cluster, server)) and s.phase == "broadcast", HOUR)
    say(f"restart behind {name} with {log_bytes(cluster, server) / 2**30:.2f} GiB of log:"
        f" {time.monotonic() - begin:.2f} s until it follows in broadcast")


def join(cluster: Cluster, server: int, rate: int, seconds: int) -> None:
    cluster.kill(server)
    shutil.rmtree(cluster.path / str(server))
    running = bench(cluster, "--size", "1KiB", "--rate", rate, "--duration", f"{seconds}s")
    begin = time.monotonic()
    cluster.start(server)

    def is_even() -> bool:  # but for what came while the two were asked
        word = own_word(cluster, server)
        return bool(word) and (word.last_offset or 0) + rate // 5 >= end_of_leader(cluster)

    def is_voter() -> bool:
        word = own_word(cluster, server)
        return bool(word) and word.standing == "voter"

    eventually(is_even, HOUR)
    took, size = time.monotonic() - begin, log_bytes(cluster, server)
    say(f"  even after {took:.1f} s: {size / 1e6 / took:.0f} MB/s")
    eventually(is_voter, HOUR)
    say(f"  a voter after {time.monotonic() - begin:.1f} s")
    say(f"  meanwhile, {seconds} s: " + told(result(running)))
    first = {s.first_offset for s in zabmq.status(cluster.endpoints).servers}
    say(f"  first offsets of all servers: {first}")


def verify(cluster: Cluster, server: int) -> None:
    cluster.kill(server)
    size, begin = log_bytes(cluster, server), time.monotonic()
    subprocess.run([BIN / "zabmq", "log", "verify", "--data-dir", cluster.path / str(server)],
                   check=True, stdout=subprocess.DEVNULL)
    took = time.monotonic() - begin
    say(f"  `zabmq log verify` of the same files: {took:.1f} s, {size / 1e6 / took:.0f} MB/s")
    cluster.start(server)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=60, help="of publishing, from the join on")
    arguments = parser.parse_args()
    cluster = Cluster(settings=SETTINGS)
    try:
        fill(cluster, int(arguments.gigabytes * 1e9))
        for round_ in range(arguments.rounds):
            follower = cluster.followers()[0]
            cluster.kill(follower)
            restart(cluster, follower, "SIGKILL")
            say("before: " + told(result(bench(cluster, "--size", "1KiB", "--rate", arguments.rate,
                                               "--duration", "20s"))))
            say(f"round {round_ + 1}: server {follower} starts with an empty directory")
            join(cluster, follower, arguments.rate, arguments.seconds)
            verify(cluster, follower)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
