# lines.py: publishes the lines of standard input, then prints them from where the first one stands.
# PYTHONPATH=clients/python /usr/bin/python3 examples/python/lines.py TOPIC < FILE
import sys

try:
    import zabmq
except ModuleNotFoundError as missing:
    sys.exit(f"lines.py: {missing}" if missing.name != "zabmq" else
             "lines.py: no module zabmq: set PYTHONPATH to the directory of zabmq.py, clients/python")


def main(topic: str) -> None:
    with zabmq.Publisher() as publisher:  # $ZABMQ_ENDPOINTS, or what `zabmq dev` opens
        futures = [publisher.publish_async(topic, line.rstrip("\n")) for line in sys.stdin]
        receipts = [future.result() for future in futures]  # durable on a quorum, or zabmq.Error

    start = zabmq.at_offset(receipts[0].offset) if receipts else zabmq.new()
    with zabmq.Subscriber(topics=[topic], start=start, until_end=True) as subscriber:
        for message in subscriber:
            print(message.offset, message.zxid, message.payload.decode())


if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    print("usage: lines.py TOPIC < LINES")
    sys.exit(0 if sys.argv[1:] == ["--help"] else 1)
try:
    main(sys.argv[1])
except zabmq.UsageError as error:  # such as what $ZABMQ_ENDPOINTS holds
    sys.exit(f"lines.py: {error}")
except zabmq.Error as error:
    print(f"lines.py: {error}", file=sys.stderr)
    sys.exit(4 if error.outcome == "maybe" else 2)
