"""aiokafka: produce with each codec, group consume with a rebalance, commit, seek, admin."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from check import BOOTSTRAP, equal, name, step, true

T0 = 1700000000000


async def eventually(what, ok, limit=60):
    async with asyncio.timeout(limit):
        while not await ok():
            await asyncio.sleep(0.05)


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    topic = name("aiokafka")
    step("admin: topics")
    await admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "-1"})])
    true(topic in await admin.list_topics(), "list_topics")

    step("producer")
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        for idempotent in [False, True]:
            p = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=codec, enable_idempotence=idempotent, linger_ms=5)
            await p.start()
            sent = [await p.send(topic, f"{codec} {i}".encode() * 5, key=b"k", partition=0, timestamp_ms=T0 + i, headers=[("h", b"v")]) for i in range(10)]
            offsets = [(await f).offset for f in sent]
            equal(offsets, list(range(offsets[0], offsets[0] + 10)), f"offsets with {codec}")
            await p.stop()

    step("consumer: assign, seek")
    tp = TopicPartition(topic, 0)
    c = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=name("assign"), enable_auto_commit=False, auto_offset_reset="earliest")
    await c.start()
    c.assign([tp])
    got = [await c.getone() for _ in range(100)]
    equal([m.offset for m in got], list(range(100)), "offsets")
    equal((got[35].key, got[35].value, got[35].headers, got[35].timestamp), (b"k", b"gzip 5" * 5, (("h", b"v"),), T0 + 5), "a record")
    c.seek(tp, 97)
    equal([(await c.getone()).offset for _ in range(3)], [97, 98, 99], "after seek")
    equal(await c.position(tp), 100, "position")
    await c.seek_to_beginning(tp)
    equal((await c.getone()).offset, 0, "after seek_to_beginning")
    equal((await c.end_offsets([tp]))[tp], 100, "end_offsets")
    equal((await c.offsets_for_times({tp: T0 + 3}))[tp].offset, 3, "offsets_for_times")
    await c.commit({tp: (42, "note")})
    equal(await c.committed(tp), 42, "committed")
    await c.stop()

    step("consumer: a group and a rebalance")
    g = name("aio-group")

    async def member():
        c = AIOKafkaConsumer(
            topic, bootstrap_servers=BOOTSTRAP, group_id=g, enable_auto_commit=False, auto_offset_reset="earliest", heartbeat_interval_ms=300
        )
        await c.start()
        return c

    a = await member()

    async def both():
        return len(a.assignment()) == 2

    await eventually("a has both", both)
    b = await member()

    async def shared():
        return len(a.assignment()) == 1 and len(b.assignment()) == 1

    await eventually("they share", shared)
    await b.stop()
    await eventually("a has both again", both)
    batch = await a.getmany(timeout_ms=5000)
    true(sum(len(r) for r in batch.values()) > 0, "getmany")
    await a.commit()
    await a.stop()
    true(g in [x[0] for x in await admin.list_consumer_groups()], "list_consumer_groups")
    true(len(await admin.list_consumer_group_offsets(g)) > 0, "list_consumer_group_offsets")

    step("admin: the rest")
    await admin.create_partitions({topic: NewPartitions(4)})
    described = (await admin.describe_topics([topic]))[0]
    equal(len(described["partitions"]), 4, "create_partitions")
    await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    await admin.describe_cluster()
    await admin.delete_topics([topic])
    true(topic not in await admin.list_topics(), "delete_topics")
    await admin.close()


asyncio.run(main())
print("aiokafka: passed")
