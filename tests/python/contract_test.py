# Contract test: conditional publishes, gaps and resume tokens, with scripted and with real servers.
import unittest

from fake_server import (CLUSTER, HELLO, HISTORY, PUBLISH, SUBSCRIBE, FakeServerTest, record)
from support import BOUND, Cluster, ClusterTest, eventually, free_ports, zabmq

GAP, SUBSCRIBED, DELIVER = 70, 68, 69
MOVE_CURSOR = 10


class Conditions(FakeServerTest):
    def open(self, **options):
        opening = self.start(zabmq.Publisher, self.server.endpoint, timeout=BOUND, **options)
        self.server.expect(HELLO)
        self.server.welcome(instance=1)
        publisher = opening.result(BOUND)
        self.addCleanup(publisher.stop)
        return publisher

    def expect_publish(self, first, payload, *condition, instance=1):
        elements, body = self.server.expect(PUBLISH)
        self.assertEqual(elements, [instance, first, 1, zabmq.checksum(body), *condition])
        self.assertEqual(body, zabmq.encode_message("t", payload, None))

    def refuse_condition(self, sequence, expected, last):
        self.server.send(67, 1, sequence, 2, 0, "because", 0, False, "", False, 0, last, expected)

    def test_a_refused_condition_fails_alone_and_what_is_behind_takes_its_place(self):
        publisher = self.open()
        first = publisher.publish_async("t", "1", expect_last_offset=0)
        second = publisher.publish_async("t", "2")
        self.expect_publish(1, "1", 0)

        self.refuse_condition(1, 0, 9)

        self.assertEqual(self.assert_error("refused", "no", first).first, 9)
        self.expect_publish(1, "2")
        self.server.receipt(1, 1, 10)
        self.assertEqual(second.result(BOUND).sequence, 1)

    def test_a_condition_refused_to_a_second_copy_is_asked_again_under_a_new_instance(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1", expect_last_offset=4)
        self.expect_publish(1, "1", 4)
        self.server.reset()
        self.assertEqual(self.server.expect(HELLO)[0][6], 1)
        self.server.welcome(instance=1)
        self.expect_publish(1, "1", 4)

        self.refuse_condition(1, 4, 5)  # the first copy may still arrive somewhere
        self.assertEqual(self.server.expect(HELLO)[0][6], 0)
        self.server.welcome(instance=2, last=1)  # it did
        self.expect_publish(1, "1", 4, instance=2)
        self.server.receipt(1, 1, 5)

        self.assertEqual(future.result(BOUND).offset, 5)

    def test_a_server_that_forwards_serves_when_its_leader_is_out_of_reach(self):
        opening = self.start(zabmq.Publisher, self.server.endpoint, timeout=BOUND)
        gone = self.new_server()
        gone.close()
        for hello in range(2):
            self.server.expect(HELLO)
            self.server.send(65, 1, CLUSTER, HISTORY, 0, 1, 2, gone.endpoint, True, 1, 0, 1 << 20,
                             2 << 20, 1000)
        publisher = opening.result(BOUND)
        self.addCleanup(publisher.stop)
        future = publisher.publish_async("t", "1")
        self.expect_publish(1, "1")
        self.server.receipt(1, 1, 1)
        self.assertEqual(future.result(BOUND).offset, 1)


class SubscribeTest(FakeServerTest):
    def subscribe(self, **options):
        opening = self.start(zabmq.Subscriber, self.server.endpoint, timeout=BOUND, **options)
        self.hello, _ = self.server.expect(HELLO)
        self.server.welcome()
        return opening, self.server.expect(SUBSCRIBE)[0]


class Gaps(SubscribeTest):
    def test_below_what_is_kept_the_subscriber_stops(self):
        opening, request = self.subscribe(start=zabmq.at_offset(2))
        self.server.send(GAP, request[0], 4)
        self.assertEqual(self.assert_error("gap", "no", opening).first, 4)

    def test_or_jumps_and_tells_before_the_message(self):
        told = []
        opening, request = self.subscribe(
            start=zabmq.at_offset(2), on_gap=lambda due, available: told.append((due, available)))
        self.server.send(GAP, request[0], 4)
        request, _ = self.server.expect(SUBSCRIBE)
        self.assertEqual(request[1:3], [2, 4])
        self.server.send(SUBSCRIBED, request[0], 4, 0, False, False)
        subscriber = opening.result(BOUND)
        self.addCleanup(subscriber.close)
        self.server.send(DELIVER, request[0], 3, 4, body=record(4, ["x"]))

        self.assertEqual(subscriber.next(BOUND).offset, 4)

        self.assertEqual(told, [(2, 4)])
        self.assertEqual(subscriber.resume_token, f"{CLUSTER.hex()}.{HISTORY.hex()}.5")

    def test_a_token_names_cluster_and_history(self):
        opening, request = self.subscribe(
            start=zabmq.at_token(f"{CLUSTER.hex()}.{HISTORY.hex()}.5"))
        self.assertEqual(self.hello[2:4], [CLUSTER, HISTORY])
        self.assertEqual(request[1:3], [2, 5])
        self.server.send(SUBSCRIBED, request[0], 5, 0, False, False)
        opening.result(BOUND).close()
        for text in ("", "5", "a.b.5", f"{CLUSTER.hex()}.{HISTORY.hex()}.0"):
            with self.assertRaises(zabmq.Error):
                zabmq.at_token(text)


class CursorsAndTimes(SubscribeTest):
    """What is older than a start at a time is left out, unless a cursor decided the start."""

    def first_of(self, exists):
        opening, request = self.subscribe(start=zabmq.at_time(2000), cursor="c")  # records: 1000
        self.server.send(SUBSCRIBED, request[0], 4, 0, False, exists)
        subscriber = opening.result(BOUND)
        self.addCleanup(subscriber.close)
        waiting = self.start(subscriber.next, BOUND)
        self.server.expect(MOVE_CURSOR)
        self.server.send(DELIVER, request[0], 3, 4, body=record(4, ["old"]))
        self.server.send(DELIVER, request[0], 4, 5, body=record(5, ["new"], time=3000))
        return waiting.result(BOUND).payload

    def test_a_cursor_that_exists_leaves_nothing_out_whatever_the_time(self):
        self.assertEqual(self.first_of(exists=True), b"old")

    def test_a_new_cursor_begins_at_the_time(self):
        self.assertEqual(self.first_of(exists=False), b"new")

    def test_a_cursor_below_what_is_kept_leaves_nothing_out(self):
        opening, request = self.subscribe(start=zabmq.at_time(2000), cursor="c",
                                          on_gap=lambda due, available: None)
        self.server.send(GAP, request[0], 4)
        request, _ = self.server.expect(SUBSCRIBE)
        self.server.send(SUBSCRIBED, request[0], 4, 0, False, False)
        subscriber = opening.result(BOUND)
        self.addCleanup(subscriber.close)
        waiting = self.start(subscriber.next, BOUND)
        self.server.send(DELIVER, request[0], 3, 4, body=record(4, ["old"]))
        self.assertEqual(waiting.result(BOUND).payload, b"old")


class RealServers(ClusterTest):
    def test_of_writers_with_the_same_condition_one_succeeds(self):
        publishers = [self.publisher() for _ in range(4)]
        for round_ in range(5):
            futures = [p.publish_async("t", f"{round_}", expect_last_offset=round_)
                       for p in publishers]
            errors = [future.exception(BOUND) for future in futures]
            self.assertEqual(errors.count(None), 1)
            for error in filter(None, errors):
                self.assertEqual((error.code, error.outcome), ("refused", "no"), error.text)
        self.assert_exactly([f"{i}" for i in range(5)])

    def test_a_condition_through_a_change_of_leader(self):
        publisher = self.publisher(timeout=BOUND)
        for i in range(30):
            future = publisher.publish_async("t", f"{i}", expect_last_offset=i)
            if i % 10 == 5:
                leader = self.cluster.leader()
                self.cluster.kill(leader)
                self.assertEqual(future.result(BOUND).offset, i + 1)
                self.cluster.start(leader)
            self.assertEqual(future.result(BOUND).offset, i + 1)
        self.assert_exactly([f"{i}" for i in range(30)])

    def test_a_token_of_another_cluster_is_refused_by_name(self):
        self.publisher().publish("t", "1")
        with self.subscriber(start=zabmq.first()) as subscriber:
            subscriber.next(BOUND)
            token = subscriber.resume_token
        with self.subscriber(start=zabmq.at_token(token), until_end=True) as subscriber:
            self.assertIsNone(subscriber.next(BOUND))
        other = self.new_cluster()
        error = self.assert_error("refused", "no", self.subscriber, endpoints=other.endpoints,
                                  start=zabmq.at_token(token))
        self.assertIn("cluster mismatch", error.text)
        self.assertIn(token.split(".")[0], error.text)


class HiddenCluster(Cluster):
    """Each server tells clients of the others at ports where nobody listens: a client can use only
    those that it was given."""

    def start(self, server):
        if not hasattr(self, "_hidden"):
            self._hidden = dict(zip(self.ids, free_ports(len(self.ids))))
            self._whole_list = self._list.split(",")
        words = []
        for i, word in zip(self.ids, self._whole_list):
            front, _, port = word.rpartition(":")
            words.append(f"{front}:{port if i == server else self._hidden[i]}")
        self._list = ",".join(words)
        super().start(server)


class Forwarding(ClusterTest):
    def new_cluster(self):
        cluster = HiddenCluster(self.servers, self.settings)
        self.addCleanup(cluster.stop)
        return cluster

    def test_a_publisher_that_reaches_one_follower_only(self):
        follower = self.cluster.followers()[0]
        publisher = zabmq.Publisher(self.cluster.endpoint(follower), timeout=BOUND)
        self.addCleanup(publisher.stop)

        receipts = publisher.publish_many([("t", f"{i}") for i in range(500)])
        with self.assertRaises(zabmq.Error) as raised:
            publisher.publish("t", "late", expect_last_offset=3)

        self.assertEqual(raised.exception.first, 500)
        self.assertEqual([r.offset for r in receipts], list(range(1, 501)))
        self.assertGreater(self.cluster.counter(follower, "forwarded"), 1)
        self.assertEqual(publisher.publish("t", "500").sequence, 501)
        publisher.close()
        self.assert_exactly([f"{i}" for i in range(501)])

    def test_the_tool_at_one_follower_only(self):
        follower = self.cluster.followers()[0]
        text = "".join(f"{i}\n" for i in range(500))
        self.cluster.endpoints_of_tool = [self.cluster.endpoint(follower)]
        run = self.cluster.tool("pub", "t", "--lines", text=text)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertGreater(self.cluster.counter(follower, "forwarded"), 1)
        self.cluster.endpoints_of_tool = None
        self.assert_exactly(text.split())

    def test_the_leader_is_killed_while_forwarded_batches_are_on_their_way(self):
        leader = self.cluster.leader()
        publisher = zabmq.Publisher([self.cluster.endpoint(s) for s in self.cluster.followers()],
                                    timeout=BOUND)
        self.addCleanup(publisher.stop)
        futures = []
        for i in range(5000):
            futures.append(publisher.publish_async("t", f"{i}"))
            if i == 2500:
                eventually(futures[100].done)
                self.cluster.kill(leader)

        receipts = [future.result(BOUND) for future in futures]

        self.assertEqual([r.sequence for r in receipts], list(range(1, 5001)))
        self.assertEqual(sorted(r.offset for r in receipts), [r.offset for r in receipts])
        self.assert_exactly([f"{i}" for i in range(5000)])


if __name__ == "__main__":
    unittest.main()
