"""kafka-python: produce, group consume with a rebalance, commit, seek, admin."""

from check import BOOTSTRAP, equal, name, step, true, until
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.structs import OffsetAndMetadata

T0 = 1700000000000
admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)

step("admin: topics")
topic = name("kafka-python")
admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "-1"})])
true(topic in admin.list_topics(), "list_topics")
described = admin.describe_topics([topic])[0]
equal(len(described["partitions"]), 2, "describe_topics")
true(len(admin.describe_cluster()["brokers"]) == 1, "describe_cluster")

step("producer")
for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
    p = KafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=codec, acks="all", linger_ms=5)
    sent = [
        p.send(topic, value=f"{codec} {i}".encode() * 5, key=b"k", headers=[("h", b"v")], partition=0, timestamp_ms=T0 + i) for i in range(20)
    ]
    p.flush(30)
    offsets = [f.get(30).offset for f in sent]
    equal(offsets, list(range(offsets[0], offsets[0] + 20)), f"offsets with {codec}")
    p.close()

step("consumer: assign, seek, times")
c = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=name("assign"), enable_auto_commit=False, auto_offset_reset="earliest")
tp = TopicPartition(topic, 0)
c.assign([tp])


def read(c, n):
    got = []

    def more():
        for records in c.poll(timeout_ms=500).values():
            got.extend(records)
        return len(got) >= n

    until(f"{n} records come", more)
    return got


got = read(c, 100)
equal([m.offset for m in got], list(range(100)), "offsets")
equal((got[25].key, got[25].value, list(got[25].headers), got[25].timestamp), (b"k", b"gzip 5" * 5, [("h", b"v")], T0 + 5), "a record")
c.seek(tp, 90)
equal([m.offset for m in read(c, 10)], list(range(90, 100)), "after seek")
equal(c.position(tp), 100, "position")
c.seek_to_beginning(tp)
equal(read(c, 1)[0].offset, 0, "after seek_to_beginning")
equal(c.beginning_offsets([tp])[tp], 0, "beginning_offsets")
equal(c.end_offsets([tp])[tp], 100, "end_offsets")
equal(c.offsets_for_times({tp: T0 + 3})[tp].offset, 3, "offsets_for_times")
c.pause(tp)
c.seek(tp, 0)
equal(c.poll(timeout_ms=300), {}, "paused")
c.resume(tp)
true(len(read(c, 1)) > 0, "resumed")
c.commit({tp: OffsetAndMetadata(42, "note", -1)})
equal(c.committed(tp), 42, "committed")
c.close()

step("consumer: a group and a rebalance")
g = name("group")
conf = dict(bootstrap_servers=BOOTSTRAP, group_id=g, enable_auto_commit=False, auto_offset_reset="earliest", heartbeat_interval_ms=300)
a = KafkaConsumer(topic, **conf)
until("a has both", lambda: a.poll(timeout_ms=200) is not None and len(a.assignment()) == 2)
b = KafkaConsumer(topic, **conf)


def shared():
    a.poll(timeout_ms=200)
    b.poll(timeout_ms=200)
    return len(a.assignment()) == 1 and len(b.assignment()) == 1


until("they share", shared)
equal(a.assignment() | b.assignment(), {TopicPartition(topic, 0), TopicPartition(topic, 1)}, "shares")
groups = admin.describe_groups([g]) if hasattr(admin, "describe_groups") else admin.describe_consumer_groups([g])
true(len(groups) == 1, "describe groups")
b.close()
until("a has both again", lambda: a.poll(timeout_ms=200) is not None and len(a.assignment()) == 2)
a.seek_to_beginning()
read(a, 100)
a.commit()
a.close()

step("admin: the rest")
admin.create_partitions({topic: NewPartitions(4)})
equal(len(admin.describe_topics([topic])[0]["partitions"]), 4, "create_partitions")
true(len(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])) > 0, "describe_configs")
admin.delete_topics([topic])
true(topic not in admin.list_topics(), "delete_topics")
admin.close()
print("kafka-python: passed")
