# Publishing test: receipts, limits, failover, unknown outcomes, sleeping clients.
import json
import os
import signal
import subprocess
import sys
import threading
import unittest

from support import BOUND, CLIENT, ROOT, Child, ClusterTest, eventually, zabmq


class Publishing(ClusterTest):
    def test_a_message_and_its_receipt(self):
        publisher = self.publisher()

        receipts = [publisher.publish("orders", b"\x00\xff", {"k": "v", "\u00e9": ""}),
                    publisher.publish("prices/\u00e9", "text"), publisher.publish("orders", b"")]

        self.assertEqual([(r.offset, r.sequence) for r in receipts], [(1, 1), (2, 2), (3, 3)])
        self.assertEqual(sorted(r.zxid for r in receipts), [r.zxid for r in receipts])
        messages = self.everything()
        self.assertEqual([(m.topic, m.payload, m.headers) for m in messages],
                         [("orders", b"\x00\xff", {"k": "v", "\u00e9": ""}),
                          ("prices/\u00e9", b"text", {}), ("orders", b"", {})])
        self.assertEqual([m.zxid for m in messages], [r.zxid for r in receipts])
        seen = self.cluster.tool("sub", "--from", "first", "--count", "2", "--json").stdout
        self.assertEqual([json.loads(line)["zxid"] for line in seen.splitlines()],
                         [str(r.zxid) for r in receipts[:2]])

    def test_limits_and_bad_arguments_use_no_sequence(self):
        publisher = self.publisher(window=2)

        for topic in ("", "a*", "a\n", "a\x85", "x" * 201, "\ud800"):
            self.assert_error("protocol", "no", publisher.publish, topic, b"")
        self.assert_error("too_large", "no", publisher.publish, "t", bytes((1 << 20) + 1))
        self.assert_error("too_large", "no", publisher.publish, "t", b"", {"k": "v" * 70000})
        self.assertEqual(publisher.publish("t", bytes(1 << 20)).sequence, 1)

    def test_a_batch_is_one_transaction(self):
        publisher = self.publisher()
        publisher.publish("t", "1")

        receipt = publisher.publish_batch(
            [("a", b"x"), ("b", "", {"k": "v"}), ("a", bytes(1000))], expect_last_offset=1)

        self.assertEqual((receipt.offset, receipt.sequence), (2, 2))
        self.assertEqual(publisher.publish("t", "5").sequence, 5)
        messages = self.everything()
        self.assertEqual([m.topic for m in messages], ["t", "a", "b", "a", "t"])
        self.assertEqual([m.offset for m in messages if m.zxid == receipt.zxid], [2, 3, 4])
        self.assertEqual(messages[2].headers, {"k": "v"})
        late = self.assert_error("refused", "no", publisher.publish_batch, [("a", ""), ("b", "")],
                                 expect_last_offset=2)
        self.assertEqual(late.first, 5)
        self.assertEqual(publisher.publish_batch([("a", "6"), ("b", "7")]).sequence, 6)
        self.assertEqual(len(self.everything()), 7)

    def test_what_is_wrong_in_a_batch_stops_all_of_it(self):
        publisher = self.publisher()

        self.assert_error("protocol", "no", publisher.publish_batch, [])
        self.assert_error("protocol", "no", publisher.publish_batch, [("t", "1"), ("*", "2")])
        self.assert_error("too_large", "no", publisher.publish_batch,
                          [("t", "1"), ("t", bytes((1 << 20) + 1))])
        self.assert_error("too_large", "no", publisher.publish_batch, [("t", bytes(1 << 20))] * 2)
        self.assert_error("too_large", "no", publisher.publish_batch, [("t", "")] * 65536)

        self.assertEqual(publisher.publish_batch([("t", "")] * 65535).sequence, 1)
        self.assertEqual(publisher.publish("t", "end").sequence, 65536)
        self.assertTrue(publisher.flush())

    def test_batches_stay_whole_over_a_killed_leader(self):
        publisher = self.publisher()
        futures = []
        for i in range(600):
            futures.append(publisher.publish_batch_async(
                [("t", f"{i}.{j}") for j in range(1 + i % 5)], timeout=BOUND))
            if i == 300:
                futures[100].result(BOUND)
                self.cluster.kill(self.cluster.leader())
        receipts = [future.result(BOUND) for future in futures]

        self.assert_exactly([f"{i}.{j}" for i in range(600) for j in range(1 + i % 5)])
        counted: dict[zabmq.Zxid, int] = {}
        for message in self.everything():
            counted[message.zxid] = counted.get(message.zxid, 0) + 1
        batches = [counted[receipt.zxid] for i, receipt in enumerate(receipts) if i % 5]
        self.assertEqual(batches, [1 + i % 5 for i in range(600) if i % 5])

    def test_a_full_window_is_busy_and_nothing_is_lost(self):
        publisher = self.publisher(window=2)
        for server in self.cluster.followers():
            self.cluster.pause(server)
        futures = [publisher.try_publish("t", str(i), timeout=BOUND) for i in range(2)]

        self.assert_error("busy", "no", publisher.try_publish, "t", "2")
        self.assert_error("unavailable", "no", publisher.publish, "t", "2", timeout=0.05)

        for server in self.cluster.ids:
            self.cluster.go_on(server)
        self.assertEqual([f.result(BOUND).sequence for f in futures], [1, 2])
        self.assertEqual(publisher.publish("t", "2").sequence, 3)
        self.assert_exactly(["0", "1", "2"])

    def test_ten_thousand_pipelined_and_the_leader_killed_half_way(self):
        publisher = self.publisher()
        told: list[int] = []
        half = threading.Event()

        def count(future):
            told.append(future.result().sequence)
            if len(told) == 3000:
                half.set()

        futures = []
        for i in range(10000):
            futures.append(publisher.publish_async("t", f"{i:05}" + "x" * 200, timeout=BOUND))
            futures[-1].add_done_callback(count)
            if i == 5000:  # what is behind is on its way or waits while the leader dies
                self.assertTrue(half.wait(BOUND))
                self.cluster.kill(self.cluster.leader())
        receipts = [future.result(BOUND) for future in futures]

        self.assertTrue(publisher.flush())
        self.assertEqual(told, list(range(1, 10001)))
        self.assertEqual([r.sequence for r in receipts], list(range(1, 10001)))
        self.assertEqual([r.offset for r in receipts], list(range(1, 10001)))
        self.assert_exactly([f"{i:05}" + "x" * 200 for i in range(10000)])

    def test_three_leaders_killed_one_after_another(self):
        publisher = self.publisher()
        for round_number in range(3):
            futures = [publisher.publish_async("t", f"{round_number}.{i}", timeout=BOUND)
                       for i in range(500)]
            leader = self.cluster.leader()
            self.cluster.kill(leader)
            self.assertEqual(len({f.result(BOUND).offset for f in futures}), 500)
            self.cluster.start(leader)
        self.assert_exactly([f"{r}.{i}" for r in range(3) for i in range(500)])

    def test_unknown_outcome_then_retry(self):
        publisher = self.publisher()
        self.assertEqual(publisher.publish("t", "1").sequence, 1)
        for server in self.cluster.followers():
            self.cluster.pause(server)
        first = publisher.publish_async("t", "2", timeout=0.5)

        error = self.assert_error("unknown_outcome", "maybe", first.result)
        self.assertEqual(error.sequence, 2)
        # Nothing may overtake it, whether it was taken or not.
        self.assert_error("refused", "no", publisher.publish, "t", "3")
        again = self.assert_error("unknown_outcome", "maybe", publisher.retry, 2, timeout=0.3)
        self.assertEqual(again.sequence, 2)
        self.assert_error("refused", "no", publisher.retry, 1)

        for server in self.cluster.ids:
            self.cluster.go_on(server)
        receipt = publisher.retry(2, timeout=BOUND)
        self.assertEqual((receipt.sequence, receipt.offset), (2, 2))
        self.assertEqual(publisher.retry(2), receipt)
        self.assertEqual(publisher.publish("t", "3").sequence, 3)
        self.assert_exactly(["1", "2", "3"])

    def test_not_taken_then_another_message_under_the_same_sequence(self):
        publisher = self.publisher()
        publisher.publish("t", "1")
        leader, instance = self.cluster.leader(), publisher.instance
        followers = self.cluster.followers()
        for server in followers:
            self.cluster.kill(server)
        # The leader steps down, and then no server takes anything.
        eventually(lambda: self.cluster.counter(leader, "elections") >= 0
                   and zabmq.status(self.cluster.endpoint(leader)).leader is None)

        error = self.assert_error("unavailable", "no", publisher.publish, "t", "2", timeout=0.5)
        self.assertEqual(error.sequence, 2)
        for server in followers:
            self.cluster.start(server)
        self.cluster.leader()

        self.assertEqual(publisher.publish("t", "two", timeout=BOUND).sequence, 2)
        self.assertGreaterEqual(publisher.instance, instance)
        self.assert_exactly(["1", "two"])

    def test_close_ends_the_publisher_and_frees_its_entry(self):
        publisher = self.publisher()
        publisher.publish("t", "1")
        leader = self.cluster.leader()
        self.assertEqual(self.cluster.counter(leader, "publishers"), 1)

        publisher.close()

        self.assertEqual(self.cluster.counter(leader, "publishers"), 0)
        self.assert_error("refused", "no", publisher.publish, "t", "2")
        self.assert_exactly(["1"])

    def test_stop_gives_everything_an_outcome(self):
        publisher = self.publisher()
        for server in self.cluster.followers():
            self.cluster.pause(server)
        futures = [publisher.publish_async("t", str(i), timeout=BOUND) for i in range(10)]

        publisher.stop()

        codes = {future.exception(0).code for future in futures}
        self.assertLessEqual(codes, {"unavailable", "unknown_outcome"})
        self.assertFalse(publisher.flush())

    def test_no_cluster_there(self):
        endpoints = self.cluster.endpoints
        self.cluster.stop()
        self.assert_error("unavailable", "no", zabmq.Publisher, endpoints, timeout=0.5)
        self.assert_error("unavailable", "no", zabmq.Subscriber, endpoints, timeout=0.5)
        self.assertEqual({s.role for s in zabmq.status(endpoints).servers}, {"unreachable"})

    def test_status_names_every_server(self):
        leader, (down, _) = self.cluster.leader(), self.cluster.followers()
        self.cluster.kill(down)

        status = zabmq.status(self.cluster.endpoint(leader))

        self.assertEqual(status.leader, leader)
        self.assertEqual([s.id for s in status.servers], [1, 2, 3])
        self.assertEqual([s.id for s in status.servers if s.role == "unreachable"], [down])
        self.assertEqual(status.servers[leader - 1].phase, "broadcast")


    def test_the_example(self):
        example = [sys.executable, ROOT / "examples/python/lines.py", "t"]
        environment = {**os.environ, "PYTHONPATH": str(CLIENT),
                       "ZABMQ_ENDPOINTS": ",".join(self.cluster.endpoints)}
        ran = subprocess.run(example, input="one\ntwo\n", text=True, env=environment, timeout=BOUND,
                             capture_output=True)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertEqual([line.split()[::2] for line in ran.stdout.splitlines()],
                         [["1", "one"], ["2", "two"]])

    def test_the_example_tells_a_mistake_in_one_line(self):
        def run(*words, **environment):
            return subprocess.run([sys.executable, ROOT / "examples/python/lines.py", *words],
                                  input="", text=True, capture_output=True, timeout=BOUND,
                                  env={"PYTHONPATH": str(CLIENT), **environment})
        modules = self.cluster.path / "modules"
        modules.mkdir()
        (modules / "zmq.py").write_text("raise ModuleNotFoundError('', name='zmq')")
        for ran, told in ((run(), "usage: lines.py TOPIC"), (run("--nonsense"), "usage: "),
                          (run("t", ZABMQ_ENDPOINTS="nonsense"), "'nonsense' is no endpoint"),
                          (run("t", PYTHONPATH=""), "set PYTHONPATH"),
                          (run("t", PYTHONPATH=f"{modules}:{CLIENT}"), "install python3-zmq")):
            self.assertEqual(ran.returncode, 1)
            self.assertIn(told, ran.stdout + ran.stderr)
            self.assertEqual(len((ran.stdout + ran.stderr).splitlines()), 1)
        self.assertEqual(run("--help").returncode, 0)


class SleepingPublisher(ClusterTest):
    settings = ("timing.client_timeout=1s",)

    def test_a_process_that_slept_goes_on_with_its_instance(self):
        child = Child(self.cluster.endpoints)
        self.addCleanup(child.kill)
        self.assertEqual(child.read(), ["open", "0", "1"])
        self.assertEqual(child.publish("1"), ["receipt", "1", "1"])
        leader = self.cluster.leader()
        child.signal(signal.SIGSTOP)
        eventually(lambda: self.cluster.counter(leader, "connections") == 1)  # the one that asks
        resets = self.cluster.counter(leader, "resets")

        child.signal(signal.SIGCONT)

        self.assertEqual(child.publish("2"), ["receipt", "2", "1"])
        self.assertGreater(self.cluster.counter(leader, "resets"), resets)
        self.assert_exactly(["1", "2"])

    def test_an_idle_publisher_is_not_forgotten(self):
        publisher = self.publisher()
        leader = self.cluster.leader()
        publisher.publish("t", "1")
        other = Child(self.cluster.endpoints)  # a measure of time: this one is forgotten
        self.addCleanup(other.kill)
        other.read()
        other.signal(signal.SIGSTOP)
        eventually(lambda: self.cluster.counter(leader, "connections") == 2)
        resets = self.cluster.counter(leader, "resets")

        self.assertEqual(publisher.publish("t", "2").sequence, 2)

        self.assertEqual(self.cluster.counter(leader, "resets"), resets)
        other.signal(signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()
