"""A member of a group that prints what it reads, until it is stopped. Run as: HOST:PORT GROUP TOPIC|^REGEX consumer|classic [INSTANCE]."""

import signal
import sys

import confluent_kafka

bootstrap, group, topic, protocol = sys.argv[1:5]
conf = {
    "bootstrap.servers": bootstrap,
    "group.id": group,
    "client.id": "python",
    "group.protocol": protocol,
    "auto.offset.reset": "earliest",
    "auto.commit.interval.ms": 500,
    "fetch.wait.max.ms": 100,
}
if protocol == "classic":
    conf.update({"session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "partition.assignment.strategy": "cooperative-sticky"})
if len(sys.argv) > 5:
    conf["group.instance.id"] = sys.argv[5]

going = True


def stop(*_):
    global going
    going = False


signal.signal(signal.SIGTERM, stop)
consumer = confluent_kafka.Consumer(conf)
consumer.subscribe([topic])
while going:
    message = consumer.poll(0.2)
    if message is None:
        continue
    if message.error():
        print("error:", message.error(), flush=True)
        continue
    print(message.value().decode(), flush=True)
consumer.close()
