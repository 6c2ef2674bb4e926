# Sessions test: session files continued by another process and by the C++ tool; fencing.
import json
import os
import shutil
import unittest

from support import Child, ClusterTest, zabmq


class Sessions(ClusterTest):
    def setUp(self):
        super().setUp()
        self.file = str(self.cluster.path / "session")

    def test_a_second_process_continues(self):
        child = Child(self.cluster.endpoints, self.file)
        self.addCleanup(child.kill)
        self.assertEqual(child.read(), ["open", "0", "1"])
        self.assertEqual([child.publish(str(i))[1] for i in range(1, 6)], ["1", "2", "3", "4", "5"])
        child.kill()  # kill -9: nothing is tidied up

        publisher = self.publisher(session_file=self.file)

        self.assertEqual((publisher.resumed_after, publisher.instance), (5, 2))
        self.assertEqual(publisher.publish("t", "6").sequence, 6)
        self.assert_exactly(["1", "2", "3", "4", "5", "6"])

    def test_a_file_goes_from_cpp_to_python_and_back(self):
        lines = [f"line {i}" for i in range(1, 13)]

        def cpp(count):
            text = "".join(line + "\n" for line in lines[:count])
            return self.cluster.tool("pub", "t", "--lines", "--session", self.file, "--json",
                                     text=text)

        ran = cpp(5)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        with self.publisher(session_file=self.file) as publisher:
            self.assertEqual(publisher.resumed_after, 5)
            self.assertEqual(publisher.instance, 2)
            publisher.publish_many(("t", line) for line in lines[5:9])
        ran = cpp(12)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        sequences = [json.loads(line)["sequence"] for line in ran.stdout.splitlines()]
        self.assertEqual(sequences, [10, 11, 12])
        with self.publisher(session_file=self.file) as publisher:
            self.assertEqual((publisher.resumed_after, publisher.instance), (12, 4))
        self.assert_exactly(lines)

    def test_the_file_is_locked_while_in_use(self):
        self.publisher(session_file=self.file)

        error = self.assert_error("refused", "no", self.publisher, session_file=self.file)
        self.assertIn(self.file, error.text)
        self.assertIn("in use", error.text)
        self.assertEqual(self.cluster.tool("pub", "t", "x", "--session", self.file).returncode, 1)

    def test_a_damaged_file_is_refused_by_name(self):
        self.publisher(session_file=self.file).stop()
        with open(self.file) as file:
            text = file.read()
        for damaged in ("", text[:-1], text.replace("instance 1", "instance 2"), text + "\n",
                        "x" * 9999, text.replace("zabmq-session 2", "zabmq-session 3"),
                        text.replace("zabmq-session 2", "zabmq-session 1")):
            with open(self.file, "w") as file:
                file.write(damaged)
            error = self.assert_error("refused", "no", self.publisher, session_file=self.file)
            self.assertIn(self.file, error.text)

    def test_a_file_whose_creator_was_killed_before_it_removed_the_other_name(self):
        zabmq.SessionFile(self.file).close()
        os.link(self.file, self.file + ".tmp")
        with self.publisher(session_file=self.file) as publisher:
            publisher.publish("t", "1")
        self.assertFalse(os.path.exists(self.file + ".tmp"))

    def test_what_is_skipped_must_be_what_was_taken(self):
        with self.publisher(session_file=self.file) as publisher:
            self.assertFalse(publisher.skip("t", "1"))
            publisher.publish_many(("t", str(i)) for i in (1, 2))
        for topic, second in (("t", "other"), ("other", "2")):
            publisher = self.publisher(session_file=self.file)
            self.assertEqual((publisher.resumed_after, publisher.compared_until), (2, 2))
            self.assertTrue(publisher.skip(topic, "1"))
            for _ in range(2):  # it stays so
                error = self.assert_error("refused", "no", publisher.skip, topic, second)
            self.assertIn(self.file, error.text)
            publisher.stop()
        with self.publisher(session_file=self.file) as publisher:
            self.assertEqual([publisher.skip("t", line) for line in ("1", b"2", "3")],
                             [True, True, False])
            publisher.publish("t", "3")
        ran = self.cluster.tool("pub", "t", "--lines", "--session", self.file, text="1\n2\n3\n4\n")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("3 messages skipped: the cluster has them already\n", ran.stderr)
        self.assert_exactly(["1", "2", "3", "4"])

    def test_a_file_of_version_1_is_read_and_knows_nothing_of_the_input(self):
        with self.publisher(session_file=self.file) as publisher:
            publisher.publish("t", "1")
        with open(self.file) as file:
            session = zabmq.Session.from_text(file.read())
        self.assertEqual(session.input.count, 1)
        with open(self.file, "w") as file:
            file.write(session.to_text(version=1))

        with self.publisher(session_file=self.file) as publisher:
            self.assertEqual((publisher.resumed_after, publisher.compared_until), (1, 0))
            self.assertTrue(publisher.skip("t", "1"))
            publisher.publish("t", "2")
        ran = self.cluster.tool("pub", "t", "--lines", "--session", self.file, text="1\nx\n")
        self.assertEqual(ran.returncode, 1, ran.stderr)
        self.assert_exactly(["1", "2"])

    def test_a_newer_process_fences_the_older(self):
        older = self.publisher(session_file=self.file)
        older.publish("t", "1")
        shutil.copy(self.file, self.file + ".copy")  # around the lock
        newer = self.publisher(session_file=self.file + ".copy")
        self.assertEqual(newer.resumed_after, 1)
        self.assertEqual(newer.publish("t", "2").sequence, 2)

        error = self.assert_error("refused", "no", older.publish, "t", "lost")

        self.assertIn("fenced", error.text)
        self.assert_error("refused", "no", older.publish, "t", "lost")
        self.assertEqual(newer.publish("t", "3").sequence, 3)
        self.assert_exactly(["1", "2", "3"])

    def test_an_older_process_is_fenced_when_it_reconnects_too(self):
        older = self.publisher(session_file=self.file)
        older.publish("t", "1")
        shutil.copy(self.file, self.file + ".copy")
        newer = self.publisher(session_file=self.file + ".copy")
        self.cluster.kill(self.cluster.leader())
        self.assertEqual(newer.publish("t", "2", timeout=20).sequence, 2)

        self.assert_error("refused", "no", older.publish, "t", "lost", timeout=20)

        self.assert_exactly(["1", "2"])

    def test_an_unknown_outcome_then_retry_then_on(self):
        publisher = self.publisher(session_file=self.file)
        publisher.publish("t", "1")
        followers = self.cluster.followers()
        for server in followers:
            self.cluster.pause(server)
        future = publisher.publish_async("t", "2", timeout=0.5)
        error = future.exception(10)
        self.assertEqual((error.code, error.sequence), ("unknown_outcome", 2))
        for server in followers:
            self.cluster.go_on(server)

        self.assertEqual(publisher.retry(2, timeout=20).sequence, 2)
        self.assertEqual(publisher.publish("t", "3").sequence, 3)
        publisher.stop()

        self.assertEqual(self.publisher(session_file=self.file).resumed_after, 3)
        self.assert_exactly(["1", "2", "3"])

    def test_a_file_of_another_cluster_is_refused_with_both_names(self):
        self.publisher(session_file=self.file).stop()
        with open(self.file) as file:
            cluster_id = file.read().split()[5]
        other = self.new_cluster()

        error = self.assert_error("refused", "no", self.publisher, cluster=other,
                                  session_file=self.file)
        self.assertIn("cluster mismatch", error.text)
        self.assertIn(cluster_id, error.text)

    def test_a_publisher_that_the_cluster_has_forgotten_says_so(self):
        with self.publisher(session_file=self.file) as publisher:
            publisher.publish("t", "1")
            publisher.close()

        error = self.assert_error("expired", "maybe", self.publisher, session_file=self.file)
        self.assertIn("sequence 1", error.text)


if __name__ == "__main__":
    unittest.main()
