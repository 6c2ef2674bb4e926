# Rules test: docs/wire.md rule by rule, with a server that does what real ones do at bad times.
import os
import tempfile
import threading
import unittest
from unittest import mock

from fake_server import (CLOSE, CLUSTER, CREDIT, HELLO, HISTORY, PING, PUBLISH, SUBSCRIBE,
                         FakeServerTest, record)
from support import BOUND, eventually, zabmq


class PublishingRules(FakeServerTest):
    def open(self, *, last=0, heartbeat_ms=1000, **options):
        """A publisher with instance 1."""
        opening = self.start(zabmq.Publisher, self.server.endpoint, timeout=BOUND, **options)
        hello, _ = self.server.expect(HELLO)
        self.assertEqual(hello[:2] + hello[2:5] + hello[6:], [1, 1, bytes(16), bytes(16), 0, 0])
        self.server.welcome(instance=1, last=last, heartbeat_ms=heartbeat_ms)
        publisher = opening.result(BOUND)
        self.addCleanup(publisher.stop)
        return publisher

    def expect_publish(self, first, count=1, instance=1):
        elements, body = self.server.expect(PUBLISH)
        self.assertEqual(elements, [instance, first, count, zabmq.checksum(body)])
        return body

    def welcome_again(self, instance=1, last=0, opens=0):
        """The client says HELLO with its instance; or opens a new one, `opens`."""
        hello, _ = self.server.expect(HELLO)
        self.assertEqual([hello[2], hello[3]], [CLUSTER, HISTORY])
        self.assertEqual(hello[6:7], [0 if opens else instance])
        self.assertEqual(len(hello), 8 if opens else 7)  # which it had before, when it is known
        self.server.welcome(instance=opens or instance, last=last)

    def test_a_server_that_does_not_lead_names_the_leader(self):
        other = self.new_server()
        opening = self.start(zabmq.Publisher, other.endpoint, timeout=BOUND)
        other.expect(HELLO)
        other.welcome(opened=False, leader_endpoint=self.server.endpoint)
        self.server.expect(HELLO)
        self.server.welcome(instance=1)
        publisher = opening.result(BOUND)
        self.addCleanup(publisher.stop)

        future = publisher.publish_async("t", "1")
        self.expect_publish(1)
        self.server.refuse(1, 1, "unavailable", not_leading=True, leader_endpoint=other.endpoint)
        self.assertEqual(other.expect(HELLO)[0][6], 1)
        other.welcome(instance=1)
        other.expect(PUBLISH)
        other.receipt(1, 1, 1)
        self.assertEqual(future.result(BOUND).offset, 1)

    def test_after_a_lost_connection_the_same_boundaries_and_bytes(self):
        publisher = self.open()
        futures = [publisher.publish_async("t", "1")]
        first = self.expect_publish(1)
        futures += [publisher.publish_async("t", p) for p in ("2", "3")]
        seconds = {}
        second, _ = self.server.expect(PUBLISH)
        seconds[second[1]] = second[2]

        self.server.reset()
        self.welcome_again()
        self.assertEqual(self.expect_publish(1), first)
        again, _ = self.server.expect(PUBLISH)
        self.assertEqual(again, second)
        self.server.receipt(1, 1, 7)
        self.server.receipt(2, second[2], 8)
        if second[2] == 1:
            self.expect_publish(3)
            self.server.receipt(3, 1, 9)
        self.assertEqual([f.result(BOUND).offset for f in futures], [7, 8, 9])

    def test_a_batch_is_a_frame_of_its_own_and_sent_again_as_it_was(self):
        publisher = self.open()
        three = [("a", "1"), ("b", "2", {"k": "v"}), ("a", "3")]
        before = publisher.publish_async("t", "0")
        self.expect_publish(1)
        batch = publisher.publish_batch_async(three)
        body = self.expect_publish(2, count=3)
        behind = publisher.publish_async("t", "4")
        self.assertEqual(body, b"".join(zabmq.encode_message(*(m + (None,))[:3]) for m in three))

        self.server.reset()
        self.welcome_again()
        self.expect_publish(1)
        self.assertEqual(self.expect_publish(2, count=3), body)
        self.server.receipt(1, 1, 7)
        self.server.receipt(2, 3, 8)
        self.expect_publish(5)
        self.server.receipt(5, 1, 11)

        self.assertEqual([f.result(BOUND).offset for f in (before, batch, behind)], [7, 8, 11])
        self.assertEqual(batch.result().sequence, 2)
        self.assertTrue(publisher.flush())

    def test_a_batch_refused_for_its_condition_takes_no_sequence(self):
        publisher = self.open()
        batch = publisher.publish_batch_async([("a", "1"), ("b", "2")], expect_last_offset=41)
        behind = publisher.publish_async("t", "3")
        elements, body = self.server.expect(PUBLISH)
        self.assertEqual(elements, [1, 1, 2, zabmq.checksum(body), 41])

        self.server.send(67, 1, 1, 2, 0, "because", 0, False, "", False, 0, 99, 41)

        self.assertEqual(self.assert_error("refused", "no", batch).first, 99)
        self.expect_publish(1)
        self.server.receipt(1, 1, 100)
        self.assertEqual(behind.result(BOUND).offset, 100)

    def test_an_open_batch_is_retried_as_a_whole(self):
        publisher = self.open()
        batch = publisher.publish_batch_async([("a", "1"), ("b", "2")], timeout=0.2)
        body = self.expect_publish(1, count=2)
        self.assert_error("unknown_outcome", "maybe", batch)

        retry = self.start(publisher.retry, 2, BOUND)
        self.server.reset()
        self.welcome_again()
        self.assertEqual(self.expect_publish(1, count=2), body)
        self.server.receipt(1, 2, 8)

        self.assertEqual(retry.result(BOUND).offset, 9)
        self.assertEqual(publisher.retry(1).offset, 8)

    def test_receipts_out_of_order_are_told_in_order(self):
        publisher = self.open()
        told = []
        first = publisher.publish_async("t", "1")
        self.expect_publish(1)
        second = publisher.publish_async("t", "2")
        self.expect_publish(2)
        for future in (first, second):
            future.add_done_callback(lambda f: told.append(f.result().sequence))
        self.server.receipt(2, 1, 2)
        self.server.receipt(1, 1, 1)
        second.result(BOUND)
        self.assertEqual(told, [1, 2])

    def test_a_receipt_for_other_boundaries_is_not_believed(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1")
        self.expect_publish(1)
        self.server.receipt(1, 2, 1)
        self.welcome_again()
        self.expect_publish(1)
        self.server.receipt(1, 1, 5)
        self.assertEqual(future.result(BOUND).offset, 5)

    def test_rule_7_an_answer_is_about_its_copy_only(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1", timeout=BOUND)
        self.expect_publish(1)
        self.server.reset()
        self.welcome_again()
        self.expect_publish(1)
        self.server.refuse(1, 1, "protocol")

        error = self.assert_error("unknown_outcome", "maybe", future)
        self.assertEqual(error.sequence, 1)
        retry = self.start(publisher.retry, 1, BOUND)
        self.expect_publish(1)
        self.server.receipt(1, 1, 3)
        self.assertEqual(retry.result(BOUND).offset, 3)

    def test_a_definite_refusal_of_the_only_copy_is_no(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1", timeout=BOUND)
        self.expect_publish(1)
        self.server.refuse(1, 1, "protocol")
        self.assert_error("protocol", "no", future)

    def test_rule_8_a_hole_is_sent_again_from_last_sequence(self):
        publisher = self.open()
        first = publisher.publish_async("t", "1")
        body = self.expect_publish(1)
        second = publisher.publish_async("t", "2")
        self.expect_publish(2)
        self.server.refuse(1, 2, "refused", hole=True, last=0)
        self.welcome_again()
        self.assertEqual(self.expect_publish(1), body)
        self.expect_publish(2)
        self.server.receipt(1, 1, 1)
        self.server.receipt(2, 1, 2)
        self.assertEqual((first.result(BOUND).offset, second.result(BOUND).offset), (1, 2))

    def test_rule_8_what_a_hole_says_of_the_batches_before_it(self):
        publisher = self.open()
        first = publisher.publish_async("t", "1", timeout=0.5)
        self.expect_publish(1)
        second = publisher.publish_async("t", "2", timeout=0.5)
        self.expect_publish(2)
        self.server.refuse(1, 2, "refused", hole=True, last=0)  # so 1 did not arrive
        self.server.expect(HELLO)
        self.assert_error("unavailable", "no", first)
        self.assert_error("unavailable", "no", second)

    def test_rule_8_nothing_is_sent_behind_what_is_refused_for_good(self):
        publisher = self.open()
        futures = [publisher.publish_async("t", "1", timeout=BOUND)]
        self.expect_publish(1)
        futures.append(publisher.publish_async("t", "2", timeout=BOUND))
        self.expect_publish(2)
        self.server.refuse(1, 2, "too_large")
        self.server.reset()
        futures.append(publisher.publish_async("t", "3", timeout=BOUND))
        self.welcome_again()
        self.expect_publish(1)
        self.server.receipt(1, 1, 1)
        self.assertEqual(futures[0].result(BOUND).offset, 1)
        errors = [self.assert_error("too_large", "no", future) for future in futures[1:]]
        self.assertEqual([error.sequence for error in errors], [2, 3])
        future = publisher.publish_async("t", "other")
        self.welcome_again(opens=2, last=1)
        self.expect_publish(2, instance=2)
        self.server.receipt(2, 1, 2)
        self.assertEqual(future.result(BOUND).sequence, 2)

    def test_rule_8_busy_and_no_space_are_tried_again_until_the_deadline(self):
        for code in ("busy", "no_space"):
            publisher = self.open()
            future = publisher.publish_async("t", "1", timeout=0.5)
            body = self.expect_publish(1)
            self.server.refuse(1, 1, code)
            self.welcome_again()
            self.assertEqual(self.expect_publish(1), body)
            self.server.refuse(1, 1, code)
            self.server.expect(HELLO)  # is not answered
            self.assert_error(code, "no", future)
            publisher.stop()

    def test_rule_8_unknown_outcome_stays_open(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1", timeout=0.5)
        self.expect_publish(1)
        self.server.refuse(1, 1, "unknown_outcome", "maybe")
        self.assert_error("unknown_outcome", "maybe", future)

    def test_rule_8_duplicate_is_an_error_that_ends_nothing(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1")
        self.expect_publish(1)
        self.server.refuse(1, 1, "duplicate", "maybe", last=1)
        self.assert_error("duplicate", "maybe", future)
        future = publisher.publish_async("t", "2")
        self.expect_publish(2)
        self.server.receipt(2, 1, 2)
        self.assertEqual(future.result(BOUND).sequence, 2)

    def test_rule_8_expired_is_the_end(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1")
        self.expect_publish(1)
        self.server.refuse(1, 1, "expired")
        self.assert_error("expired", "no", future)
        self.assert_error("expired", "no", self.start(publisher.publish, "t", "2"))

    def test_rule_9_another_message_under_a_refused_sequence_waits_for_a_new_instance(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1")
        self.expect_publish(1)
        self.server.refuse(1, 1, "too_large")
        self.assert_error("too_large", "no", future)
        future = publisher.publish_async("t", "other")
        self.welcome_again(opens=2)
        self.assertIn(b"other", self.expect_publish(1, instance=2))
        self.server.receipt(1, 1, 1)
        self.assertEqual(future.result(BOUND).sequence, 1)

    def test_rule_9_behind_the_first_not_taken_nothing_was(self):
        publisher = self.open()
        first = publisher.publish_async("t", "1")
        self.expect_publish(1)
        second = publisher.publish_async("t", "2")  # a copy that could still arrive,
        self.expect_publish(2)
        self.server.refuse(1, 1, "too_large")       # but as a hole only
        self.assert_error("too_large", "no", first)
        self.assertEqual(self.assert_error("too_large", "no", second).sequence, 2)

    def open_with_an_open_outcome(self, **options):
        """A publisher whose message 1 may have been taken, and whose message 2 was not."""
        publisher = self.open(**options)
        first = publisher.publish_async("t", "1", timeout=0.5)
        self.expect_publish(1)
        second = publisher.publish_async("t", "2", timeout=0.5)
        self.expect_publish(2)
        self.server.refuse(1, 2, "unavailable", not_leading=True)
        self.server.refuse(1, 1, "unknown_outcome", "maybe")
        self.server.expect(HELLO)  # is not answered in time
        self.assert_error("unknown_outcome", "maybe", first)
        self.assert_error("unavailable", "no", second)
        return publisher

    def test_rule_9_retry_before_a_new_instance_is_needed_or_after(self):
        with tempfile.TemporaryDirectory(prefix="zabmq-test.") as directory:
            for session_file in (None, directory + "/session"):
                publisher = self.open_with_an_open_outcome(session_file=session_file)
                retry = self.start(publisher.retry, 1, BOUND)
                self.server.reset()
                hello, _ = self.server.expect(HELLO)
                # With a file a newer process may have opened an instance: it must not be fenced.
                instance = 1 if session_file else 2
                self.assertEqual(hello[6], 1 if session_file else 0)
                self.server.welcome(instance=instance)
                self.expect_publish(1, instance=instance)
                self.server.receipt(1, 1, 1)
                self.assertEqual(retry.result(BOUND).offset, 1)
                # With a file nothing may stand where the second should have been.
                third = self.start(publisher.publish, "t", "3")
                if session_file:
                    self.assert_error("refused", "no", third)
                else:
                    self.expect_publish(2, instance=2)
                    self.server.receipt(2, 1, 2)
                    self.assertEqual(third.result(BOUND).sequence, 2)
                publisher.stop()

    def test_rule_9_no_copy_of_an_older_instance_counts_any_more(self):
        publisher = self.open_with_an_open_outcome()
        retry = self.start(publisher.retry, 1, BOUND)
        self.server.reset()
        self.welcome_again(opens=2, last=0)  # sequence 1 was not taken, and now never will be
        self.expect_publish(1, instance=2)
        self.server.refuse(1, 1, "too_large")
        self.assert_error("too_large", "no", retry)

    def test_rule_10_fenced_by_an_own_hello_that_was_late(self):
        opening = self.start(zabmq.Publisher, self.server.endpoint, timeout=BOUND)
        self.server.expect(HELLO)
        self.server.reset()  # it may open an instance all the same
        self.server.expect(HELLO)
        self.server.welcome(instance=1)
        publisher = opening.result(BOUND)
        self.addCleanup(publisher.stop)
        future = publisher.publish_async("t", "1")
        self.expect_publish(1)
        self.server.refuse(1, 1, "refused", text="fenced")
        self.welcome_again(opens=3)
        self.expect_publish(1, instance=3)
        self.server.receipt(1, 1, 1)
        self.assertEqual(future.result(BOUND).offset, 1)

    def test_rule_11_close_is_sent_last_and_again(self):
        self.server.answers_pings = False
        publisher = self.open(heartbeat_ms=50)
        future = publisher.publish_async("t", "1")
        self.expect_publish(1)
        closing = self.start(publisher.close, BOUND)
        eventually(lambda: publisher._closing)
        for _ in range(3):
            self.server.expect(PING)  # not CLOSE, before the receipt
            self.server.send(72, 0)
        self.server.answers_pings = True
        self.server.receipt(1, 1, 1)
        self.assertEqual(self.server.expect(CLOSE)[0], [1])
        self.server.reset()
        self.welcome_again(last=1)
        self.server.expect(CLOSE)
        self.server.send(74, 1)
        self.assertIsNone(closing.result(BOUND))
        self.assertEqual(future.result(0).offset, 1)

    def test_rule_11_an_expired_entry_says_that_close_is_done(self):
        publisher = self.open()
        closing = self.start(publisher.close, BOUND)
        self.server.expect(CLOSE)
        self.server.reset()
        self.server.expect(HELLO)
        self.server.refuse(0, 0, "expired")
        self.assertIsNone(closing.result(BOUND))

    def test_rule_3_a_server_that_is_behind_is_left(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1")
        self.expect_publish(1)
        self.server.receipt(1, 1, 1)
        future.result(BOUND)
        futures = [publisher.publish_async("t", "2")]
        self.expect_publish(2)
        futures.append(publisher.publish_async("t", "3"))
        self.expect_publish(3)
        self.server.refuse(1, 3, "refused", last=0, hole=True)
        self.welcome_again(last=0)
        self.welcome_again(last=1)
        for sequence in (2, 3):
            self.expect_publish(sequence)
            self.server.receipt(sequence, 1, sequence)
        self.assertEqual([f.result(BOUND).offset for f in futures], [2, 3])

    def test_rule_11_a_publisher_that_was_forgotten_is_over(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1")
        self.expect_publish(1)
        self.server.receipt(1, 1, 1)
        future.result(BOUND)
        future = publisher.publish_async("t", "2")
        self.expect_publish(2)
        self.server.refuse(1, 2, "too_large")
        self.assert_error("too_large", "no", future)
        future = publisher.publish_async("t", "3")
        self.welcome_again(opens=2, last=0)
        self.assert_error("expired", "no", future)
        error = self.assert_error("expired", "no", self.start(publisher.publish, "t", "4"))
        self.assertIn("forgotten", error.text)

    def session_file(self, instance, last):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = os.path.join(directory.name, "session")
        session = zabmq.Session(bytes(range(0x40, 0x50)), CLUSTER, HISTORY, instance, last)
        with open(path, "w") as file:
            file.write(session.to_text())
        return path

    def test_rule_11_a_session_file_without_a_receipt_is_known_and_expired(self):
        opening = self.start(zabmq.Publisher, self.server.endpoint, timeout=BOUND,
                             session_file=self.session_file(instance=4, last=0))
        self.assertEqual(self.server.expect(HELLO)[0][6:], [0, 4])
        self.server.refuse(0, 0, "expired")
        self.assert_error("expired", "maybe", opening)

    def test_rule_4_a_session_file_goes_on_as_a_new_instance_of_a_known_publisher(self):
        opening = self.start(zabmq.Publisher, self.server.endpoint, timeout=BOUND,
                             session_file=self.session_file(instance=4, last=10))
        self.assertEqual(self.server.expect(HELLO)[0][6:], [0, 4])
        self.server.welcome(instance=6, last=12)
        publisher = opening.result(BOUND)
        self.assertEqual((publisher.resumed_after, publisher.instance), (12, 6))

    def test_rule_4_forgotten_while_a_new_instance_is_opened_is_expired(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1")
        self.expect_publish(1)
        self.server.refuse(1, 1, "too_large")
        self.assert_error("too_large", "no", future)
        future = publisher.publish_async("t", "2")
        self.assertEqual(self.server.expect(HELLO)[0][6:], [0, 1])
        self.server.refuse(0, 0, "expired")
        self.assert_error("expired", "no", future)

    def test_a_full_disk_is_named_not_the_holes_behind_it(self):
        publisher = self.open()
        futures = [publisher.publish_async("t", "1", timeout=0.8)]
        self.expect_publish(1)
        futures.append(publisher.publish_async("t", "2", timeout=0.8))
        self.expect_publish(2)
        self.server.refuse(1, 1, "no_space", text="the disk is nearly full")
        self.server.refuse(1, 2, "refused", hole=True, text="a hole")
        for future in futures:
            error = self.assert_error("no_space", "no", future)
            self.assertIn("nearly full", error.text)

    @mock.patch.object(zabmq, "ANSWER_PATIENCE", 2 * BOUND)
    def test_a_silent_server_is_left(self):
        self.server.answers_pings = False
        publisher = self.open(heartbeat_ms=50)
        future = publisher.publish_async("t", "1", timeout=BOUND)
        body = self.expect_publish(1)
        self.welcome_again()
        self.assertEqual(self.expect_publish(1), body)
        self.server.receipt(1, 1, 1)
        self.assertEqual(future.result(BOUND).offset, 1)

    def test_a_server_that_answers_pings_only_is_left(self):
        with mock.patch.object(zabmq, "ANSWER_PATIENCE", 0.2):
            publisher = self.open(heartbeat_ms=50)
            future = publisher.publish_async("t", "1", timeout=BOUND)
            self.expect_publish(1)
            self.welcome_again()
            self.expect_publish(1)
            self.server.receipt(1, 1, 1)
            self.assertEqual(future.result(BOUND).offset, 1)

    def test_malformed_frames_end_the_connection(self):
        publisher = self.open()
        future = publisher.publish_async("t", "1", timeout=BOUND)
        for parts in ([b"junk"], [zabmq.encode(66, 1, 1)], [zabmq.encode(72, 0), b"", b""]):
            self.expect_publish(1)
            self.server.send_raw(*parts)
            self.welcome_again()
        self.expect_publish(1)
        self.server.receipt(1, 1, 1)
        self.assertEqual(future.result(BOUND).offset, 1)


class SubscribingRules(FakeServerTest):
    def subscribe(self, *, next=1, end=None, **options):
        opening = self.start(zabmq.Subscriber, self.server.endpoint, timeout=BOUND, **options)
        self.server.expect(HELLO)
        self.server.welcome(opened=False)
        elements, _ = self.server.expect(SUBSCRIBE)
        self.server.send(68, elements[0], next, end or 0, end is not None, False)
        subscriber = opening.result(BOUND)
        self.addCleanup(subscriber.close)
        self.subscription = elements[0]
        return subscriber, elements

    def deliver(self, after, up_to, *records):
        self.server.send(69, self.subscription, after, up_to, body=b"".join(records))

    def expect_resume(self, next_offset):
        """Subscribes again from its own next offset, whatever it began with."""
        hello, _ = self.server.expect(HELLO)
        self.assertEqual((hello[2], hello[3]), (CLUSTER, HISTORY))
        self.server.welcome(opened=False)
        elements, _ = self.server.expect(SUBSCRIBE)
        self.subscription = elements[0]
        self.assertEqual(elements[1:6], [2, next_offset, 0, 0, False])
        self.server.send(68, self.subscription, next_offset, 0, False, False)
        return elements

    def texts(self, count, subscriber):
        return [subscriber.next(BOUND).payload.decode() for _ in range(count)]

    def test_what_is_asked_for(self):
        starts = [(zabmq.first(), [0, 0, 0, 0]), (zabmq.new(), [1, 0, 0, 0]),
                  (zabmq.at_offset(7), [2, 7, 0, 0]), (zabmq.at_zxid(7, 42), [3, 0, 7, 42]),
                  (zabmq.at_time(99), [4, 0, 0, 0])]
        for start, elements in starts:
            _, asked = self.subscribe(start=start, topics=["b", "a/*"], credit_messages=5,
                                      credit_bytes=6)
            self.assertEqual(asked[1:],
                             elements + [False, 5, 6, ["a/*", "b"], 99 if start.time else 0])

    def test_rule_3_a_gap_is_noticed_and_filled(self):
        subscriber, _ = self.subscribe(start=zabmq.new(), next=5)
        self.deliver(4, 5, record(5, ["five"]))
        self.assertEqual(self.texts(1, subscriber), ["five"])
        rest = self.start(self.texts, 2, subscriber)
        self.deliver(6, 7, record(7, ["seven"]))
        self.expect_resume(6)
        self.deliver(5, 7, record(6, ["six"]), record(7, ["seven"]))
        self.assertEqual(rest.result(BOUND), ["six", "seven"])

    def test_rule_3_a_repeated_frame_is_no_duplicate(self):
        subscriber, _ = self.subscribe(start=zabmq.first())
        rest = self.start(self.texts, 2, subscriber)
        self.deliver(0, 1, record(1, ["one"]))
        self.deliver(0, 1, record(1, ["one"]))
        self.expect_resume(2)
        self.deliver(1, 2, record(2, ["two"]))
        self.assertEqual(rest.result(BOUND), ["one", "two"])

    def test_rule_4_what_is_no_batch_and_what_lies_below_next_is_skipped(self):
        subscriber, _ = self.subscribe(start=zabmq.at_offset(3), next=3)
        self.deliver(2, 5, record(1, ["one", "two", "three"]), record(3, [], kind=2),
                     record(3, [], kind=5), record(4, ["four", "five"]))
        self.assertEqual(self.texts(3, subscriber), ["three", "four", "five"])
        self.assertEqual(subscriber.next_offset, 6)

    def test_rule_5_records_that_do_not_follow_each_other_are_not_delivered(self):
        subscriber, _ = self.subscribe(start=zabmq.first())
        rest = self.start(self.texts, 3, subscriber)
        one, two, three = (record(i, [str(i)]) for i in (1, 2, 3))
        for up_to, records in ((2, [one, three]), (3, [one, two]), (1, [one, two]), (2, [two]),
                               (2, [one, one, two]), (2, [one, two[:-8]])):
            self.deliver(0, up_to, *records)
            self.expect_resume(1)
        self.deliver(1, 2, one, two)  # says another `after` than its records
        self.expect_resume(1)
        self.deliver(0, 3, one, two, three)
        self.assertEqual(rest.result(BOUND), ["1", "2", "3"])

    def test_both_checksums_are_verified(self):
        subscriber, _ = self.subscribe(start=zabmq.first())
        rest = self.start(self.texts, 1, subscriber)
        for at in (50, 140):
            damaged = bytearray(record(1, ["payload"]))
            damaged[at] ^= 1
            self.deliver(0, 1, bytes(damaged))
            self.expect_resume(1)
        self.deliver(0, 1, record(1, ["payload"]))
        self.assertEqual(rest.result(BOUND), ["payload"])

    def test_what_no_server_gets_right_is_told(self):
        subscriber, _ = self.subscribe(start=zabmq.first())
        waiting = self.start(subscriber.next, BOUND)
        for attempt in range(zabmq.Subscriber.BAD_MAX):
            self.deliver(5, 6, record(6, ["six"]))
            if attempt < zabmq.Subscriber.BAD_MAX - 1:
                self.expect_resume(1)
        self.assert_error("protocol", "no", waiting)
        self.assert_error("protocol", "no", self.start(subscriber.next, BOUND))

    def test_a_batch_without_the_form_of_one_is_told_and_not_skipped(self):
        subscriber, _ = self.subscribe(start=zabmq.first())
        with mock.patch.object(zabmq, "encode_message", lambda *_: b"junk"):
            junk = record(2, ["junk"])
        self.deliver(0, 3, record(1, ["one"]), junk, record(3, ["three"]))
        self.assertEqual(self.texts(1, subscriber), ["one"])
        for _ in range(2):
            self.assert_error("protocol", "no", self.start(subscriber.next, BOUND))
        self.assertEqual(subscriber.next_offset, 2)

    def test_rule_6_credit_is_given_back_and_never_more(self):
        subscriber, asked = self.subscribe(start=zabmq.first(), credit_messages=4)
        self.assertEqual(asked[6], 4)
        granted, sent = 4, 0
        while sent < 40:
            self.deliver(sent, sent + 1, record(sent + 1, [str(sent + 1)]))
            sent += 1
            self.assertEqual(self.texts(1, subscriber), [str(sent)])
            while granted == sent:  # now it has to say CREDIT
                subscriber.next(0)
                granted += self.server.expect(CREDIT)[0][1]
            self.assertLessEqual(granted - sent, 4)

    def test_rule_6_what_is_not_read_yet_counts_when_it_resumes(self):
        subscriber, _ = self.subscribe(start=zabmq.first(), credit_messages=10)
        self.deliver(0, 4, record(1, ["1", "2", "3", "4"]))
        self.assertEqual(self.texts(1, subscriber), ["1"])
        self.server.reset()
        done = threading.Event()
        self.addCleanup(done.set)

        def stay():
            while not done.is_set():
                subscriber._turn(0.01)
        staying = self.start(stay)
        self.assertEqual(self.expect_resume(5)[6], 10 - 4)
        done.set()
        staying.result(BOUND)
        self.assertEqual(self.texts(3, subscriber), ["2", "3", "4"])

    def test_rule_7_covered_ahead_means_that_a_frame_was_lost(self):
        subscriber, _ = self.subscribe(start=zabmq.first())
        rest = self.start(self.texts, 1, subscriber)
        self.server.send(71, self.subscription, 0)
        self.server.send(71, self.subscription, 1)
        self.expect_resume(1)
        self.deliver(0, 1, record(1, ["one"]))
        self.assertEqual(rest.result(BOUND), ["one"])

    def test_after_an_absence_it_asks_before_it_leaves(self):
        self.server.answers_pings = False
        subscriber, _ = self.subscribe(start=zabmq.first())
        subscriber._connection._heard -= 1000  # as long as that nobody called next()
        subscriber._connection._ticked -= 1000
        rest = self.start(self.texts, 1, subscriber)
        self.server.expect(PING)
        self.deliver(0, 1, record(1, ["one"]))
        self.assertEqual(rest.result(BOUND), ["one"])

    def test_rule_8_the_end_stays_what_it_was(self):
        subscriber, asked = self.subscribe(start=zabmq.first(), until_end=True, end=3)
        self.assertTrue(asked[5])
        rest = self.start(list, subscriber)
        self.deliver(0, 1, record(1, ["one"]))
        self.server.reset()
        self.expect_resume(2)
        self.deliver(1, 4, record(2, ["two", "three", "four"]))
        self.assertEqual([m.payload for m in rest.result(BOUND)], [b"one", b"two", b"three"])
        self.assertTrue(subscriber.at_end)

    def test_rule_9_a_gap_below_is_the_end_and_says_where_the_log_begins(self):
        subscriber, _ = self.subscribe(start=zabmq.first())
        waiting = self.start(subscriber.next, BOUND)
        self.server.send(70, self.subscription, 500)
        self.assertEqual(self.assert_error("gap", "no", waiting).first, 500)

    def test_another_next_than_asked_for_is_not_believed(self):
        subscriber, _ = self.subscribe(start=zabmq.first())
        rest = self.start(self.texts, 1, subscriber)
        self.server.reset()
        self.server.expect(HELLO)
        self.server.welcome(opened=False)
        elements, _ = self.server.expect(SUBSCRIBE)
        self.server.send(68, elements[0], 2, 0, False, False)
        self.expect_resume(1)
        self.deliver(0, 1, record(1, ["one"]))
        self.assertEqual(rest.result(BOUND), ["one"])


if __name__ == "__main__":
    unittest.main()
