# Bytes test: the golden bytes of docs/wire.md, and what a reader must refuse.
import json
import re
import unittest

import msgpack

from support import ROOT, zabmq

IDS = {"C": bytes(range(0x10, 0x20)), "H": bytes(range(0x20, 0x30)), "P": bytes(range(0x30, 0x40))}


def code_blocks(heading: str) -> list[str]:
    """The code blocks of a section of docs/wire.md."""
    text = (ROOT / "docs/wire.md").read_text()
    begin = text.index(heading)
    end = re.compile("^#", re.MULTILINE).search(text, begin + len(heading)).start()
    return re.findall(r"```\n(.*?)```", text[begin:end], re.DOTALL)


def golden_frames() -> list[tuple[str, list, bytes]]:
    """(name, array, header) of each frame in section 4.7."""
    frames = re.findall(r"^([A-Z-]+) (\[.*?\])\n((?:  [0-9a-f ]+\n)+)", code_blocks("### 4.7")[1],
                        re.DOTALL | re.MULTILINE)
    parsed = []
    for name, array, digits in frames:
        values = json.loads(re.sub(r"\b([CHP])\b", r'"\1"', array))
        parsed.append((name, [IDS.get(v, v) if isinstance(v, str) else v for v in values],
                       bytes.fromhex(digits)))
    return parsed


def sealed(array: bytes) -> bytes:
    return zabmq.checksum(array).to_bytes(8, "little") + array


class Bytes(unittest.TestCase):
    def test_frames_have_the_golden_bytes(self):
        frames = golden_frames()
        self.assertEqual(len(frames), 19)
        for name, array, header in frames:
            with self.subTest(name):
                self.assertEqual(zabmq.encode(*array).hex(), header.hex())

    def test_frames_of_servers_decode_to_their_values(self):
        frames = {name: (array, header) for name, array, header in golden_frames() if array[0] > 64}
        self.assertEqual(len(frames), 9)
        for name, (array, header) in frames.items():
            with self.subTest(name):
                frame = zabmq.decode(header)
                self.assertEqual(frame.command, name)
                values = list(vars(frame).values())[1:]
                if name == "REFUSED":
                    self.assertEqual((frame.code, frame.outcome), ("unavailable", "maybe"))
                    values[2:4] = 1, 1
                values = [v for v in values if v is not None]  # optional, and left out
                self.assertEqual(values, array[1:])

    def test_any_flipped_bit_of_a_header_is_noticed(self):
        for name, array, header in golden_frames():
            for bit in range(8 * len(header)):
                damaged = bytearray(header)
                damaged[bit // 8] ^= 1 << bit % 8
                with self.assertRaises(zabmq.Malformed, msg=name):
                    zabmq.decode(bytes(damaged))

    def test_headers_of_another_form_are_refused(self):
        for name, array, header in golden_frames():
            if array[0] < 64:
                continue
            with self.subTest(name):
                longer = msgpack.packb(array + [None, {"more": 1}])
                self.assertEqual(zabmq.decode(sealed(longer)), zabmq.decode(header))
                for i, value in enumerate(array):
                    other_type = 1 if isinstance(value, str) else ""
                    for other in (-1, None, "x" * 5000, b"x" * 15, other_type):
                        other_array = array[:i] + [other] + array[i + 1:]
                        with self.assertRaises(zabmq.Malformed, msg=other_array):
                            zabmq.decode(sealed(msgpack.packb(other_array)))
                    with self.assertRaises(zabmq.Malformed):
                        zabmq.decode(sealed(msgpack.packb(array[:i])))
                with self.assertRaises(zabmq.Malformed):
                    zabmq.decode(header + b"\xc0")
                with self.assertRaises(zabmq.Malformed):
                    zabmq.decode(sealed(header[8:] + b"\xc0"))
        for junk in (b"", b"1234567", b"12345678", sealed(b""), sealed(b"\xc1"), sealed(b"\x90"),
                     sealed(b"\x91\x90"), sealed(b"\x80"), sealed(b"\x91\x01"),
                     sealed(b"\x91" * 2000)):
            with self.assertRaises(zabmq.Malformed, msg=junk):
                zabmq.decode(junk)

    def test_a_batch_body_has_the_golden_bytes(self):
        (golden, _) = code_blocks("### 4.7")
        body = bytes.fromhex(golden)

        self.assertEqual(zabmq.encode_message("t", b"pay", {"k": "v"})
                         + zabmq.encode_message("up", "", None), body)
        self.assertEqual(list(zabmq.decode_messages(memoryview(body), 2)),
                         [("t", b"\x81\xa1k\xa1v", b"pay"), ("up", b"", b"")])
        for count, wrong in ((1, body), (3, body), (2, body[:-1]), (2, body + b"\0"), (1, b"")):
            with self.assertRaises(zabmq.Malformed):
                list(zabmq.decode_messages(memoryview(wrong), count))

    def test_a_record_has_the_golden_bytes(self):
        golden = bytes.fromhex(code_blocks("## 3.")[0])
        expected = (1, 1, zabmq.Zxid(7, 42), 1234, 0x0006123456789abc, b"hello")

        self.assertEqual(list(zabmq.parse_records(golden)), [expected])
        self.assertEqual(list(zabmq.parse_records(golden * 3)), [expected] * 3)
        self.assertEqual(list(zabmq.parse_records(b"")), [])

    def test_any_flipped_bit_of_a_record_is_noticed(self):
        golden = bytes.fromhex(code_blocks("## 3.")[0])
        for bit in range(8 * len(golden)):
            damaged = bytearray(golden)
            damaged[bit // 8] ^= 1 << bit % 8
            with self.assertRaises(zabmq.Malformed, msg=bit):
                list(zabmq.parse_records(bytes(damaged)))
        for size in range(1, len(golden)):
            with self.assertRaises(zabmq.Malformed):
                list(zabmq.parse_records(golden[:size]))
        with self.assertRaises(zabmq.Malformed):
            list(zabmq.parse_records(bytes(136)))

    def test_a_session_file_has_the_golden_bytes(self):
        (golden,) = code_blocks("### 4.6")
        ids = bytes(range(0x40, 0x50)), IDS["C"], IDS["H"]

        taken = zabmq.InputDigest().add(b"orders", b"first").add(b"orders", b"second")
        self.assertEqual(zabmq.Session(*ids, 3, 17, taken).to_text(), golden)
        self.assertEqual(zabmq.Session.from_text(golden), (*ids, 3, 17, taken))
        older = zabmq.Session(*ids, 3, 17)
        self.assertEqual(zabmq.Session.from_text(older.to_text(version=1)), older)
        for wrong in ("", golden[:-1], golden + " ", golden.replace("17", "18"), "\n" * 7,
                      golden.replace("zabmq-session 2", "zabmq-session 3"),
                      golden.replace("input 2", "input 18"), "zabmq-session 2\n" * 8):
            with self.assertRaises(ValueError):
                zabmq.Session.from_text(wrong)


if __name__ == "__main__":
    unittest.main()
