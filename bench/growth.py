#!/usr/bin/env python3
# growth: does a message take as long in a long log as in a short one?
"""Three servers on loopback take messages as fast as they can until their logs hold so many
gigabytes together. Told: messages a second in each tenth of the way; the whole curve as SVG.

    bench/growth.py --gigabytes 20 --out docs/growth.svg
"""
import argparse
import pathlib
import re
import signal
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "compare"), str(HERE.parent / "tests/python")]
import plot  # noqa: E402
from join import SETTINGS, log_bytes, say  # noqa: E402
from support import BIN, Cluster  # noqa: E402

LINE = re.compile(r" *\d+ s +(\d+) messages/s +p50 ([\d.]+) ms")
TENTHS = 10


def grow(cluster: Cluster, size: int, gigabytes: float) -> list[tuple[float, int, float]]:
    """(gigabytes at the end of a second, messages in it, p50 in ms), one for each second."""
    words = ["--size", size, "--window", 1024, "--warmup", "0", "--duration", "1h"]
    running = subprocess.Popen([BIN / "zabmq", "bench", "pub", *map(str, words),
                                "--endpoints", ",".join(cluster.endpoints)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seconds = []
    for line in running.stdout:
        found = LINE.match(line)
        if not found:
            continue
        total = sum(log_bytes(cluster, server) for server in cluster.ids) / 1e9
        seconds.append((total, int(found[1]), float(found[2])))
        if total >= gigabytes:
            break
    running.send_signal(signal.SIGINT)
    rest = running.communicate()[0]
    if not seconds or seconds[-1][0] < gigabytes:
        raise SystemExit(f"bench pub ended early: {rest}")
    return seconds


def tenths(seconds, gigabytes: float):
    for tenth in range(TENTHS):
        low, high = gigabytes * tenth / TENTHS, gigabytes * (tenth + 1) / TENTHS
        part = [s for s in seconds if low <= s[0] < high] or [seconds[-1]]
        yield high, statistics.mean(s[1] for s in part), statistics.median(s[2] for s in part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--size", type=int, default=1024, help="bytes of a message")
    parser.add_argument("--out", type=pathlib.Path, help="where to write the curve")
    arguments = parser.parse_args()
    cluster = Cluster(settings=SETTINGS)
    try:
        say(f"messages of {arguments.size} bytes, 1,024 outstanding, 0 to"
            f" {arguments.gigabytes:g} GB")
        seconds = grow(cluster, arguments.size, arguments.gigabytes)
    finally:
        cluster.stop()
    for high, rate, p50 in tenths(seconds, arguments.gigabytes):
        say(f"  up to {high:5.1f} GB: {rate:9,.0f} messages/s, p50 {p50:.2f} ms")
    if arguments.out:
        smooth = [(high, rate) for high, rate, _ in tenths(seconds, arguments.gigabytes)]
        arguments.out.write_text(plot.curve(
            "Messages a second while the log grows",
            f"{arguments.size} bytes, 1,024 outstanding; gigabytes of all three logs together",
            [(total, rate) for total, rate, _ in seconds], smooth))


if __name__ == "__main__":
    main()
