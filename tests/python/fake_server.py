# fake server: one end of a conversation, led step by step by a test.
import struct
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import msgpack
import zmq

from support import BOUND, zabmq

CLUSTER, HISTORY = bytes(range(0x10, 0x20)), bytes(range(0x20, 0x30))
HELLO, PUBLISH, SUBSCRIBE, CREDIT, PING, CLOSE, BYE = 1, 2, 3, 4, 6, 8, 9


class FakeServer:
    """Answers nothing by itself but PING, and not even that when told so."""

    def __init__(self):
        self._socket = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.linger = 0
        self.endpoint = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"
        self._client = b""
        self.answers_pings = True

    def expect(self, command: int, bound: float = BOUND) -> tuple[list, bytes]:
        """The next frame's elements behind the command, and its body."""
        deadline = time.monotonic() + bound
        while self._socket.poll(max(0, 1000 * (deadline - time.monotonic()))):
            self._client, header, *body = self._socket.recv_multipart()
            assert zabmq.checksum(header[8:]) == int.from_bytes(header[:8], "little")
            got, *elements = msgpack.unpackb(header[8:])
            if got == PING and self.answers_pings:
                self.send(72, 0)
            elif got == command:
                return elements, b"".join(body)
            elif got not in (PING, BYE, CREDIT):
                raise AssertionError(f"{got} {elements} came where {command} was due")
        raise AssertionError(f"no frame {command} within {bound} s")

    def send(self, *array, body: bytes | None = None) -> None:
        self.send_raw(zabmq.encode(*array), *([] if body is None else [body]))

    def send_raw(self, *parts: bytes) -> None:
        self._socket.send_multipart([self._client, *parts])

    def welcome(self, *, opened: bool = True, leader_endpoint: str = "", instance: int = 0,
                last: int = 0, heartbeat_ms: int = 1000) -> None:
        self.send(65, 1, CLUSTER, HISTORY, 0, 1, 1, leader_endpoint, opened, instance, last,
                  1 << 20, 2 << 20, heartbeat_ms)

    def receipt(self, first: int, count: int, offset: int) -> None:
        self.send(66, first, count, offset, 1, offset)

    def refuse(self, about: int, number: int, code: str, outcome: str = "no", *,
               text: str = "because", last: int = 0, hole: bool = False,
               leader_endpoint: str = "", not_leading: bool = False) -> None:
        self.send(67, about, number, zabmq.CODES.index(code) + 1, zabmq.OUTCOMES.index(outcome),
                  text, last, hole, leader_endpoint, not_leading, 0, 0)

    def reset(self) -> None:
        self.send(73, "test")

    def close(self) -> None:
        self._socket.close()


class FakeServerTest(unittest.TestCase):
    def setUp(self):
        self.server = self.new_server()
        self._calls = ThreadPoolExecutor(4)
        self.addCleanup(self._calls.shutdown)

    def new_server(self) -> FakeServer:
        server = FakeServer()
        self.addCleanup(server.close)
        return server

    def start(self, call, *arguments, **options):
        """Runs what waits for the server in a thread of its own."""
        return self._calls.submit(call, *arguments, **options)

    def assert_error(self, code: str, outcome: str, future) -> zabmq.Error:
        error = future.exception(BOUND)
        self.assertIsInstance(error, zabmq.Error)
        self.assertEqual((error.code, error.outcome), (code, outcome), error.text)
        return error


def record(offset: int, payloads: list[str], *, kind: int = 1, topic: str = "t",
           time: int = 1000) -> bytes:
    """A record as a DELIVER has it; without payloads of a kind that is no batch."""
    body = b"".join(zabmq.encode_message(topic, payload, None) for payload in payloads)
    header = struct.pack("<4s4B2I2I3Q16s2Q8s2Q16s", b"ZBR1", 1, 16, kind, 0, len(body),
                         len(payloads), 1, 0, offset, offset, time, bytes(16), 1, 1, b"\xff" * 8,
                         zabmq.checksum(body), 0, bytes(16))
    return header + zabmq.checksum(header).to_bytes(8, "little") + body + bytes(-len(body) % 8)
