"""aiokafka: produce with each codec, group consume with a rebalance, commit, seek, each call of its admin client."""

import asyncio

import aiokafka
import aiokafka.admin
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from check import BOOTSTRAP, equal, every_call, name, step, true, watched

CALLED = set()
AIOKafkaConsumer = watched(aiokafka.AIOKafkaConsumer, CALLED)
AIOKafkaProducer = watched(aiokafka.AIOKafkaProducer, CALLED)
AIOKafkaAdminClient = watched(aiokafka.admin.AIOKafkaAdminClient, CALLED)
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
            equal(await p.partitions_for(topic), {0, 1}, "partitions_for")
            await p.flush()
            await p.stop()
    p = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP)
    await p.start()
    batch = p.create_batch()
    for i in range(5):
        batch.append(key=None, value=str(i).encode(), timestamp=T0 + i)
    equal((await (await p.send_batch(batch, topic, partition=1))).offset, 0, "send_batch")
    equal((await p.send_and_wait(topic, b"5", partition=1)).offset, 5, "send_and_wait")
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
    await c.seek_to_committed(tp)
    equal((await c.getone()).offset, 42, "after seek_to_committed")
    await c.seek_to_end(tp)
    equal(await c.position(tp), 100, "after seek_to_end")
    equal((await c.beginning_offsets([tp]))[tp], 0, "beginning_offsets")
    equal((c.highwater(tp), c.last_stable_offset(tp)), (100, 100), "the last answer's marks")
    true(c.last_poll_timestamp(tp) is not None, "last_poll_timestamp")
    c.pause(tp)
    equal(c.paused(), {tp}, "paused")
    c.seek(tp, 99)
    equal(await c.getmany(timeout_ms=300), {}, "a paused partition is silent")
    c.resume(tp)
    equal((await c.getone()).offset, 99, "after resume")
    true(topic in await c.topics() and c.partitions_for_topic(topic) == {0, 1}, "topics")
    await c.stop()
    c = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=name("pattern"), group_instance_id="one", auto_offset_reset="earliest")
    await c.start()
    c.subscribe(pattern="^" + topic + "$")
    await c.getone()
    equal(c.subscription(), {topic}, "by a pattern")
    c.unsubscribe()
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

    equal((await admin.list_consumer_group_offsets(g, partitions=[tp]))[tp].offset > 0, True, "list_consumer_group_offsets of one")
    true(await admin.find_coordinator(g) >= 0, "find_coordinator")
    groups = (await admin.describe_consumer_groups([g]))[0].groups
    equal([(x[0], x[1], x[2]) for x in groups], [(0, g, "Empty")], "describe_consumer_groups")

    step("admin: the rest")
    await admin.create_partitions({topic: NewPartitions(4)})
    described = (await admin.describe_topics([topic]))[0]
    equal(len(described["partitions"]), 4, "create_partitions")
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "100000"})])
    answer = (await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))[0]
    equal({e[0]: e[1] for e in answer.resources[0][4]}["retention.ms"], "100000", "alter_configs and describe_configs")
    true(len((await admin.describe_cluster())["brokers"]) == 1, "describe_cluster")
    equal(await admin.delete_records({tp: RecordsToDelete(10)}), {tp: 10}, "delete_records")
    await admin.delete_topics([topic])
    true(topic not in await admin.list_topics(), "delete_topics")
    await admin.close()


asyncio.run(main())
transactions = ["begin_transaction", "commit_transaction", "abort_transaction", "send_offsets_to_transaction", "transaction"]
every_call(aiokafka.AIOKafkaProducer, CALLED, but=transactions)
every_call(aiokafka.AIOKafkaConsumer, CALLED)
every_call(aiokafka.admin.AIOKafkaAdminClient, CALLED)
print("aiokafka: passed")
