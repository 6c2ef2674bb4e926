# zabmq: a client of zabmq in one file, written from docs/wire.md (version 1).
"""Publish to and subscribe from a zabmq cluster. Needs pyzmq, msgpack and xxhash.

    with zabmq.Publisher() as publisher:          # $ZABMQ_ENDPOINTS, or what `zabmq dev` opens
        receipt = publisher.publish("orders", b"payload")      # durable on a quorum
        futures = [publisher.publish_async("orders", p) for p in payloads]     # pipelined
        publisher.publish_batch([("orders", b"1"), ("stock", b"2")])           # both or none

    with zabmq.Subscriber(topics=["orders"], start=zabmq.first()) as subscriber:
        for message in subscriber:
            handle(message.offset, message.topic, message.payload)

The contract is that of the C++ library: one order of messages, without gap or duplicate; a receipt
means durable on a quorum; each (publisher, sequence) is taken at most once, over lost connections
and changes of leader; every call has a deadline; every failure is an `Error` that says what may be
concluded. Sections and rules named in comments are those of docs/wire.md.
"""
from __future__ import annotations

import fcntl
import os
import random
import re
import struct
import threading
import time
import unicodedata
from collections import deque
from concurrent.futures import Future
from itertools import takewhile
from types import SimpleNamespace
from typing import Callable, Iterable, Iterator, Mapping, NamedTuple, NoReturn

try:
    import msgpack
    import xxhash
    import zmq
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(f"no module {missing.name}: on Debian install python3-{missing.name}, "
                              "and run /usr/bin/python3", name=missing.name) from None

__all__ = ["Publisher", "Subscriber", "status", "first", "new", "at_offset", "at_zxid", "at_time",
           "at_token", "Error", "UsageError", "Message", "Receipt", "Zxid", "ServerStatus",
           "ClusterStatus"]

CODES = ("unavailable", "refused", "too_large", "busy", "no_space", "gap", "expired", "duplicate",
         "not_authorized", "protocol", "unknown_outcome")  # on the wire: counted from 1
OUTCOMES = ("no", "maybe")
NO_ID = bytes(16)


class Error(Exception):
    """What went wrong; the text says what happened, to what, and what to do next.

    code: one of CODES. outcome: 'no', it did not happen; 'maybe', it may have happened. sequence:
    of the publish concerned, else 0. first: with code gap the first offset there is; of a start
    beyond the end, or a condition that did not hold, the last one; else None.
    """

    def __init__(self, code: str, outcome: str, text: str, sequence: int = 0,
                 first: int | None = None):
        super().__init__(text)
        self.code, self.outcome, self.text = code, outcome, text
        self.sequence, self.first = sequence, first

    def of(self, sequence: int) -> Error:
        return Error(self.code, self.outcome, self.text, sequence, self.first)


class UsageError(Error):
    """What was given is unusable as it is, an endpoint or a session file, which the text names:
    refused, and nothing was asked of the cluster."""

    def __init__(self, text: str):
        super().__init__("refused", "no", text)


class Zxid(NamedTuple):
    """A transaction's place, ordered; as text `7.42`."""
    epoch: int
    counter: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.counter}"


class Receipt(NamedTuple):
    """The message is durable on a quorum at `offset`. Messages of one transaction share its
    zxid."""
    offset: int
    zxid: Zxid
    sequence: int


class Message(NamedTuple):
    """time: the leader's, microseconds since 1970."""
    offset: int
    zxid: Zxid
    time: int
    topic: str
    payload: bytes
    packed_headers: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Raises Error(protocol): servers do not look into headers."""
        try:
            headers = msgpack.unpackb(self.packed_headers) if self.packed_headers else {}
            if all(type(text) is str for entry in headers.items() for text in entry):
                return headers
        except (ValueError, AttributeError, msgpack.UnpackException):
            pass
        raise Error("protocol", "no", f"the headers of message {self.offset} are malformed")


# --- bytes (sections 1 to 4.2) ---

class Malformed(Exception):
    """Bytes that are not what docs/wire.md says."""


def checksum(data: bytes | memoryview) -> int:
    return xxhash.xxh3_64_intdigest(data)


HELLO, PUBLISH, SUBSCRIBE, CREDIT, UNSUBSCRIBE, PING, STATUS, CLOSE, BYE = range(1, 10)
MOVE_CURSOR, LIST_CURSORS = 10, 11
ABOUT_CONNECTION, ABOUT_PUBLISH, ABOUT_SUBSCRIBE, ABOUT_STATUS, ABOUT_CLOSE = range(5)
ABOUT_CURSOR = 5
HEADER_MAX = 64 << 10

# What an element must be: its type, and the bounds of a number's value or of all else's length.
# An optional number stands at the end; left out, or nil, it is None.
ELEMENTS = {"u64": (int, 0, 2**64 - 1), "optional": (int, 0, 2**64 - 1), "u32": (int, 0, 2**32 - 1),
            "flag": (bool, 0, 1), "id": (bytes, 16, 16), "endpoint": (str, 0, 256),
            "text": (str, 0, 4096), "about": (int, 0, 5), "code": (int, 1, len(CODES)),
            "outcome": (int, 0, 1), "role": (int, 0, 3), "phase": (int, 0, 3),
            "servers": (list, 0, 16), "counters": (list, 0, 256),
            "cursors": (list, 0, 256)}
# Number, name, and elements `name:what`, by default u64.
SERVER_FRAMES = {
    65: "WELCOME version:u32 cluster:id history:id config_version server:u32 leader:u32"
        " leader_endpoint:endpoint publisher_open:flag instance last_sequence payload_max"
        " batch_bytes_max heartbeat_ms",
    66: "RECEIPT first_sequence count:u32 base_offset epoch:u32 counter",
    67: "REFUSED about:about id code:code outcome:outcome text:text last_sequence hole:flag"
        " leader_endpoint:endpoint not_leading:flag first_offset last_offset"
        " expect_last_offset:optional",
    68: "SUBSCRIBED subscription next end has_end:flag from_cursor:flag",
    69: "DELIVER subscription after up_to",
    70: "GAP subscription first",
    71: "COVERED subscription up_to",
    72: "PONG last_committed",
    73: "RESET reason:text",
    74: "CLOSED instance",
    75: "STATUS-ANSWER request server:u32 role:role phase:phase epoch:u32 logged_epoch:u32"
        " logged_counter committed_epoch:u32 committed_counter first_offset last_offset leader:u32"
        " servers:servers durability:text standing:text counters:counters",
    76: "CURSOR-MOVED request offset",
    77: "CURSORS request cursors:cursors more:flag first_offset last_offset"}
Frame = SimpleNamespace  # .command is the name, the elements are attributes


def encode(command: int, *elements) -> bytes:
    """A frame's header: the checksum, then a msgpack array."""
    array = msgpack.packb([command, *elements])
    return checksum(array).to_bytes(8, "little") + array


def decode(header: bytes) -> Frame:
    """The frame of a server's header. Raises Malformed."""
    array = header[8:]
    if len(header) > HEADER_MAX or checksum(array) != int.from_bytes(header[:8], "little"):
        raise Malformed("a header that is too long or has a wrong checksum")
    try:
        number, *values = msgpack.unpackb(array, unicode_errors="surrogateescape")
        command, *layout = SERVER_FRAMES[number].split()
    except (ValueError, TypeError, KeyError, msgpack.UnpackException):
        raise Malformed("a header that is no frame") from None
    elements = [element.partition(":")[::2] for element in layout]
    values += [None] * len([what for _, what in elements if what == "optional"])
    if len(values) < len(elements):  # more are of a newer version
        raise Malformed(f"a {command} that is too short")
    for (name, what), value in zip(elements, values):
        if what == "optional" and value is None:
            continue
        kind, low, high = ELEMENTS[what or "u64"]
        text = value.encode("utf-8", "surrogateescape") if type(value) is str else value
        size = text if kind in (int, bool) or type(value) is not kind else len(text)
        if type(value) is not kind or not low <= size <= high:
            raise Malformed(f"a {command} with a wrong {name}")
    frame = Frame(command=command, **{name: v for (name, _), v in zip(elements, values)})
    if command == "REFUSED":
        frame.code, frame.outcome = CODES[frame.code - 1], OUTCOMES[frame.outcome]
    return frame


MESSAGE = struct.Struct("<IBBH")  # lengths of payload and topic, flags, length of the headers


def valid_topic(topic: str) -> bool:
    size = len(topic.encode("utf-8", "replace"))
    return 1 <= size <= 200 and "*" not in topic and not any(
        unicodedata.category(c) in ("Cc", "Cs") for c in topic)  # control characters, surrogates


def valid_topic_filter(text: str) -> bool:
    """A topic, or the beginning of topics with a '*' behind it."""
    if not text.endswith("*"):
        return valid_topic(text)
    return text == "*" or (len(text.encode("utf-8", "replace")) <= 200 and valid_topic(text[:-1]))


def encode_message(topic: str, payload: bytes | str, headers: Mapping[str, str] | None) -> bytes:
    """One message as it stands in a batch body. Raises Error: protocol, too_large."""
    if not valid_topic(topic):
        raise Error("protocol", "no", f"the topic {topic!r} is not 1 to 200 bytes of UTF-8 without "
                    "control characters and without '*'")
    packed = msgpack.packb({str(k): str(v) for k, v in headers.items()}) if headers else b""
    if len(packed) > 0xffff or (headers and len(headers) > 256):
        raise Error("too_large", "no", "the headers take more than 65535 bytes, or are over 256")
    name, data = topic.encode(), payload.encode() if isinstance(payload, str) else payload
    return MESSAGE.pack(len(data), len(name), 0, len(packed)) + name + packed + data


def decode_messages(body: memoryview, count: int) -> Iterator[tuple[str, bytes, bytes]]:
    """(topic, headers, payload) of each message of a batch. Raises Malformed."""
    at = 0
    for _ in range(count):
        try:
            payload_size, topic_size, flags, headers_size = MESSAGE.unpack_from(body, at)
            headers_at = at + MESSAGE.size + topic_size
            payload_at = headers_at + headers_size
            topic = str(body[headers_at - topic_size:headers_at], "utf-8")
        except (struct.error, UnicodeDecodeError):
            raise Malformed("a message without the form of one") from None
        at = payload_at + payload_size
        if flags or at > len(body):
            raise Malformed("a message that does not fit its batch")
        yield topic, bytes(body[headers_at:payload_at]), bytes(body[payload_at:at])
    if at != len(body):
        raise Malformed("bytes behind the last message of a batch")


class Record(NamedTuple):
    kind: int
    count: int
    zxid: Zxid
    offset: int
    time: int
    body: memoryview


RECORD = struct.Struct("<4s4B2I2I3Q16s2Q8x2Q16sQ")
KIND_BATCH = 1


def parse_records(data: bytes) -> Iterator[Record]:
    """The records of a DELIVER (section 3), both checksums verified. Raises Malformed."""
    rest = memoryview(data)
    while rest:
        if len(rest) < RECORD.size:
            raise Malformed("half a record")
        (magic, version, words, kind, _, size, count, epoch, zero, counter, offset, log_time, _, _,
         _, body_checksum, _, reserved, digest) = RECORD.unpack_from(rest)
        end = RECORD.size + size
        body, padding = rest[RECORD.size:end], rest[end:end + -size % 8]
        if (magic, version, words) != (b"ZBR1", 1, 16) or digest != checksum(rest[:120]):
            raise Malformed("a damaged record")
        if zero or any(reserved) or not 1 <= kind <= 7:
            raise Malformed("a record of another form")
        if len(body) < size or len(padding) != -size % 8 or any(padding) \
                or body_checksum != checksum(body):
            raise Malformed("a record with a damaged body")
        yield Record(kind, count, Zxid(epoch, counter), offset, log_time, body)
        rest = rest[end + len(padding):]


# --- connections (section 4.3) ---

WELCOME_PATIENCE = 2.0  # seconds; WELCOME may wait for a transaction
SILENCE = 3             # heartbeats without a frame: the server is lost
REDIRECTS_MAX = 4       # in a row without a pause
LOST = (zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH)


class Leave(Exception):
    """A connection is over. to: the endpoint to try next, at once; none: another of the list, after
    a pause. pause: at most so many seconds, with either."""

    def __init__(self, why: str, to: str = "", pause: float | None = None):
        super().__init__(why)
        self.to, self.pause = to, pause


class Connection:
    """One attempt at one server with a socket of its own; a lost one is never used again (rule 1).
    HELLO is sent at once. Whatever ends the connection is raised as Leave."""

    def __init__(self, endpoint: str, *hello, patience: float = WELCOME_PATIENCE):
        self.endpoint = endpoint
        self.welcomed = False
        self._heartbeat = 1.0
        self._heard = self._ticked = self._pinged = time.monotonic()
        self._welcome_by = self._heard + min(patience, WELCOME_PATIENCE)
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        for option, value in (
                (zmq.LINGER, 0), (zmq.RECONNECT_IVL, -1), (zmq.CONNECT_TIMEOUT, 1000),
                (zmq.HEARTBEAT_IVL, 0), (zmq.SNDHWM, 4096), (zmq.RCVHWM, 4096),
                (zmq.MAXMSGSIZE, 64 << 20), (zmq.TCP_KEEPALIVE, 1), (zmq.TCP_KEEPALIVE_IDLE, 2),
                (zmq.TCP_KEEPALIVE_INTVL, 1), (zmq.TCP_KEEPALIVE_CNT, 3), (zmq.TCP_MAXRT, 3000),
                (zmq.IPV6, int("[" in endpoint))):
            self._socket.setsockopt(option, value)
        self._monitor = self._socket.get_monitor_socket(LOST)
        try:
            self._socket.connect(endpoint)
            self.send(HELLO, 1, 1, *hello)
        except zmq.ZMQError as error:
            self.close()
            raise Leave(f"cannot connect: {error}") from None

    def send(self, command: int, *elements, body: bytes | None = None) -> None:
        header = encode(command, *elements)
        try:
            self._socket.send_multipart([header] if body is None else [header, body], zmq.DONTWAIT)
        except zmq.Again:
            raise Leave("it takes no more frames") from None

    def receive(self) -> tuple[Frame, bytes] | None:
        """The next frame and its body; None: there is none now."""
        try:
            header, *bodies = self._socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            if self._monitor.poll(0):
                raise Leave("the connection was closed" if self.welcomed else "cannot be reached")
            return None
        try:
            frame = decode(header)
        except Malformed as error:
            raise Leave(f"it sent {error}") from None
        if len(bodies) > 1:
            raise Leave("it sent a frame of more than two parts")
        self._heard = time.monotonic()
        if frame.command == "RESET":  # rule 3
            raise Leave(f"it forgot the connection: {frame.reason}", to=self.endpoint)
        if frame.command == "WELCOME":
            if frame.version != 1:
                raise Leave(f"it chose version {frame.version}")
            self._heartbeat = frame.heartbeat_ms / 1000 or 1.0
        return frame, b"".join(bodies)

    def tick(self) -> None:
        """Says PING when it is time, notices silence (rule 4). To be called behind receive()."""
        now = time.monotonic()
        if now > self._ticked + self._heartbeat:
            self._heard = now  # it was our process, or its user, that was away
        self._ticked = now
        if not self.welcomed:
            if now > self._welcome_by:
                raise Leave("no answer to HELLO")
        elif now > self._heard + SILENCE * self._heartbeat:
            raise Leave("the server is silent")
        elif now > self._pinged + self._heartbeat / 2:
            self._pinged = now
            self.send(PING)

    def register(self, poller: zmq.Poller) -> None:
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)

    def close(self, bye: bool = False) -> None:
        if bye:
            try:
                self.send(BYE)
            except Leave:
                pass
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(100 if bye else 0)  # milliseconds, for what was sent last


class Route:
    """Which server next, and when. Pauses grow and are random in part, so that the clients of a
    server that went away do not come back all at once."""

    def __init__(self, endpoints: str | Iterable[str] | None):
        if endpoints is None:
            endpoints = os.environ.get("ZABMQ_ENDPOINTS") or (
                f"tcp://127.0.0.1:{port}" for port in (9470, 9480, 9490))
        self.endpoints = endpoints.split(",") if isinstance(endpoints, str) else list(endpoints)
        if not self.endpoints:
            raise UsageError("no endpoints: name at least one server")
        for endpoint in self.endpoints:
            port = endpoint.rpartition(":")[2]
            if not re.fullmatch("tcp://.+:[0-9]{1,5}", endpoint) or not 0 < int(port) < 65536:
                raise UsageError(f"'{endpoint}' is no endpoint: expected tcp://HOST:PORT (several: "
                                 "a comma between them)")
        self.endpoint, self.at = self.endpoints[0], 0.0
        self.trouble = "no server was reached yet"
        self._place = self._failures = self._redirects = 0

    def leave(self, why: Leave) -> None:
        self.trouble = f"{self.endpoint}: {why}"
        pause = why.pause
        if why.to:
            self.endpoint = why.to
            self._redirects += 1
            if pause is None:  # two servers that name each other: give them time to find out
                pause = 0.2 if self._redirects > REDIRECTS_MAX else 0.0
        else:
            self._place = (self._place + 1) % len(self.endpoints)
            self.endpoint = self.endpoints[self._place]
            self._redirects = 0
            pause = 1.0 if pause is None else pause
        if pause:
            pause = min(0.05 * 2 ** min(self._failures, 5), pause) * random.uniform(0.5, 1)
            self._failures += 1
        self.at = time.monotonic() + pause

    def succeeded(self) -> None:
        self._failures = self._redirects = 0


# --- publishing (section 4.4) ---

BATCHES_MAX = 1024     # without an answer (rule 5)
COUNT_MAX = 65535      # messages of a batch
FRAMES_EAGER = 2       # in flight; behind them messages gather, and only full bodies go out
BODY_FULL = 256 << 10
ANSWER_PATIENCE = 5.0  # with a server that answers pings, but no publish
ELECTION_PAUSE = 0.2   # a server that is well, but cannot serve now
TICK_BUSY_MS, TICK_IDLE_MS = 20, 250
FINAL = ("refused", "expired", "not_authorized")  # these end the publisher


class Pending(NamedTuple):
    """A message, or several that go out together, not in a batch yet."""
    data: bytes
    count: int
    future: Future
    deadline: float
    expect: int | None  # taken only behind this offset
    alone: bool         # a batch of its own


def new_future() -> Future:
    future: Future = Future()
    future.set_running_or_notify_cancel()  # what was taken cannot be called back
    return future


class Batch:
    """Messages that go out together, always with the same bytes under the same sequences."""

    def __init__(self, first_sequence: int, messages: list[Pending]):
        self.futures: list[Future | None] = []  # who waits, one for each message
        for message in messages:
            self.futures += [message.future] + [None] * (message.count - 1)
        self.first, self.count = first_sequence, len(self.futures)
        self.last = first_sequence + self.count - 1
        self.body = b"".join(message.data for message in messages)
        self.deadline = messages[0].deadline
        self.expect = messages[0].expect  # of the whole batch, if there is one
        self.condition_failed = False
        self.sent = False      # a copy is unanswered on this connection
        self.ever_sent = False
        self.maybe = False     # a copy on an earlier connection may still be taken
        self.reported = False  # its callers were told that its outcome is open
        self.answer: Frame | Error | None = None  # Frame: RECEIPT

    def not_taken(self) -> bool:
        return isinstance(self.answer, Error) and self.answer.outcome == "no"

    def is_open(self) -> bool:
        """Some copy may have been taken, or may still be."""
        return self.maybe or (self.sent if self.answer is None else not self.not_taken())

    def outcome_of(self, sequence: int, answer: Frame | Error) -> Receipt | Error:
        if isinstance(answer, Error):
            return answer.of(sequence)
        return Receipt(answer.base_offset + sequence - self.first,
                       Zxid(answer.epoch, answer.counter), sequence)


class Publisher:
    """An ordered stream of messages, each taken exactly once.

    Opening waits up to `timeout` for a leader. A thread of its own keeps the connection: heartbeats
    go on while the caller does nothing, and after a silence too long for the server (a suspended
    machine) it connects again with the same instance. All methods may be called from any thread.
    Callbacks of futures run on the publisher's thread, in the order of publication, and must
    neither block nor wait for the publisher.

    Errors: too_large, protocol (nothing was sent), busy, no_space, refused (fenced by a newer
    process with the same session file), expired, unavailable (no: not taken), unknown_outcome
    (maybe: sent, no answer before the deadline). When a message fails, those published behind it
    and still pending fail as well: they may not overtake it. After `no` the next message gets the
    sequence of the first that failed. After `maybe` nothing is taken until retry() has the outcome
    known.

    expect_last_offset: the message is taken only if it comes directly behind that offset (0: if it
    is the cluster's first). Else it alone is refused, with the last offset in Error.first; what was
    published behind it waits for its answer, and goes on.

    session_file keeps the publisher's id, so that its sequence goes on after a restart of the
    process, in Python or C++; resumed_after says how far the previous process got. With it the
    first message that is not taken ends the publisher (retry() excepted), so that what the cluster
    took is an unbroken beginning of what was published: open it again to go on.

    window, window_bytes: how much may be unacknowledged before publishing waits.
    """

    def __init__(self, endpoints: str | Iterable[str] | None = None, *,
                 session_file: str | None = None, timeout: float = 5.0, window: int = 65536,
                 window_bytes: int = 64 << 20):
        self.timeout, self._window, self._window_bytes = timeout, window, window_bytes
        self._route = Route(endpoints)
        self._file = SessionFile(session_file) if session_file else None
        session = self._file.session if self._file else Session(os.urandom(16))
        self.id: bytes = session.publisher
        self._cluster, self._history = session.cluster, session.history
        self._known_last = session.last
        self._known_input = self._input = session.input  # the latter goes on with what is taken
        self._skipped = InputDigest()
        self._newest = session.instance  # that was opened, by an earlier process as well
        self.instance = 0             # a new one is to be opened
        self._openings = 0            # HELLOs that may each have opened an instance
        self._receipts_seen = False   # of this instance
        self._new_instance_needed = False
        self._opened = False
        self._dead: Error | None = None   # the publisher is over
        self._ended: Error | None = None  # a session file's: a message failed
        self._refused_by: set[str] = set()
        self._redirected = False      # to the endpoint of this connection attempt
        self._unreachable = ""        # a leader's endpoint that was tried in vain
        self.resumed_after = 0
        self._acknowledged = 0        # and everything before
        self._next_sequence = 1       # of the first message in _queue
        self._limits = (1 << 20, 2 << 20)  # of a payload and of a body; WELCOME tells
        self._queue: deque[Pending] = deque()
        self._queue_bytes = self._pending = self._pending_bytes = 0
        self._taken = self._told = self._failed = 0  # messages; failed: since the last flush()
        self._last_deadline = self._answered_at = 0.0
        self._batches: deque[Batch] = deque()  # ascending sequences without holes
        self._suspended = False  # outcomes are open, and nothing is sent before retry() asks
        self._resolved: deque[tuple[Batch, Frame | Error]] = deque(maxlen=BATCHES_MAX)
        self._outcomes: list[tuple[Future, Receipt | Error | None]] = []  # to be told, in order
        self._last_refusal: Error | None = None  # that asks to try again later
        self._closing: tuple[Future, float] | None = None
        self._close_sent = self._close_ever_sent = self._stopping = False
        self._connection: Connection | None = None

        self._changed = threading.Condition()  # guards all of the above
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="zabmq-publisher", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._dead, timeout)
            error = self._dead or (None if self._opened else Error(
                "unavailable", "no", f"no leader within {timeout} s: {self._route.trouble}"))
        if error:
            self.stop()
            raise error

    # -- the callers' side --

    def publish(self, topic: str, payload: bytes | str, headers: Mapping[str, str] | None = None,
                timeout: float | None = None, *,
                expect_last_offset: int | None = None) -> Receipt:
        """Publishes and waits for the receipt. Raises Error."""
        return self.publish_async(topic, payload, headers, timeout,
                                  expect_last_offset=expect_last_offset).result()

    def publish_async(self, topic: str, payload: bytes | str,
                      headers: Mapping[str, str] | None = None, timeout: float | None = None, *,
                      expect_last_offset: int | None = None) -> Future[Receipt]:
        """Returns when the message is taken: at once, or when the window has room for it; raises
        Error when it is not: nothing was sent. The future has a Receipt or an Error soon behind the
        deadline at the latest. (A deadline is never before that of a message published earlier.)"""
        return self._take([encode_message(topic, payload, headers)], timeout, expect_last_offset,
                          wait=True)

    def try_publish(self, topic: str, payload: bytes | str,
                    headers: Mapping[str, str] | None = None, timeout: float | None = None, *,
                    expect_last_offset: int | None = None) -> Future[Receipt]:
        """publish_async that never waits: with a full window it raises Error `busy`."""
        return self._take([encode_message(topic, payload, headers)], timeout, expect_last_offset,
                          wait=False)

    def publish_batch(self, messages: Iterable[tuple], timeout: float | None = None, *,
                      expect_last_offset: int | None = None) -> Receipt:
        """Publishes (topic, payload) or (topic, payload, headers) tuples as one transaction: all of
        them, back to back, or none. The receipt is the first one's: message i has offset + i,
        sequence + i and the same zxid. At most 65535 messages and the bytes of one batch of the
        cluster (2 MiB): else Error too_large; one that is wrong stops all of them. A condition is
        the whole batch's. Waits for the receipt. Raises Error."""
        return self.publish_batch_async(messages, timeout,
                                        expect_last_offset=expect_last_offset).result()

    def publish_batch_async(self, messages: Iterable[tuple], timeout: float | None = None, *,
                            expect_last_offset: int | None = None) -> Future[Receipt]:
        """publish_batch that returns when the batch is taken, as publish_async does."""
        parts = [encode_message(topic, payload, *headers or (None,))
                 for topic, payload, *headers in messages]
        if not parts:
            raise Error("protocol", "no", "a batch without a message")
        return self._take(parts, timeout, expect_last_offset, wait=True)

    def publish_many(self, messages: Iterable[tuple],
                     timeout: float | None = None) -> list[Receipt]:
        """Publishes (topic, payload) or (topic, payload, headers) tuples, pipelined, and waits for
        all receipts. Raises the Error of the first that failed."""
        futures: list[Future[Receipt]] = []
        try:
            for message in messages:
                futures.append(self.publish_async(*message, timeout=timeout))
        finally:  # also when one was not taken: the first that failed is the reason
            receipts = [future.result() for future in futures]
        return receipts

    @property
    def compared_until(self) -> int:
        """So many of the first resumed_after messages the session file knows: skip() compares
        these."""
        return min(self._known_input.count, self.resumed_after)

    def skip(self, topic: str, payload: bytes | str) -> bool:
        """For a program that is given the same messages each time, and whose message n is sequence
        n: hand it each message before it is published, from the first one on. True: it was taken
        before, leave it out. Raises UsageError when those left out are not those that were
        taken. Nothing may be published before it says false."""
        with self._changed:
            if self._skipped.count == self.resumed_after:
                return False
            data = payload.encode() if isinstance(payload, str) else payload
            skipped, known = self._skipped.add(topic.encode(), data), self._known_input
            if skipped.count == known.count and skipped != known:
                raise UsageError(f"session file {self._file.path}: the first {known.count} messages "
                                 "that were taken with it are not those of this input and topic: go "
                                 "on with the same input and topic, or take another session file "
                                 "for this one")
            self._skipped = skipped  # what was refused stays refused
            if skipped.count == self.resumed_after:
                self._input = skipped
            return True

    def retry(self, sequence: int, timeout: float | None = None) -> Receipt:
        """Sends the message of a publish whose outcome is unknown again, and all others of which it
        is unknown, until it is known. Raises Error: unknown_outcome again at the deadline, or the
        definite answer."""
        deadline = self._deadline(timeout)
        with self._changed:
            for batch, answer in self._resolved:
                if batch.first <= sequence <= batch.last:
                    outcome = batch.outcome_of(sequence, answer)
                    if isinstance(outcome, Error):
                        raise outcome
                    return outcome
            batch = next((b for b in self._batches if b.first <= sequence <= b.last), None)
            if not batch or not batch.reported:
                raise Error("refused", "no", f"sequence {sequence} has no open outcome: there is "
                            "nothing to retry", sequence)
            if self._dead:
                raise Error("unknown_outcome", "maybe", f"sequence {sequence} is still without an "
                            f"answer: {self._dead.text}", sequence)
            for opened in self._batches:
                opened.deadline = max(opened.deadline, deadline)
            i = sequence - batch.first
            batch.futures[i] = future = batch.futures[i] or new_future()
            self._suspended = False
            self._wake()
        return future.result()

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until everything published before has its outcome. True: all since the last flush
        were acknowledged; False: one failed, or the time is over."""
        with self._changed:
            target, left = self._taken, self._deadline(timeout) - time.monotonic()
            if not self._changed.wait_for(lambda: self._told >= target, left):
                return False
            failed, self._failed = self._failed, 0
            return failed == 0

    def close(self, timeout: float | None = None) -> None:
        """Ends the publisher for good, behind everything published: its entry in the cluster is
        freed, a session file becomes useless. Raises Error. (stop() ends only this process's
        part.)"""
        with self._changed:
            if self._dead or self._closing:
                raise self._dead or Error("refused", "no", "the publisher is being closed")
            self._closing = future, _ = new_future(), self._deadline(timeout)
            self._wake()
        future.result()
        self.stop()

    def stop(self) -> None:
        """Ends the thread and the connection. What is not acknowledged is abandoned: its futures
        get an Error. Call flush() first, or use `with`, which does."""
        with self._changed:
            self._stopping = True
            self._wake()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.flush()
        self.stop()

    def _deadline(self, timeout: float | None) -> float:
        return time.monotonic() + (self.timeout if timeout is None else timeout)

    def _take(self, parts: list[bytes], timeout: float | None, expect: int | None, *,
              wait: bool) -> Future[Receipt]:
        """`parts`: encoded messages; several are a batch of their own."""
        if expect is not None and not 0 <= expect < 2**64:
            raise Error("protocol", "no", f"expect_last_offset is {expect}: no offset, and not 0")
        size, deadline = sum(map(len, parts)), self._deadline(timeout)
        count, alone = len(parts), len(parts) > 1 or expect is not None
        largest = max(MESSAGE.unpack_from(part)[0] for part in parts)

        def has_room() -> bool:  # always for one: else one larger than the window could never go
            return not self._pending or (self._pending < self._window
                                         and self._pending_bytes + size <= self._window_bytes)
        with self._changed:
            if largest > self._limits[0] or (count == 1 and size > self._limits[1]):
                raise Error("too_large", "no", f"a payload of {largest} bytes, the cluster takes "
                            f"{self._limits[0]}: send it in parts")
            if size > self._limits[1] or count > COUNT_MAX:
                raise Error("too_large", "no", f"a batch of {count} messages and {size} bytes, the "
                            f"cluster takes {COUNT_MAX} and {self._limits[1]}: make it smaller")
            if wait:
                self._changed.wait_for(lambda: has_room() or self._why_not_taking(),
                                       deadline - time.monotonic())
            if reason := self._why_not_taking():
                raise reason
            if not has_room():
                raise Error("unavailable" if wait else "busy", "no", "never sent: the window is "
                            f"full, {self._pending} messages are unacknowledged "
                            f"({self._route.trouble})")
            if self._pending:  # what comes later may not be given up first
                deadline = max(deadline, self._last_deadline)
            self._last_deadline = deadline
            message = Pending(b"".join(parts), count, new_future(), deadline, expect, alone)
            self._queue.append(message)
            self._queue_bytes += size
            self._pending += count
            self._pending_bytes += size
            self._taken += count
            if len(self._queue) == 1 or self._queue_bytes >= BODY_FULL:
                self._wake()
            return message.future

    def _why_not_taking(self) -> Error | None:
        if over := self._dead or self._ended:
            return Error(over.code, "no", over.text)
        if self._batches and self._batches[0].reported:
            return Error("refused", "no", f"the outcome of sequence {self._batches[0].first} is "
                         "open, and nothing may overtake it: retry it first")
        if self._closing or self._stopping:
            return Error("refused", "no", "the publisher is being closed")
        return None

    def _wake(self) -> None:
        if self._wakeup >= 0:
            os.eventfd_write(self._wakeup, 1)

    # -- the thread --

    def _run(self) -> None:
        try:
            while not self._stopping:
                poller = zmq.Poller()
                poller.register(self._wakeup, zmq.POLLIN)
                with self._changed:
                    self._turn()
                    if self._connection:
                        self._connection.register(poller)
                    idle = self._connection and not (self._batches or self._queue or self._closing)
                self._tell()
                ready = poller.poll(TICK_IDLE_MS if idle else TICK_BUSY_MS)
                if (self._wakeup, zmq.POLLIN) in ready:
                    os.eventfd_read(self._wakeup)
        finally:
            with self._changed:
                self._stopping = True
                self._die(Error("unavailable", "no", "the publisher was stopped"))
                os.close(self._wakeup)
                self._wakeup = -1
            self._tell()
            if self._file:
                if self._opened and self._progress() != self._file.session:
                    self._store()
                self._file.close()

    def _turn(self) -> None:
        try:
            self._receive()
            self._watch_deadlines(time.monotonic())
            self._watch_connection(time.monotonic())
            self._send()
        except Leave as why:  # what was sent and not answered may have been taken, or may still be
            greeted = self._connection and self._connection.welcomed
            if self._redirected and not greeted and not why.to and why.pause is None:
                self._unreachable = self._route.endpoint
            self._redirected = bool(why.to)
            self._route.leave(why)
            if self._connection:
                self._connection.close()
            self._connection = None
            for batch in self._batches:
                batch.maybe |= batch.sent
                batch.sent = False

    def _receive(self) -> None:
        leave: Leave | None = None
        while self._connection and (received := self._connection.receive()):
            try:
                self._on_frame(received[0])
            except Leave as why:  # frames behind this one may still answer batches
                if not leave or (why.to and leave.to in ("", self._connection.endpoint)
                                 and why.to != self._connection.endpoint):
                    leave = why  # to another server; else the first is what the others came of
        if leave and self._connection:
            raise leave

    def _watch_deadlines(self, now: float) -> None:
        if self._closing and self._closing[1] <= now:
            why = f"CLOSE has no answer: {self._route.trouble}"
            self._finish_close(Error("unknown_outcome", "maybe", why) if self._close_ever_sent
                               else Error("unavailable", "no", why))
        oldest = self._batches or self._queue
        if oldest and oldest[0].deadline <= now and not self._is_resting():
            why = self._last_refusal or Error("unavailable", "no", self._route.trouble)
            self._give_up(Error(why.code, "no", f"no receipt before the deadline: {why.text}"))

    def _watch_connection(self, now: float) -> None:
        if self._connection:
            self._connection.tick()
            if not any(batch.sent for batch in self._batches):
                self._answered_at = now
            elif now > self._answered_at + ANSWER_PATIENCE:
                raise Leave("a publish was not answered")
        elif now >= self._route.at and not self._dead and not self._is_resting():
            if self._instance_is_over():
                self._forget_instance()
            self._openings += self.instance == 0
            self._close_sent = False
            known = [self._newest] if self._newest and self.instance == 0 else []
            self._connection = Connection(self._route.endpoint, self._cluster, self._history, 0,
                                          self.id, self.instance, *known)

    def _is_resting(self) -> bool:
        """Outcomes are open: nothing is sent before retry() asks for it."""
        return self._suspended and bool(self._batches)

    def _instance_is_over(self) -> bool:
        """Sequences are to carry other messages than before (rule 9). Not with a session file:
        there a failure ends the publisher, and a newer process may have taken over."""
        return self._new_instance_needed and not self._file

    def _forget_instance(self) -> None:
        self.instance = self._openings = 0
        self._new_instance_needed = False

    def _reopen(self) -> NoReturn:
        self._forget_instance()
        raise Leave("opening a new instance", to=self._route.endpoint)

    def _go_to_leader(self, why: str, endpoint: str) -> NoReturn:
        if endpoint and endpoint != self._route.endpoint:
            raise Leave(why, to=endpoint)
        raise Leave(why, pause=ELECTION_PAUSE)

    def _go_elsewhere_from_behind(self, last: int) -> NoReturn:
        """The server was the leader, and does not know yet that another one is."""
        self._go_to_leader(f"it is behind: it knows of {last} messages of this publisher, and "
                           f"{max(self._acknowledged, self._known_last)} were acknowledged", "")

    # -- frames --

    def _on_frame(self, frame: Frame) -> None:
        if frame.command == "WELCOME" and not self._connection.welcomed:
            self._on_welcome(frame)
        elif frame.command == "RECEIPT":
            self._on_receipt(frame)
        elif frame.command == "REFUSED":
            if frame.about == ABOUT_CONNECTION:
                self._on_connection_refused(frame)
            elif frame.about == ABOUT_PUBLISH:
                self._on_publish_refused(frame)
            elif frame.about == ABOUT_CLOSE and self._closing:
                self._on_close_refused(frame)
        elif frame.command == "PONG":
            self._route.succeeded()
        elif frame.command == "CLOSED" and self._close_ever_sent:
            if frame.instance == self.instance:
                self._finish_close(None)

    def _on_welcome(self, welcome: Frame) -> None:
        last = welcome.last_sequence
        if not welcome.publisher_open:
            self._go_to_leader("it does not lead", welcome.leader_endpoint)
        reached = self._acknowledged if self._opened else self._known_last
        if last < reached and self.instance:
            self._go_elsewhere_from_behind(last)
        if last < reached:  # the answer to a transaction: nothing can be missing in it
            return self._die(self._forgotten(reached))
        if self.instance == 0:
            if self._opened and last >= self._next_sequence:
                return self._die(Error(
                    "refused", "no", "another process published as this publisher: it reached "
                    f"{last}, this one {self._next_sequence - 1}"))
            for batch in self._batches:  # all copies were of older instances, which are fenced now
                batch.maybe &= batch.first <= last
            self._receipts_seen = False
        else:
            self._openings = 0
        self.instance = self._newest = welcome.instance
        self._cluster, self._history = welcome.cluster, welcome.history
        self._limits = welcome.payload_max, welcome.batch_bytes_max
        self._connection.welcomed = True
        self._route.trouble = f"{self._route.endpoint}: no receipt yet (is there a quorum?)"
        if not self._opened:
            self.resumed_after = self._acknowledged = last
            self._next_sequence = last + 1
            self._store()  # durable before a message is taken
            self._opened = True
            self._changed.notify_all()
        if welcome.leader in (0, welcome.server):
            self._unreachable = ""
        elif welcome.leader_endpoint not in ("", self._route.endpoint, self._unreachable):
            raise Leave("it forwards to the leader", to=welcome.leader_endpoint)

    @staticmethod
    def _forgotten(reached: int) -> Error:
        return Error("expired", "maybe", "the cluster has forgotten this publisher, which had "
                     f"reached sequence {reached} at least: whether anything behind that was taken "
                     "cannot be told; open a new one")

    def _on_connection_refused(self, refused: Frame) -> None:
        if self._connection.welcomed:
            raise Leave(refused.text)
        if self.instance and refused.code == "refused" and refused.id > self.instance:
            if self._fenced_by_itself():
                self._reopen()
            for batch in self._batches:  # what lies above last_sequence was never taken
                batch.maybe &= not 0 < refused.last_sequence < batch.first
            return self._die(Error("refused", "no", refused.text))
        if self._newest and refused.code == "expired":
            if self._close_ever_sent:  # the entry went away before the answer came: by our CLOSE
                return self._finish_close(None)
            if not self._opened:
                return self._die(self._forgotten(self._known_last))
            return self._die(Error("expired", "no", refused.text))
        if refused.code not in FINAL + ("protocol",):
            self._go_to_leader(refused.text, refused.leader_endpoint)
        # Another server may think otherwise, when one endpoint is of another cluster.
        self._refused_by.add(self._route.endpoint)
        if not self._opened and self._refused_by.issuperset(self._route.endpoints):
            return self._die(Error(refused.code, "no", f"{self._route.endpoint}: {refused.text}"))
        raise Leave(refused.text)

    def _fenced_by_itself(self) -> bool:
        """A HELLO that was given up may arrive late, and open one instance more."""
        return self._file is None or (self._openings > 1 and not self._receipts_seen)

    def _find(self, first_sequence: int) -> Batch | None:
        """The batch that an answer is for, unless it is the answer to a second copy."""
        self._answered_at = time.monotonic()
        return next((b for b in self._batches if b.first == first_sequence and not b.answer), None)

    def _on_receipt(self, receipt: Frame) -> None:
        if batch := self._find(receipt.first_sequence):
            if receipt.count != batch.count:
                raise Leave("it sent a receipt for other boundaries")
            self._route.succeeded()
            batch.answer, batch.sent = receipt, False
            self._complete()

    def _on_publish_refused(self, refused: Frame) -> None:  # rule 8
        batch = self._find(refused.id)
        if not batch or not batch.sent:
            return
        batch.sent = False
        batch.maybe |= refused.outcome == "maybe"
        if refused.hole and refused.last_sequence < self._acknowledged:
            self._go_elsewhere_from_behind(refused.last_sequence)
            return
        if refused.expect_last_offset is not None:
            if batch.maybe:  # an earlier copy may still be taken: fence it, then ask again
                self._reopen()
            batch.answer = Error("refused", "no", refused.text, first=refused.last_offset)
            batch.condition_failed = True
            return self._complete()
        if refused.hole:
            for before in takewhile(lambda b: b is not batch, self._batches):
                if before.first > refused.last_sequence:
                    before.sent = False  # frames keep their order: it was lost
            raise Leave(refused.text, to=self._route.endpoint, pause=1.0)
        if refused.not_leading or refused.code in ("unavailable", "unknown_outcome"):
            self._go_to_leader(refused.text, refused.leader_endpoint)
        if refused.code in ("busy", "no_space"):
            self._last_refusal = Error(refused.code, "no",
                                       f"{self._route.endpoint}: {refused.text}")
            raise Leave(refused.text, to=self._route.endpoint, pause=1.0)
        if refused.code == "refused":
            if self._fenced_by_itself():
                self._reopen()
            batch.maybe &= not 0 < refused.last_sequence < batch.first
        batch.answer = Error(refused.code, refused.outcome, refused.text)
        self._complete()

    def _complete(self) -> None:
        """Batches get their outcome in order."""
        while self._batches and self._batches[0].answer:
            batch, answer = self._batches[0], self._batches[0].answer
            if batch.condition_failed:  # no copy of it is left, and nothing was sent behind it
                self._batches.popleft()
                self._next_sequence = batch.first
                self._settle(batch, answer, resolved=False)
                continue
            if batch.not_taken():
                return self._die(answer) if answer.code in FINAL else self._give_up(answer)
            self._batches.popleft()
            if self._file and self._input.count == self._acknowledged:
                for topic, _, payload in decode_messages(memoryview(batch.body), batch.count):
                    self._input = self._input.add(topic.encode(), payload)
            self._acknowledged, self._receipts_seen, self._last_refusal = batch.last, True, None
            self._settle(batch, answer)

    # -- sending --

    def _send(self) -> None:
        if not self._connection or not self._connection.welcomed or self._is_resting():
            return
        if self._instance_is_over():
            self._reopen()
        for batch in self._batches:
            if batch.not_taken():
                return  # whatever stands behind it would be a hole
            if not batch.sent and not batch.answer:
                self._send_batch(batch)
        in_flight = sum(batch.sent for batch in self._batches)
        while self._queue and self._has_place_for_batch() and (
                in_flight < FRAMES_EAGER or self._queue_bytes >= BODY_FULL):
            self._batches.append(self._cut())
            self._send_batch(self._batches[-1])
            in_flight += 1
        if self._closing and not self._close_sent and not self._batches and not self._queue:
            self._close_sent = self._close_ever_sent = True
            self._connection.send(CLOSE, self.instance)

    def _has_place_for_batch(self) -> bool:
        """None behind a condition: should it not hold, what comes next takes that batch's place."""
        conditional = self._batches and self._batches[-1].expect is not None
        return len(self._batches) < BATCHES_MAX and not conditional

    def _cut(self) -> Batch:
        messages: list[Pending] = []
        size, limit = 0, min(BODY_FULL, self._limits[1])
        while self._queue and len(messages) < COUNT_MAX and (
                not messages or (size + len(self._queue[0].data) <= limit
                                 and not (messages[0].alone or self._queue[0].alone))):
            messages.append(self._queue.popleft())
            size += len(messages[-1].data)
        self._queue_bytes -= size
        batch = Batch(self._next_sequence, messages)
        self._next_sequence = batch.last + 1
        return batch

    def _send_batch(self, batch: Batch) -> None:
        batch.sent = batch.ever_sent = True
        condition = () if batch.expect is None else (batch.expect,)
        self._connection.send(PUBLISH, self.instance, batch.first, batch.count,
                              checksum(batch.body), *condition, body=batch.body)

    # -- outcomes --

    def _give_up(self, not_taken: Error) -> None:
        """Everything pending fails: nothing may overtake what failed. Batches of which a copy may
        still be taken keep their sequences, for retry(). From the first one on that was certainly
        not taken nothing was or will be, since sequences leave no holes (rule 7)."""
        kept = list(takewhile(Batch.is_open, self._batches))
        failed = list(self._batches)[len(kept):]
        if self._queue:
            failed.append(Batch(self._next_sequence, list(self._queue)))
        self._batches, self._suspended = deque(kept), bool(kept)
        self._queue.clear()
        self._queue_bytes = 0
        for batch in kept:
            if batch.not_taken():
                batch.answer = None  # that copy was not; an earlier one may be
            self._settle(batch, batch.answer or Error(
                "unknown_outcome", "maybe", "sent, but without an answer: it may have happened, "
                f"and retrying the same sequence is safe ({not_taken.text})"), resolved=False)
            batch.reported = True
        for batch in failed:
            self._new_instance_needed |= batch.ever_sent
            self._settle(batch, not_taken)
        if failed:
            self._next_sequence = failed[0].first
        if failed and self._file:
            self._ended = Error("refused", "no", f"a message failed ({not_taken.text}), and "
                                "nothing may overtake it: open the publisher again")

    def _settle(self, batch: Batch, answer: Frame | Error, resolved: bool = True) -> None:
        for sequence, future in enumerate(batch.futures, batch.first):
            if future:
                self._outcomes.append((future, batch.outcome_of(sequence, answer)))
        batch.futures = [None] * batch.count
        if not batch.reported:
            self._pending -= batch.count
            self._pending_bytes -= len(batch.body)
            self._failed += batch.count if isinstance(answer, Error) else 0
        elif resolved:
            batch.body, batch.futures = b"", []
            self._resolved.append((batch, answer))

    def _tell(self) -> None:
        with self._changed:
            outcomes, self._outcomes = self._outcomes, []
            told = self._taken - self._pending
        for future, outcome in outcomes:  # without the lock: callbacks may publish
            if isinstance(outcome, Error):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        with self._changed:
            self._told = told
            if self._file and self._acknowledged > self._file.session.last and (
                    self._acknowledged >= 2 * self._file.session.last):
                self._store()
            if outcomes:
                self._changed.notify_all()

    def _progress(self) -> Session:
        return Session(self.id, self._cluster, self._history, self._newest, self._acknowledged,
                       self._input)

    def _store(self) -> None:
        """Section 4.6. Later failures than the first stop no publisher that is under way."""
        try:
            if self._file:
                self._file.store(self._progress())
        except Error as error:
            if not self._opened:
                self._die(error)

    # -- the end --

    def _on_close_refused(self, refused: Frame) -> None:
        self._close_sent = False
        if refused.not_leading or refused.code in ("unavailable", "unknown_outcome", "busy",
                                                   "no_space"):
            self._go_to_leader(refused.text, refused.leader_endpoint)
        self._finish_close(None if refused.code == "expired" else Error(
            refused.code, refused.outcome, refused.text))

    def _finish_close(self, error: Error | None) -> None:
        if self._closing:
            self._outcomes.append((self._closing[0], error))
        self._closing = None
        if not error:
            self._die(Error("refused", "no", "the publisher is closed"))

    def _die(self, error: Error) -> None:
        if self._dead:
            return
        self._dead = error
        self._give_up(Error(error.code, "no", error.text))
        if self._closing:
            self._finish_close(error)
        if self._connection:
            self._connection.close(bye=True)
            self._connection = None
        self._changed.notify_all()


# --- session file (section 4.6) ---

class InputDigest(NamedTuple):
    """What the first messages of a publisher were."""
    count: int = 0
    digest: int = 0

    def add(self, topic: bytes, payload: bytes | memoryview) -> InputDigest:
        link = struct.pack("<QQQ", self.digest, checksum(topic), checksum(payload))
        return InputDigest(self.count + 1, checksum(link))


class Session(NamedTuple):
    publisher: bytes
    cluster: bytes = NO_ID
    history: bytes = NO_ID
    instance: int = 0
    last: int = 0
    input: InputDigest = InputDigest()

    def to_text(self, version: int = 2) -> str:
        """Version 1 had no `input`."""
        text = (f"zabmq-session {version}\npublisher {self.publisher.hex()}\n"
                f"cluster {self.cluster.hex()}\nhistory {self.history.hex()}\n"
                f"instance {self.instance}\nlast {self.last}\n")
        if version > 1:
            text += f"input {self.input.count} {self.input.digest:016x}\n"
        return f"{text}checksum {checksum(text.encode()):016x}\n"

    @staticmethod
    def from_text(text: str) -> Session:
        """Raises ValueError for all but what to_text() gives."""
        version, *values = [line.partition(" ")[2] for line in text.splitlines()[:-1]] or [""]
        if (version, len(values)) in (("1", 5), ("2", 6)):
            count, digest = "".join(values[5:]).split(" ") if version == "2" else ("0", "0")
            session = Session(*map(bytes.fromhex, values[:3]), *map(int, values[3:5]),
                              InputDigest(int(count), int(digest, 16)))
            if session.to_text(int(version)) == text and any(session.publisher) and (
                    session.input.count <= session.last):
                return session
        raise ValueError("damaged, or no session file of version 1 or 2: move it away to begin a "
                         "new publisher")


class SessionFile:
    """Locked while in use, replaced as a whole, durable when store() returns. Raises
    UsageError."""

    def __init__(self, path: str):
        self.path, self._fd = os.fspath(path), -1
        try:
            while self._fd < 0:
                try:
                    self._fd = self._open_locked(self.path, os.O_RDWR)
                except FileNotFoundError:
                    self._create()
            self.session = Session.from_text(os.pread(self._fd, 4097, 0).decode())
        except (OSError, ValueError) as error:
            self.close()
            raise self._error(error) from None

    def store(self, session: Session) -> None:
        try:
            if os.path.exists(self.path + ".tmp") and os.path.samefile(
                    self.path, self.path + ".tmp"):
                os.unlink(self.path + ".tmp")  # whoever created it was killed before that
            fd = self._write(session)
            os.replace(self.path + ".tmp", self.path)
            self._sync_directory()
        except OSError as error:
            raise self._error(error) from None
        self.close()
        self._fd, self.session = fd, session

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _create(self) -> None:
        fd = self._write(Session(os.urandom(16)))
        try:
            os.link(self.path + ".tmp", self.path)
        except FileExistsError:
            pass  # another process was faster: its file is opened next
        os.unlink(self.path + ".tmp")
        self._sync_directory()
        os.close(fd)

    def _write(self, session: Session) -> int:
        fd = self._open_locked(self.path + ".tmp", os.O_RDWR | os.O_CREAT)
        os.ftruncate(fd, 0)
        os.write(fd, session.to_text().encode())
        os.fsync(fd)
        return fd

    @staticmethod
    def _open_locked(path: str, flags: int) -> int:
        """Whoever stores replaces the file: opened again until what is locked has the name."""
        while True:
            fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(fd), os.stat(path)):
                    return fd
            except BlockingIOError:
                os.close(fd)
                raise OSError("in use by another process: one publisher at a time") from None
            except FileNotFoundError:
                pass
            os.close(fd)

    def _sync_directory(self) -> None:
        fd = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _error(self, why: Exception) -> UsageError:
        text = str(why)
        if isinstance(why, OSError) and why.strerror:  # (of NAME.tmp, perhaps)
            text = f"opening or writing it failed: {why.strerror}"
        return UsageError(f"session file {self.path}: {text}")


# --- subscribing (section 4.5) ---

class Start(NamedTuple):
    kind: int
    offset: int = 0
    epoch: int = 0
    counter: int = 0
    time: int = 0
    cluster: bytes = NO_ID  # all zero: any
    history: bytes = NO_ID


def first() -> Start:
    """With the first message that is kept."""
    return Start(0)


def new() -> Start:
    """Behind everything acknowledged to anyone before."""
    return Start(1)


def at_offset(offset: int) -> Start:
    """With that message."""
    return Start(2, offset)


def at_zxid(epoch: int, counter: int) -> Start:
    """With the first message of the first transaction from that one on."""
    return Start(3, 0, epoch, counter)


def at_time(time: int) -> Start:
    """With the first message whose log time is not below it: microseconds since 1970, may lie
    ahead."""
    return Start(4, time=time)


def at_token(token: str) -> Start:
    """Where the subscriber that gave this resume_token would have gone on. Servers of another
    cluster or history refuse it by name."""
    try:
        cluster, history, offset = token.split(".")
        start = Start(2, int(offset), cluster=bytes.fromhex(cluster),
                      history=bytes.fromhex(history))
    except ValueError:
        start = Start(2)
    if start.offset < 1 or any(len(i) != 16 or i == NO_ID for i in (start.cluster, start.history)):
        raise Error("protocol", "no", f"no resume token: {token!r}")
    return start


class Delivery(NamedTuple):
    """A DELIVER that was checked. Messages outside of first..last are not for the caller."""
    batches: list[Record]
    first: int
    last: int
    messages: int  # what it took from the credit, to be given back when the caller has it all
    bytes: int
    since: int = 0  # what is older lies before the start
    gap: tuple[int, int] | None = None  # nothing but this: what was due is not there


class Subscriber:
    """The cluster's one sequence of messages from a chosen start, complete and in order.

    An iterator of Message: it waits for each, and ends only at the end of an until_end
    subscription. Opening waits until a server has taken the subscription. When a server is lost the
    subscriber goes on at another given one, at its own next offset: no gap, no duplicate, no
    reordering. There is no thread: heartbeats are said inside next(), and a subscriber whose caller
    was away for too long subscribes again, at its next offset, without a word. One thread at a
    time.

    Errors: unavailable (no server has served it for `timeout`; the subscriber goes on trying, and
    so may the caller), gap (`first`: where the log begins), refused (a start beyond the end,
    `first`: the last offset; another cluster), protocol (what no server gets right).

    topics: names, or prefixes like orders/*, none for all. credit_messages, credit_bytes: how much
    servers may send ahead.

    on_gap: what to do when the offset that is due is no longer kept. None: end with the error gap.
    Else jump to what is kept, and call on_gap(due, first_available) inside next(), before the first
    message from there; due is 0 when it is not known (a start by zxid, time or cursor).

    cursor: a durable cursor, kept by the cluster under this name (by the rules of a topic). The
    subscriber begins behind what was acknowledged to it, or at `start` if it is new, and then it
    exists. Retention keeps what it has not acknowledged, up to storage.retain_max_bytes.
    """

    SUBSCRIBE_PATIENCE = 3.0  # a question to the leader, or a server that has to catch up first
    BAD_MAX = 8               # answers in a row, from whatever server, that no correct one gives

    def __init__(self, endpoints: str | Iterable[str] | None = None, topics: Iterable[str] = (),
                 start: Start = new(), *, until_end: bool = False, credit_messages: int = 65536,
                 credit_bytes: int = 8 << 20, timeout: float = 5.0,
                 on_gap: Callable[[int, int], None] | None = None, cursor: str | None = None):
        self._on_gap = on_gap
        if cursor is not None and not valid_topic(cursor):
            raise Error("protocol", "no", f"no name of a cursor: {cursor!r}")
        self._cursor = cursor
        self._ack_wanted: int | None = None     # the newest counts
        self._ack_confirmed: int | None = None  # what the cluster has made durable
        self._ack_under_way = False
        self._ack_request, self._ack_at = 0, 0.0
        self._topics = frozenset([topics] if isinstance(topics, str) else topics)
        for topic in self._topics:
            if not valid_topic_filter(topic):
                raise Error("protocol", "no", f"no topic and no prefix of topics: {topic!r}")
        self._names = frozenset(topic for topic in self._topics if not topic.endswith("*"))
        self._prefixes = tuple(topic[:-1] for topic in self._topics if topic.endswith("*"))
        if len(self._topics) > 64:
            raise Error("too_large", "no", f"{len(self._topics)} topics, a subscription takes 64")
        self._route, self._timeout = Route(endpoints), timeout
        self._start, self._until_end = start, until_end
        self._window = max(credit_messages, 1), max(credit_bytes, 1)
        self._owed = 0, 0       # credit in messages and bytes that the server was not given back
        self._connection: Connection | None = None
        self._open = False      # SUBSCRIBED has come
        self._cluster, self._history = start.cluster, start.history
        self._subscription = 0
        self._next = 0          # what is to be sent next; 0: the first SUBSCRIBED will tell
        self._since = start.time  # what is older is left out
        self._end: int | None = None  # until_end
        self._first_batch = True      # since SUBSCRIBED: it may begin below _next
        self._complete = self._over = False
        self._error: Error | None = None  # behind the deliveries
        self._bad = 0
        self._refused_by: set[str] = set()
        self._served_at = self._turned_at = time.monotonic()
        self._subscribed_by = 0.0
        self._deliveries: deque[Delivery] = deque()
        self._messages: Iterator[Message] = iter(())  # of the first delivery
        self._position = 0      # what the caller gets next
        while not self._next and not self._error:
            self._turn(0.05)
        if self._error:
            self.close()
            raise self._error

    def next(self, timeout: float | None = None) -> Message | None:
        """The next message; None: `timeout` is over (without one it waits for ever), or the end of
        an until_end subscription is reached (at_end)."""
        deadline = time.monotonic() + timeout if timeout is not None else float("inf")
        if time.monotonic() > self._turned_at + 0.5:
            self._turn(0)  # heartbeats, also while there is much to read
        while True:
            if message := self._from_deliveries():
                return message
            if self._error:
                error, self._error = self._error, self._error if self._over else None
                raise error
            left = deadline - time.monotonic()
            if self._complete or (left <= 0 and self._turned_at > deadline):
                return None
            self._turn(min(max(left, 0), 0.1))

    def __iter__(self) -> Subscriber:
        return self

    def __next__(self) -> Message:
        if message := self.next():
            return message
        raise StopIteration

    @property
    def at_end(self) -> bool:
        """until_end: everything has been taken."""
        return self._complete and not self._deliveries

    @property
    def next_offset(self) -> int:
        """Where a new subscription would go on."""
        return self._position

    @property
    def resume_token(self) -> str:
        """The same for another process, or another day: CLUSTER.HISTORY.OFFSET, for at_token()."""
        return f"{self._cluster.hex()}.{self._history.hex()}.{self._position}"

    def ack(self, offset: int | None = None, *, wait: bool = False) -> None:
        """Tells the cluster that everything up to `offset` (none: all that was taken) was handled:
        the next subscriber with this cursor begins behind it. It is sent inside next(), and again
        until it is durable; of several the newest counts. What is not durable when this object ends
        is delivered again.

        wait: returns when it is durable. Raises unavailable (maybe) when that is not known within
        `timeout`; it is still being tried. Raises refused without a cursor, and for what was not
        taken."""
        if self._cursor is None:
            raise Error("refused", "no", "nothing to acknowledge to: there is no cursor")
        offset = self._position - 1 if offset is None else offset
        if not 0 <= offset < self._position:
            raise Error("refused", "no", f"offset {offset} was not taken yet, the next one is "
                        f"{self._position}: acknowledge what was handled")
        self._ack_wanted = max(offset, self._ack_wanted or 0)
        if not wait:
            return
        deadline = time.monotonic() + self._timeout
        while self._ack_confirmed is None or self._ack_confirmed < offset:
            if self._over:
                raise self._error or Error("refused", "maybe", "the subscription is over")
            if time.monotonic() > deadline:
                raise Error("unavailable", "maybe", f"it is not known whether cursor "
                            f"{self._cursor} was moved to {offset}: it is still being tried")
            self._turn(0.02)

    @property
    def acknowledged(self) -> int | None:
        """What is durable of what was acknowledged by this object; None: nothing yet."""
        return self._ack_confirmed

    def close(self) -> None:
        """Leaves the server. What was not taken is dropped."""
        self._deliveries.clear()
        self._finish(self._error or (None if self._complete else Error(
            "refused", "no", "the subscriber is closed")))

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _from_deliveries(self) -> Message | None:
        while self._deliveries:
            try:
                if message := next(self._messages, None):
                    return message
            except Malformed as error:
                self._deliveries.clear()
                self._complete = False
                self._finish(Error(
                    "protocol", "no", f"the batch at offset {self._position} has its checksum, but "
                    f"not the form of one: {error}"))
                break
            done = self._deliveries.popleft()
            self._position = max(self._position, done.last + 1)
            self._owed = self._owed[0] + done.messages, self._owed[1] + done.bytes
            self._messages = self._walk(self._deliveries[0]) if self._deliveries else iter(())
            if done.gap:
                self._on_gap(*done.gap)
        return None

    def _walk(self, delivery: Delivery) -> Iterator[Message]:
        for batch in delivery.batches:
            for i, (topic, headers, payload) in enumerate(decode_messages(batch.body, batch.count)):
                offset = batch.offset + i
                if delivery.first <= offset <= delivery.last:
                    self._position = offset + 1
                    if batch.time >= delivery.since and self._wanted(topic):
                        yield Message(offset, batch.zxid, batch.time, topic, payload, headers)

    def _wanted(self, topic: str) -> bool:
        return not self._topics or topic in self._names or topic.startswith(self._prefixes)

    # -- the conversation --

    def _turn(self, wait: float) -> None:
        """Waits for frames, but no longer than `wait`, and does what is to be done."""
        poller = zmq.Poller()
        if self._connection:
            self._connection.register(poller)
        poller.poll(1000 * wait)
        now = time.monotonic()
        if self._open or now > self._turned_at + 1.0:  # the caller was away, not the servers
            self._served_at = now
        self._turned_at = now
        if self._over:
            return
        try:
            self._converse(now)
        except Leave as why:
            self._route.leave(why)
            if self._connection:
                self._connection.close()
            self._connection, self._open, self._ack_under_way = None, False, False
        if now > self._served_at + self._timeout:
            self._served_at = now  # told once in a timeout
            self._error = self._error or Error(
                "unavailable", "no", f"no server has served this subscription for {self._timeout} "
                f"s: {self._route.trouble}")

    def _converse(self, now: float) -> None:
        if not self._connection:
            if now >= self._route.at:
                patience = self._timeout / (len(self._route.endpoints) + 1)  # some may be down
                self._connection = Connection(self._route.endpoint, self._cluster, self._history, 0,
                                              NO_ID, 0, patience=patience)
            return
        while self._connection and (received := self._connection.receive()):
            self._on_frame(*received)
        if not self._connection:
            return
        self._connection.tick()
        if self._open:
            if not self._complete:
                self._grant_credit()
            self._send_ack(now)
        elif self._connection.welcomed and now > self._subscribed_by:
            if len(self._route.endpoints) > 1:
                raise Leave("no answer to SUBSCRIBE: it may have to catch up")

    def _on_frame(self, frame: Frame, body: bytes) -> None:
        if frame.command == "WELCOME" and not self._connection.welcomed:
            self._connection.welcomed = True
            # Whatever server comes next, it must have the same history.
            self._cluster, self._history = frame.cluster, frame.history
            self._refused_by.clear()
            if self._complete:
                self._open = True
            else:
                self._subscribe()
        elif frame.command == "CURSOR-MOVED" and frame.request == self._ack_request:
            self._ack_under_way = False
            self._ack_confirmed = max(frame.offset, self._ack_confirmed or 0)
        elif frame.command == "REFUSED" and frame.about == ABOUT_CURSOR:
            if frame.id == self._ack_request:
                self._on_cursor_refused(frame)
        elif frame.command == "PONG" and self._open:
            self._route.succeeded()
        elif frame.command == "REFUSED" and frame.about == ABOUT_CONNECTION:
            self._on_connection_refused(frame)
        elif frame.command == "REFUSED" and frame.about == ABOUT_SUBSCRIBE:
            if frame.id == self._subscription:
                self._on_subscribe_refused(frame)
        elif getattr(frame, "subscription", 0) == self._subscription != 0:
            if frame.command == "GAP":
                self._on_gap_frame(frame.first, "what was asked for is no longer kept: the log "
                                   f"begins with offset {frame.first}")
            elif frame.command == "SUBSCRIBED" and not self._open:
                self._on_subscribed(frame)
            elif frame.command == "DELIVER" and self._open:
                self._on_deliver(frame, body)
            elif frame.command == "COVERED" and self._open and frame.up_to >= self._next:
                self._on_bad(f"it has sent up to {frame.up_to}, but {self._next} did not come")

    def _subscribe(self) -> None:
        start = at_offset(self._next) if self._next else self._start  # rule 2
        self._subscription += 1
        self._first_batch = True
        self._owed = 0, 0
        queued = sum(d.messages for d in self._deliveries), sum(d.bytes for d in self._deliveries)
        credit = (max(window - used, 0) for window, used in zip(self._window, queued))
        self._subscribed_by = time.monotonic() + min(
            self.SUBSCRIBE_PATIENCE, self._timeout / (len(self._route.endpoints) + 1))
        cursor = [self._cursor] if self._cursor is not None and not self._next else []
        # The end stays what it was first said to be.
        self._connection.send(SUBSCRIBE, self._subscription, start.kind, start.offset, start.epoch,
                              start.counter, self._until_end and self._end is None, *credit,
                              sorted(self._topics), start.time, *cursor)

    def _send_ack(self, now: float) -> None:
        settled = self._ack_wanted is None or self._ack_wanted <= (
            -1 if self._ack_confirmed is None else self._ack_confirmed)
        if settled or self._ack_under_way or now < self._ack_at:
            return
        self._ack_under_way = True
        self._ack_request += 1
        self._connection.send(MOVE_CURSOR, self._ack_request, self._cursor, self._ack_wanted, False)

    def _on_cursor_refused(self, refused: Frame) -> None:
        self._ack_under_way, self._ack_at = False, time.monotonic() + 0.1
        if refused.code not in ("unavailable", "busy", "no_space", "unknown_outcome"):
            self._finish(Error(refused.code, refused.outcome,
                               f"cursor {self._cursor}: {refused.text}"))

    def _on_subscribed(self, subscribed: Frame) -> None:
        if subscribed.next == 0 or self._next not in (0, subscribed.next):
            self._on_bad(f"it would begin with {subscribed.next}, not {self._next}")
        if self._until_end and self._end is None:
            if not subscribed.has_end:
                self._on_bad("it did not tell the end")
            self._end = subscribed.end
        if subscribed.from_cursor:
            self._since = 0
        self._open = True
        self._position = self._position or subscribed.next
        if self._cursor is not None and not self._next:
            self._ack_wanted = subscribed.next - 1  # so that a new cursor exists
        self._next = subscribed.next
        self._check_complete()

    def _on_gap_frame(self, available: int, text: str) -> None:
        due = self._next or (0 if self._cursor else self._start.offset)  # it may stand anywhere
        if not self._on_gap:
            return self._finish(Error("gap", "no", f"{self._route.endpoint}: {text}",
                                      first=available))
        if available <= due or not available:
            self._on_bad("it keeps what it says it does not")
        if not self._next:
            self._since = 0  # all that is kept is younger, or it was a cursor that lies below
        self._deliveries.append(Delivery([], available, available - 1, 0, 0, gap=(due, available)))
        if len(self._deliveries) == 1:
            self._messages = iter(())
        self._next, self._open = available, False
        self._position = self._position or available
        self._check_complete()
        if self._connection and not self._complete:
            self._subscribe()

    def _on_deliver(self, frame: Frame, body: bytes) -> None:
        if frame.after + 1 != self._next or frame.up_to < frame.after:  # rule 3
            self._on_bad(f"a frame behind {frame.after} came where {self._next} was due")
        try:
            batches = [record for record in parse_records(body) if record.kind == KIND_BATCH]
        except Malformed as error:
            self._on_bad(str(error))
        due = self._next  # rules 4 and 5
        for batch in batches:
            after_it = batch.offset + batch.count
            begins_below = self._first_batch and 0 < batch.offset < due < after_it
            if batch.count == 0 or not (batch.offset == due or begins_below):
                self._on_bad(f"offset {batch.offset} came where {due} was due")
            self._first_batch, due = False, after_it
        if due != frame.up_to + 1:
            self._on_bad(f"records up to {due - 1} came where {frame.up_to} was announced")
        self._bad = 0
        self._route.succeeded()
        last = frame.up_to if self._end is None else min(frame.up_to, self._end)
        self._deliveries.append(
            Delivery(batches, self._next, last, frame.up_to - frame.after, len(body),
                     self._since))
        if len(self._deliveries) == 1:
            self._messages = self._walk(self._deliveries[0])
        self._next = due
        self._check_complete()

    def _grant_credit(self) -> None:  # rule 6; by halves: a frame for each message costs too much
        if any(2 * owed > window for owed, window in zip(self._owed, self._window)):
            self._connection.send(CREDIT, self._subscription, *self._owed)
            self._owed = 0, 0

    def _check_complete(self) -> None:
        if self._end is not None and self._next > self._end:
            self._complete = True
            if self._cursor is None:
                return self._finish()
            self._connection.send(UNSUBSCRIBE, self._subscription)  # acknowledgements are to come
            self._subscription += 1

    def _on_bad(self, what: str) -> NoReturn:
        """Subscribing again repairs what was lost. What no server gets right is told, not
        skipped."""
        self._bad += 1
        if self._bad >= self.BAD_MAX:
            self._over = True
            self._error = Error("protocol", "no", f"{self._route.endpoint}: {what}")
        raise Leave(what)

    def _on_connection_refused(self, refused: Frame) -> None:
        if not self._next and refused.code in FINAL + ("protocol",):
            # Another server may think otherwise, when one endpoint is of another cluster.
            self._refused_by.add(self._route.endpoint)
            if self._refused_by.issuperset(self._route.endpoints):
                return self._finish(Error(
                    refused.code, "no", f"{self._route.endpoint}: {refused.text}"))
        raise Leave(refused.text)

    def _on_subscribe_refused(self, refused: Frame) -> None:
        if refused.code in ("unavailable", "busy", "no_space", "unknown_outcome"):
            raise Leave(refused.text)
        if refused.code == "gap":
            return self._on_gap_frame(refused.first_offset, refused.text)
        bound = refused.last_offset if refused.code == "refused" else None
        self._finish(Error(refused.code, "no", f"{self._route.endpoint}: {refused.text}",
                           first=bound))

    def _finish(self, error: Error | None = None) -> None:
        self._over, self._open = True, False
        self._error = error or self._error
        if self._connection:
            self._connection.close(bye=True)
        self._connection = None


# --- status ---

ROLES = ("looking", "leader", "follower", "observer")
PHASES = ("election", "discovery", "synchronization", "broadcast")


class ServerStatus(NamedTuple):
    """What a server says of itself; of one that does not answer only id and client are known."""
    id: int | None
    client: str
    role: str = "unreachable"
    phase: str | None = None
    epoch: int | None = None
    last_logged: Zxid | None = None
    last_committed: Zxid | None = None
    first_offset: int | None = None
    last_offset: int | None = None
    durability: str | None = None
    standing: str | None = None
    counters: Mapping[str, int] | None = None


class ClusterStatus(NamedTuple):
    """leader: the server that itself says it leads in broadcast, with the greatest epoch."""
    leader: int | None
    servers: list[ServerStatus]


def status(endpoints: str | Iterable[str] | None = None, timeout: float = 1.0) -> ClusterStatus:
    """Asks all servers at once, those too that an answer names, each for at most `timeout`."""
    wanted, named = list(Route(endpoints).endpoints), {}
    answers: dict[str, ServerStatus | None] = {}
    asked: dict[Connection, float] = {}
    while asked or wanted:
        for endpoint in set(wanted) - set(answers):
            answers[endpoint] = None
            try:
                connection = Connection(endpoint, NO_ID, NO_ID, 0, NO_ID, 0)
                asked[connection] = time.monotonic() + timeout
                connection.send(STATUS, 1)
            except Leave:
                pass
        wanted = []
        poller = zmq.Poller()
        for connection in asked:
            connection.register(poller)
        poller.poll(50)
        for connection, deadline in list(asked.items()):
            try:
                while (received := connection.receive()) and received[0].command != "STATUS-ANSWER":
                    pass
                if not received and time.monotonic() < deadline:
                    continue
                if received:
                    answer = received[0]
                    answers[connection.endpoint] = _server_status(connection.endpoint, answer)
                    named.update((name, server) for server, name in answer.servers)
                    wanted += (name for name in named if name not in answers)
            except Leave:
                pass
            connection.close(bye=True)
            del asked[connection]
    servers = [answer or ServerStatus(named.get(endpoint), endpoint)
               for endpoint, answer in answers.items()]
    leaders = [(s.epoch, s.id) for s in servers if (s.role, s.phase) == ("leader", "broadcast")]
    servers.sort(key=lambda server: (server.id is None, server.id, server.client))
    return ClusterStatus(max(leaders)[1] if leaders else None, servers)


def _server_status(endpoint: str, answer: Frame) -> ServerStatus:
    counters = (counter.partition("=") for counter in answer.counters)
    return ServerStatus(answer.server, endpoint, ROLES[answer.role], PHASES[answer.phase],
                        answer.epoch, Zxid(answer.logged_epoch, answer.logged_counter),
                        Zxid(answer.committed_epoch, answer.committed_counter),
                        answer.first_offset, answer.last_offset, answer.durability, answer.standing,
                        {name: int(value) for name, _, value in counters})
