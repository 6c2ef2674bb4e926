# support: a real cluster of zabmqd processes, the zabmq tool, and bounded waiting.
"""Programs are looked for in $ZABMQ_BIN_DIR, by default in the release build's bin."""
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ZABMQ_BIN_DIR", ROOT / "build/release/bin"))
CLIENT = ROOT / "clients/python"
sys.path.insert(0, str(CLIENT))

import zabmq  # noqa: E402

BOUND = 30.0  # seconds, of any wait


def eventually(condition, bound: float = BOUND):
    """The condition's first true value, looked for again and again; fails behind the bound."""
    deadline = time.monotonic() + bound
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {bound} s")
        time.sleep(0.005)
    return value


def free_ports(count: int) -> list[int]:
    """Below those that the kernel hands out, so that nobody gets them before the servers do."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        lowest = max(int(file.read().split()[0]), 11000)
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(10000, lowest)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                ports += [port] if port not in ports else []
            except OSError:
                pass
    return ports


class Cluster:
    """Servers 1 to n, each a process of its own that can be killed, stopped and started."""

    def __init__(self, servers: int = 3, settings: tuple[str, ...] = ()):
        self._directory = tempfile.TemporaryDirectory(prefix="zabmq-test.")
        self.path = pathlib.Path(self._directory.name)
        ports = free_ports(2 * servers)
        self.ids = range(1, servers + 1)
        self._client_ports = dict(zip(self.ids, ports))
        self._list = ",".join(f"{i}=127.0.0.1:{peer}:{self._client_ports[i]}"
                              for i, peer in zip(self.ids, ports[servers:]))
        self._settings = [word for setting in settings for word in ("--set", setting)]
        self._processes: dict[int, subprocess.Popen] = {}
        self.endpoints_of_tool: list[str] | None = None  # none: all
        try:
            for server in self.ids:
                self.start(server)
            self.leader()
        except BaseException:
            self.stop()
            raise

    def endpoint(self, server: int) -> str:
        return f"tcp://127.0.0.1:{self._client_ports[server]}"

    @property
    def endpoints(self) -> list[str]:
        return [self.endpoint(server) for server in self.ids]

    def start(self, server: int) -> None:
        with open(self.path / f"{server}.log", "ab") as log:
            self._processes[server] = subprocess.Popen(  # dies with this process, however that dies
                ["setpriv", "--pdeathsig", "KILL", BIN / "zabmqd", "--id", str(server), "--servers",
                 self._list, "--data-dir", self.path / str(server), *self._settings],
                stdout=log, stderr=log)

    def kill(self, server: int) -> None:
        self._processes[server].kill()
        self._processes[server].wait()

    def pause(self, server: int) -> None:
        self._processes[server].send_signal(signal.SIGSTOP)

    def go_on(self, server: int) -> None:
        self._processes[server].send_signal(signal.SIGCONT)

    def leader(self) -> int:
        return eventually(lambda: zabmq.status(self.endpoints).leader)

    def followers(self) -> list[int]:
        leader = self.leader()
        return [server for server in self.ids if server != leader]

    def counter(self, server: int, name: str) -> int:
        (status,) = [s for s in zabmq.status(self.endpoint(server)).servers if s.id == server]
        return status.counters[name]

    def tool(self, *words, text: str = "") -> subprocess.CompletedProcess:
        endpoints = self.endpoints_of_tool or self.endpoints
        return subprocess.run([BIN / "zabmq", *map(str, words), "--endpoints", ",".join(endpoints)],
                              input=text, capture_output=True, text=True, timeout=60)

    def payloads(self) -> list[str]:
        """Everything from first to end, as the C++ tool sees it."""
        sub = self.tool("sub", "--from", "first", "--until-end", "--json")
        assert sub.returncode == 0, sub.stderr
        messages = [json.loads(line) for line in sub.stdout.splitlines()]
        assert [m["offset"] for m in messages] == list(range(1, len(messages) + 1))
        return [m["payload"] for m in messages]

    def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._directory.cleanup()


class ClusterTest(unittest.TestCase):
    """A test with a fresh cluster."""

    servers = 3
    settings: tuple[str, ...] = ()

    def setUp(self):
        self.cluster = self.new_cluster()

    def new_cluster(self) -> Cluster:
        cluster = Cluster(self.servers, self.settings)
        self.addCleanup(cluster.stop)
        return cluster

    def publisher(self, *, cluster: Cluster | None = None, **options) -> zabmq.Publisher:
        publisher = zabmq.Publisher((cluster or self.cluster).endpoints, **options)
        self.addCleanup(publisher.stop)
        return publisher

    def subscriber(self, *, endpoints: list[str] | None = None, **options) -> zabmq.Subscriber:
        subscriber = zabmq.Subscriber(endpoints or self.cluster.endpoints, **options)
        self.addCleanup(subscriber.close)
        return subscriber

    def everything(self) -> list[zabmq.Message]:
        """Everything from first to end, as the Python subscriber sees it."""
        with self.subscriber(start=zabmq.first(), until_end=True) as subscriber:
            messages = list(subscriber)
        self.assertEqual([m.offset for m in messages], list(range(1, len(messages) + 1)))
        return messages

    def assert_exactly(self, payloads: list[str]) -> None:
        """Every message once and in order, as both libraries see it."""
        self.assertEqual([m.payload.decode() for m in self.everything()], payloads)
        self.assertEqual(self.cluster.payloads(), payloads)

    def assert_error(self, code: str, outcome: str, call, *arguments, **options) -> zabmq.Error:
        with self.assertRaises(zabmq.Error) as raised:
            call(*arguments, **options)
        error = raised.exception
        self.assertEqual((error.code, error.outcome), (code, outcome), error.text)
        return error


class Child:
    """A process with a Publisher of its own: publishes each line it is given, tells receipts."""

    PROGRAM = """
import sys, zabmq
publisher = zabmq.Publisher(sys.argv[1], session_file=sys.argv[2] or None)
print("open", publisher.resumed_after, publisher.instance, flush=True)
for line in sys.stdin:
    receipt = publisher.publish("t", line.rstrip())
    print("receipt", receipt.sequence, publisher.instance, flush=True)
"""

    def __init__(self, endpoints: list[str], session_file: str = ""):
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM, ",".join(endpoints), session_file],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(CLIENT)})

    def read(self) -> list[str]:
        """The words of its next line; it is bounded by the deadlines of the publisher."""
        return self._process.stdout.readline().split()

    def publish(self, payload: str) -> list[str]:
        self._process.stdin.write(payload + "\n")
        self._process.stdin.flush()
        return self.read()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
