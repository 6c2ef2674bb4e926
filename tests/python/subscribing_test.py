# Subscribing test: starts, topics, ends, resuming anywhere, idle callers, other clusters.
import unittest

from support import BOUND, ClusterTest, eventually, zabmq


class Subscribing(ClusterTest):
    def publish(self, *payloads, topic="t"):
        with self.publisher() as publisher:
            return publisher.publish_many((topic, p) for p in payloads)

    def texts(self, count, subscriber):
        return [subscriber.next(BOUND).payload.decode() for _ in range(count)]

    def next_at_last(self, subscriber):
        """`unavailable` may be told some times before a server serves again."""
        def attempt():
            try:
                return subscriber.next(1)
            except zabmq.Error as error:
                self.assertEqual(error.code, "unavailable")
        return eventually(attempt)

    def test_every_start(self):
        receipts = self.publish("1", "2") + self.publish("3") + self.publish("4")

        self.assertEqual(self.texts(4, self.subscriber(start=zabmq.first())), ["1", "2", "3", "4"])
        self.assertEqual(self.texts(2, self.subscriber(start=zabmq.at_offset(3))), ["3", "4"])
        at_zxid = zabmq.at_zxid(*receipts[3].zxid)
        self.assertEqual(self.texts(1, self.subscriber(start=at_zxid)), ["4"])
        times = [m.time for m in self.subscriber(start=zabmq.first(), until_end=True)]
        self.assertEqual(self.texts(1, self.subscriber(start=zabmq.at_time(times[3]))), ["4"])
        ahead = self.subscriber(start=zabmq.at_time(times[3] + 3_600_000_000))
        self.assertEqual(ahead.next_offset, 5)
        fresh, end = self.subscriber(start=zabmq.new()), self.subscriber(start=zabmq.at_offset(5))
        self.assertEqual((fresh.next_offset, end.next_offset), (5, 5))
        self.assertIsNone(fresh.next(0))
        self.publish("5")
        self.assertEqual(self.texts(1, fresh) + self.texts(1, end), ["5", "5"])
        self.assertEqual(fresh.next_offset, 6)

    def test_a_start_inside_a_batch(self):
        self.publish(*map(str, range(1, 101)))

        subscriber = self.subscriber(start=zabmq.at_offset(50), until_end=True)

        self.assertEqual([m.offset for m in subscriber], list(range(50, 101)))

    def test_a_cursor_goes_on_behind_what_was_acknowledged(self):
        self.publish("1", "2", "3", "4")
        with self.subscriber(start=zabmq.first(), cursor="billing") as subscriber:
            self.assertEqual(self.texts(3, subscriber), ["1", "2", "3"])
            subscriber.ack(2, wait=True)
            self.assertEqual(subscriber.acknowledged, 2)
            with self.assertRaises(zabmq.Error):
                subscriber.ack(4)  # not taken yet
        with self.subscriber(start=zabmq.first(), cursor="billing", until_end=True) as subscriber:
            self.assertEqual([m.payload.decode() for m in subscriber], ["3", "4"])
            self.assertTrue(subscriber.at_end)
            subscriber.ack(wait=True)  # behind the end of an until_end subscription, too
        self.cluster.kill(self.cluster.leader())
        with self.subscriber(start=zabmq.first(), cursor="billing", until_end=True) as subscriber:
            self.assertEqual(list(subscriber), [])

    def test_a_cursor_is_acknowledged_inside_next(self):
        self.publish("1", "2")
        with self.subscriber(start=zabmq.first(), cursor="billing") as subscriber:
            self.texts(2, subscriber)
            subscriber.ack()
            self.assertTrue(eventually(
                lambda: subscriber.next(0.01) is None and subscriber.acknowledged == 2))

    def test_nothing_to_acknowledge_to(self):
        self.publish("1")
        with self.subscriber(start=zabmq.first()) as subscriber, self.assertRaises(zabmq.Error):
            subscriber.ack()
        with self.assertRaises(zabmq.Error):
            self.subscriber(cursor="a*")

    def test_a_start_beyond_the_end_is_refused(self):
        self.publish("1", "2")
        error = self.assert_error("refused", "no", self.subscriber, start=zabmq.at_offset(4))
        self.assertEqual(error.first, 2)
        self.assert_error("refused", "no", self.subscriber, start=zabmq.at_zxid(99, 1))
        self.assert_error("protocol", "no", self.subscriber, start=zabmq.at_offset(0))

    def test_topics_are_filtered_and_the_position_moves_on(self):
        for i in range(10):
            self.publish(str(i), topic="a" if i % 2 else "b")

        with self.subscriber(start=zabmq.first(), topics=["a", "c"], until_end=True) as subscriber:
            self.assertEqual([m.payload.decode() for m in subscriber], ["1", "3", "5", "7", "9"])
            self.assertEqual(subscriber.next_offset, 11)
        with self.subscriber(start=zabmq.first(), topics=["c"], until_end=True) as subscriber:
            self.assertEqual(list(subscriber), [])
            self.assertEqual((subscriber.next_offset, subscriber.at_end), (11, True))

    def test_until_end_of_an_empty_log(self):
        subscriber = self.subscriber(start=zabmq.first(), until_end=True)
        self.assertIsNone(subscriber.next())
        self.assertTrue(subscriber.at_end)

    def test_little_credit_gets_everything(self):
        payloads = [str(i) for i in range(2000)]
        self.publish(*payloads)

        for credit in ({"credit_messages": 1}, {"credit_bytes": 1}):
            with self.subscriber(start=zabmq.first(), until_end=True, **credit) as subscriber:
                self.assertEqual([m.payload.decode() for m in subscriber], payloads)

    def test_headers_that_are_malformed_hurt_only_who_asks_for_them(self):
        publisher = self.publisher()
        message = zabmq.MESSAGE.pack(1, 1, 0, 1) + b"t" + b"\xc1" + b"p"
        publisher._take([message], None, None, wait=True).result()  # a client that is wrong

        received = self.subscriber(start=zabmq.first()).next(BOUND)

        self.assertEqual(received.payload, b"p")
        self.assert_error("protocol", "no", getattr, received, "headers")

    def test_a_closed_subscriber_says_so(self):
        self.publish("1")
        subscriber = self.subscriber(start=zabmq.first())
        subscriber.close()
        self.assert_error("refused", "no", subscriber.next)

    def test_resumes_when_its_server_is_killed_again_and_again(self):
        publisher = self.publisher()
        payloads = [f"{i:05}" + "y" * 100 for i in range(6000)]
        publisher.publish_many(("t", p) for p in payloads[:3000])
        subscriber = self.subscriber(start=zabmq.first(), credit_bytes=64 << 10)
        served_by = set()
        received = []
        for kill_at in (500, 1500, 2500):
            while len(received) < kill_at:
                received.append(subscriber.next(BOUND))
            server = self.cluster.endpoints.index(subscriber._route.endpoint) + 1
            served_by.add(server)
            self.cluster.kill(server)
            received.append(subscriber.next(BOUND))
            while len(received) < kill_at + 300:  # more than was sent ahead
                received.append(subscriber.next(BOUND))
            self.cluster.start(server)
            self.cluster.leader()
        publisher.publish_many([("t", p) for p in payloads[3000:]], timeout=BOUND)
        while len(received) < 6000:
            received.append(subscriber.next(BOUND))

        self.assertGreater(len(served_by), 1)
        self.assertEqual([m.offset for m in received], list(range(1, 6001)))
        self.assertEqual([m.payload.decode() for m in received], payloads)
        self.assertIsNone(subscriber.next(0.1))

    def test_all_servers_silent_is_told_and_survived(self):
        self.publish("1")
        subscriber = self.subscriber(start=zabmq.first(), timeout=1.0)
        self.assertEqual(subscriber.next(BOUND).payload, b"1")
        for server in self.cluster.ids:
            self.cluster.kill(server)

        self.assert_error("unavailable", "no", subscriber.next, BOUND)

        for server in self.cluster.ids:
            self.cluster.start(server)
        self.cluster.leader()
        self.publish("2")
        self.assertEqual(self.next_at_last(subscriber).offset, 2)

    def test_a_server_of_another_cluster_is_no_substitute(self):
        self.publish("1")
        other = self.new_cluster()
        with self.publisher(cluster=other) as publisher:
            publisher.publish_many(("t", "wrong") for _ in range(5))
        both = [self.cluster.endpoint(1), other.endpoint(1)]
        subscriber = self.subscriber(endpoints=both, start=zabmq.first(), timeout=1.5)
        self.assertEqual(subscriber.next(BOUND).payload, b"1")

        self.cluster.kill(1)

        self.assert_error("unavailable", "no", subscriber.next, BOUND)
        self.assertEqual(subscriber.next_offset, 2)
        self.cluster.start(1)
        self.cluster.leader()
        self.publish("2")
        self.assertEqual(self.next_at_last(subscriber).payload, b"2")


class IdleSubscriber(ClusterTest):
    settings = ("timing.client_timeout=1s",)

    def test_a_caller_that_was_away_goes_on_without_a_gap(self):
        publisher = self.publisher()
        publisher.publish("t", "0")
        server = self.cluster.followers()[0]
        subscriber = self.subscriber(endpoints=[self.cluster.endpoint(server)], start=zabmq.first())
        self.assertEqual(subscriber.next(BOUND).payload, b"0")
        eventually(lambda: self.cluster.counter(server, "subscriptions") == 0)
        publisher.publish_many(("t", str(i)) for i in range(1, 100))

        received = [subscriber.next(BOUND).payload.decode() for _ in range(99)]

        self.assertEqual(received, [str(i) for i in range(1, 100)])
        self.assertGreater(self.cluster.counter(server, "resets"), 0)


if __name__ == "__main__":
    unittest.main()
