"""confluent-kafka beside the other generations of clients: what it is told, writes and says is as with java/Generation.java.

    generation.py produce BROKER NAME RECORDS CODEC=TOPIC:PARTITION...
    generation.py consume BROKER GROUP TOPIC=RECORDS:PATIENCE... (in ms)
"""
import re
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer


def why(e):
    return re.sub(r"\s+", " ", f"{type(e).__name__}: {e}")


def produce(broker, name, records, codec, topic, partition):
    offsets = []

    def done(err, msg):
        if err is not None:
            raise KafkaException(err)
        offsets.append(msg.offset())

    p = Producer({"bootstrap.servers": broker, "compression.type": codec, "linger.ms": 200})
    for n in range(records):
        p.produce(topic, partition=partition, key=None if n % 5 == 4 else f"k{n}",
                  value=None if n % 7 == 6 else f"{name}#{n};" * 8, timestamp=1_700_000_000_000 + 1000 * (n % 3) + n,
                  headers=[("h", str(n))], on_delivery=done)
    if left := p.flush(20):
        raise TimeoutError(f"{left} records were not sent")
    return f"{offsets[0]} {offsets[-1]}"


def text(b):
    return "null" if b is None else b.decode()


def member(broker, group):
    return Consumer({"bootstrap.servers": broker, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"})


def consume(broker, group, topic, records, patience):
    c = member(broker, group)
    c.subscribe([topic])
    end = time.monotonic() + patience / 1000
    n = 0
    while n < records:
        for m in c.consume(100, 0.1):
            if m.error():
                raise KafkaException(m.error())
            headers = "".join(f"{k}={v.decode()}" for k, v in m.headers() or []) or "none"
            kind, stamp = m.timestamp()
            print("record", m.topic(), m.partition(), m.offset(), stamp if kind else -1, text(m.key()), text(m.value()), headers)
            n += 1
        if time.monotonic() > end:
            raise TimeoutError(f"only {n} records came")
    c.commit(asynchronous=False)
    c.close()


def positions(broker, group, topics):
    c = member(broker, group)
    c.subscribe(topics)
    end = time.monotonic() + 20
    while not c.assignment() and time.monotonic() < end:
        c.poll(0.1)
    for p in c.committed(c.assignment(), 20):
        print("position", p.topic, p.partition, p.offset)
    c.close()


command, broker, name, *rest = sys.argv[1:]
if command == "produce":
    for to in rest[1:]:
        codec, topic, partition = re.split("[=:]", to)
        try:
            print("produced", codec, produce(broker, name, int(rest[0]), codec, topic, int(partition)))
        except (KafkaException, TimeoutError) as e:
            print("refused", codec, why(e))
else:
    for of in rest:
        topic, records, patience = re.split("[=:]", of)
        try:
            consume(broker, name, topic, int(records), int(patience))
            print("consumed", topic)
        except (KafkaException, TimeoutError) as e:
            print("refused", topic, why(e))
    positions(broker, name, [of.split("=")[0] for of in rest])
