# lines.py: publishes the lines of standard input, then prints the topic from beginning to end.
# PYTHONPATH=clients/python python3 examples/python/lines.py TOPIC < FILE
import sys

import zabmq

topic = sys.argv[1]
with zabmq.Publisher() as publisher:  # $ZABMQ_ENDPOINTS, or what `zabmq dev` opens
    futures = [publisher.publish_async(topic, line.rstrip("\n")) for line in sys.stdin]
    receipts = [future.result() for future in futures]  # durable on a quorum, or zabmq.Error

with zabmq.Subscriber(topics=[topic], start=zabmq.first(), until_end=True) as subscriber:
    for message in subscriber:
        print(message.offset, message.zxid, message.payload.decode())
