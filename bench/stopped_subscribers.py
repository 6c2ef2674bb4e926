#!/usr/bin/env python3
# stopped_subscribers: the memory of servers while many subscribers, with credit without end, have
# stopped reading.
"""Three servers on loopback; a process with many subscriptions is stopped (SIGSTOP) while a
publisher runs at full speed. Told: the resident memory of each server, every second's greatest.
Afterwards the process goes on (SIGCONT), and its subscriptions must miss nothing.

    bench/stopped_subscribers.py --subscribers 100 --seconds 60
    bench/stopped_subscribers.py --start spread    each begins somewhere else in an old log
"""
import argparse
import json
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/python"))
from join import bench, end_of_leader, result, say, told  # noqa: E402
from support import Cluster, eventually, zabmq  # noqa: E402

NO_ID = bytes(16)
CREDIT = 2**62
SUBSCRIBE_FROM_OFFSET = 2
COMMON = 100_000


class Stream:
    """One subscription on a connection of its own. It looks at the frames' offsets, and, where it
    is `thorough`, at every record."""

    def __init__(self, endpoint: str, first: int, thorough: bool):
        self.endpoint, self.covered, self.thorough = endpoint, first - 1, thorough
        self.resumed = -1
        self.begin()

    def begin(self) -> None:
        self.resumed += 1
        self.connection = zabmq.Connection(self.endpoint, NO_ID, NO_ID, 0, NO_ID, 0)
        self.connection.send(zabmq.SUBSCRIBE, 1, SUBSCRIBE_FROM_OFFSET, self.covered + 1, 0, 0,
                             False, CREDIT, CREDIT, [], 0)

    def turn(self) -> bool:
        """True: there was something. At most some frames."""
        try:
            for _ in range(8):
                received = self.connection.receive()
                if received is None:
                    self.connection.tick()
                    return _ > 0
                self.take(*received)
            return True
        except zabmq.Leave:
            self.connection.close()
            self.begin()
            return True

    def take(self, frame, body: bytes) -> None:
        if frame.command == "WELCOME":
            self.connection.welcomed = True
        if frame.command in ("GAP", "REFUSED"):
            raise SystemExit(f"{frame.command} at {self.covered}: {frame}")
        if frame.command == "COVERED" and frame.up_to > self.covered:
            raise SystemExit(f"covered {frame.up_to}, but had {self.covered}")
        if frame.command != "DELIVER":
            return
        if frame.after != self.covered:
            raise SystemExit(f"a gap: {frame.after} behind {self.covered}")
        if self.thorough:
            offset = frame.after
            for record in zabmq.parse_records(body):
                if record.kind == 1 and record.offset + record.count - 1 > offset:
                    if record.offset > offset + 1:
                        raise SystemExit(f"record {record.offset} behind {offset}")
                    offset = record.offset + record.count - 1
            if offset != frame.up_to:
                raise SystemExit(f"records up to {offset} in a frame up to {frame.up_to}")
        self.covered = frame.up_to


def subscribe_all(endpoints: list[str], starts: list[int], to_end: int, pipe) -> None:
    """The process that will be stopped. Told an end, so many must reach it, and all of them the
    next COMMON messages."""
    every = max(1, len(starts) // to_end)
    streams = [Stream(endpoints[i % len(endpoints)], first, i % every == 0)
               for i, first in enumerate(starts)]
    told_ready = False
    end = None
    goals = [2**63] * len(streams)
    while any(stream.covered < goal for stream, goal in zip(streams, goals)):
        busy = [stream.turn() for stream, goal in zip(streams, goals) if stream.covered < goal]
        if not told_ready and all(stream.connection.welcomed for stream in streams):
            told_ready = True
            pipe.send("ready")
        if pipe.poll(0 if any(busy) else 0.01):
            end = pipe.recv()
            goals = [end if stream.thorough else min(end, stream.covered + COMMON)
                     for stream in streams]
    pipe.send((sum(stream.covered >= end for stream in streams), sum(s.resumed for s in streams)))


class Memory(threading.Thread):
    """RSS of each server, every second."""

    def __init__(self, cluster: Cluster):
        super().__init__(daemon=True)
        self.pids = {s: process.pid for s, process in cluster._processes.items()}
        self.greatest = {server: 0 for server in self.pids}
        self.now: dict[int, int] = {}
        self.start()

    def run(self) -> None:
        while True:
            for server, pid in self.pids.items():
                try:
                    status = pathlib.Path(f"/proc/{pid}/status").read_text()
                    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
                except (OSError, StopIteration):
                    return  # it has ended
                self.now[server] = int(line.split()[1]) // 1024
                self.greatest[server] = max(self.greatest[server], self.now[server])
            time.sleep(1)

    def text(self) -> str:
        return f"MiB now {list(self.now.values())}, at most {list(self.greatest.values())}"


def measure(arguments, subscribers: int) -> None:
    cluster = Cluster(settings=tuple(arguments.set))
    child = None
    try:
        for server in cluster.ids:
            eventually(lambda: zabmq.status(cluster.endpoint(server)).leader)
        old = 0
        if arguments.start == "spread":
            result(bench(cluster, "--size", "1KiB", "--duration", f"{arguments.seconds}s"))
            old = end_of_leader(cluster)
        memory = Memory(cluster)
        if subscribers:
            ours, theirs = multiprocessing.Pipe()
            starts = [1 + old * i // subscribers for i in range(subscribers)]
            child = multiprocessing.Process(target=subscribe_all,
                                            args=(cluster.endpoints, starts, arguments.to_end, theirs),
                                            daemon=True)
            child.start()
            if arguments.start == "new":
                assert ours.recv() == "ready"
                time.sleep(1)
            else:
                time.sleep(arguments.stop_after)
            os.kill(child.pid, signal.SIGSTOP)
        numbers = result(bench(cluster, "--size", "1KiB", "--duration", f"{arguments.seconds}s"))
        say(f"{subscribers} stopped subscribers: {memory.text()}; {told(numbers)}")
        if child:
            end = end_of_leader(cluster)
            begin = time.monotonic()
            os.kill(child.pid, signal.SIGCONT)
            ours.send(end)
            answer = None
            while not isinstance(answer, tuple):
                if ours.poll(1):
                    answer = ours.recv()
                elif not child.is_alive():
                    raise SystemExit("a subscriber missed something")
            complete, resumed = answer
            say(f"  all went on, {complete} of them to offset {end}, in"
                f" {time.monotonic() - begin:.0f} s, none missed anything; {resumed} new connections;"
                f" {memory.text()}")
    finally:
        if child:
            child.kill()
        cluster.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--start", choices=("new", "spread"), default="new")
    parser.add_argument("--to-end", type=int, default=10, help="how many read to the very end")
    parser.add_argument("--stop-after", type=float, default=0.3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--without", action="store_true", help="first the same without any")
    arguments = parser.parse_args()
    if arguments.without:
        measure(arguments, 0)
    measure(arguments, arguments.subscribers)


if __name__ == "__main__":
    main()
