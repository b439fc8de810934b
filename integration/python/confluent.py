"""Each call of confluent-kafka's Producer, Consumer and AdminClient; what needs transactions or security must be refused as it should."""

import asyncio
import re

import confluent_kafka
import confluent_kafka.admin
from check import APACHE, BOOTSTRAP, equal, every_call, name, refused, step, true, until, watched
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    TIMESTAMP_CREATE_TIME,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    DeserializingConsumer,
    ElectionType,
    IsolationLevel,
    KafkaError,
    SerializingProducer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
)
from confluent_kafka.aio import AIOConsumer, AIOProducer
from confluent_kafka.serialization import StringDeserializer, StringSerializer

CALLED = set()
Producer = watched(confluent_kafka.Producer, CALLED)
Consumer = watched(confluent_kafka.Consumer, CALLED)
AdminClient = watched(confluent_kafka.admin.AdminClient, CALLED)

T0 = 1700000000000
admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def all_of(futures):
    return {k: f.result(30) for k, f in futures.items()}


def create(topic, partitions=1, config=None):
    all_of(admin.create_topics([NewTopic(topic, partitions, 1, config=config or {})], operation_timeout=30))
    return topic


def consumer(group, **more):
    conf = {"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    conf.update({"fetch.wait.max.ms": 100, "heartbeat.interval.ms": 300})
    conf.update({k.replace("_", "."): v for k, v in more.items()})
    return Consumer(conf)


def read(c, n):
    got = []

    def one():
        m = c.poll(1.0)
        if m is not None:
            true(m.error() is None, f"poll: {m.error()}")
            got.append(m)
        return len(got) >= n

    until(f"{n} messages come", one)
    return got


def producer():
    step("producer")
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        for idempotent in [False, True]:
            topic = create(name(f"p-{codec}-{idempotent}"), 2)
            p = Producer({"bootstrap.servers": BOOTSTRAP, "compression.type": codec, "enable.idempotence": idempotent, "linger.ms": 5})
            seen = []
            for i in range(50):
                p.produce(
                    topic,
                    value=f"value {i}" * 10,
                    key=f"key {i}",
                    partition=1,
                    timestamp=T0 + i,
                    headers=[("h", b"1"), ("h", b"2"), ("none", None)],
                    on_delivery=lambda err, m: seen.append((err, m.partition(), m.offset())),
                )
                p.poll(0)
            true(len(p) >= 0, "len")
            equal(p.flush(30), 0, "messages left after flush")
            equal(seen, [(None, 1, i) for i in range(50)], "deliveries in order")
            p.produce(topic, value=None, key="tombstone", partition=1)
            p.produce(topic, value="", key=None, partition=1)
            p.produce(topic, value="by partitioner", key="k")
            equal(p.flush(30), 0, "flush")
            true(topic in p.list_topics(topic, timeout=10).topics, "list_topics")

            c = consumer(name("p"))
            c.assign([TopicPartition(topic, 1, OFFSET_BEGINNING)])
            got = read(c, 52)
            for i, m in enumerate(got[:50]):
                equal((m.topic(), m.partition(), m.offset()), (topic, 1, i), "where")
                equal((m.key(), m.value()), (f"key {i}".encode(), (f"value {i}" * 10).encode()), "what")
                equal(m.timestamp(), (TIMESTAMP_CREATE_TIME, T0 + i), "timestamp")
                equal(m.headers(), [("h", b"1"), ("h", b"2"), ("none", None)], "headers")
            equal((got[50].key(), got[50].value()), (b"tombstone", None), "tombstone")
            equal((got[51].key(), got[51].value()), (None, b""), "empty value")
            c.close()

    step("producer: acks and errors")
    topic = create(name("acks"))
    for acks in ["0", "1", "all"]:
        p = Producer({"bootstrap.servers": BOOTSTRAP, "acks": acks})
        errors = []
        p.produce(topic, "x", on_delivery=lambda err, m: errors.append(err))
        p.flush(30)
        equal(errors, [None], "acks " + acks)
    small = create(name("small"), config={"max.message.bytes": "1000"})
    errors = []
    p = Producer({"bootstrap.servers": BOOTSTRAP})
    p.produce(small, "x" * 5000, on_delivery=lambda err, m: errors.append(err.code()))
    p.flush(30)
    equal(errors, [KafkaError.MSG_SIZE_TOO_LARGE], "too large")
    p.produce(name("auto-created"), "x", on_delivery=lambda err, m: errors.append(err))
    p.flush(30)
    equal(errors[1:], [None], "auto-created topic")
    p.produce(topic, "purged")
    p.purge()
    p.flush(30)

    step("producer: batches, the cluster, an end")
    topic = create(name("batch"), 2)
    done = []
    with_own = {"value": "c", "key": "k", "callback": lambda err, m: done.append(("own", err, m.partition()))}
    n = p.produce_batch(topic, [{"value": "a"}, {"value": "b", "key": "k"}, with_own], partition=0, on_delivery=lambda err, m: done.append(("all", err, m.partition())))
    equal((n, p.flush(30)), (3, 0), "produce_batch")
    equal(sorted(done), [("all", None, 0), ("all", None, 0), ("own", None, 0)], "deliveries of a batch")
    equal(p.cluster_id(timeout=30), admin.cluster_id(timeout=30), "the cluster's id")
    p.set_sasl_credentials("user", "password")  # for later connections; none here asks for them
    true(p.close(), "close")

    step("producer: transactions are not there yet")
    p = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": name("tx")})
    refused(KafkaError._TIMED_OUT, lambda: p.init_transactions(3), "init_transactions", unless=APACHE)
    for call in [p.begin_transaction, lambda: p.commit_transaction(1), lambda: p.abort_transaction(1)]:
        refused(KafkaError._CONFLICT, call, "a transaction that did not begin", unless=APACHE)
    c = consumer(name("tx"))
    refused(KafkaError._CONFLICT, lambda: p.send_offsets_to_transaction([], c.consumer_group_metadata(), 1), "send_offsets_to_transaction", unless=APACHE)
    c.close()

    step("producer and consumer with serializers")
    p = SerializingProducer({"bootstrap.servers": BOOTSTRAP, "key.serializer": StringSerializer(), "value.serializer": StringSerializer()})
    p.produce(topic, key="ä", value="ö", partition=0)
    equal(p.flush(30), 0, "flush")
    conf = {"bootstrap.servers": BOOTSTRAP, "group.id": name("s"), "key.deserializer": StringDeserializer(), "value.deserializer": StringDeserializer()}
    c = DeserializingConsumer(conf)
    c.assign([TopicPartition(topic, 0, 3)])
    equal([(m.key(), m.value()) for m in read(c, 1)], [("ä", "ö")], "deserialized")
    c.close()


def group():
    step("consumer: subscribe, callbacks, a rebalance")
    topic = create(name("group"), 4)
    p = Producer({"bootstrap.servers": BOOTSTRAP})
    for i in range(40):
        p.produce(topic, str(i), partition=i % 4, timestamp=T0 + i * 1000)
    p.flush(30)
    for strategy in ["range", "roundrobin", "cooperative-sticky"]:
        g = name("g-" + strategy)
        a, b = consumer(g, partition_assignment_strategy=strategy), consumer(g, partition_assignment_strategy=strategy)
        held = {"a": set(), "b": set()}

        def on(c, who):
            def assigned(_, parts):
                held[who] |= {t.partition for t in parts}

            def revoked(_, parts):
                held[who] -= {t.partition for t in parts}

            c.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)

        on(a, "a")
        until("a has all", lambda: a.poll(0.1) is None and len(held["a"]) == 4 or len(held["a"]) == 4)
        on(b, "b")

        def shared():
            a.poll(0.1)
            b.poll(0.1)
            return len(held["a"]) == 2 and len(held["b"]) == 2

        until("they share " + strategy, shared)
        equal(held["a"] | held["b"], {0, 1, 2, 3}, "shares")
        b.close()

        def back():
            a.poll(0.1)
            return len(held["a"]) == 4

        until("a has all again", back)
        true(a.memberid() != "", "memberid")
        true(a.consumer_group_metadata() is not None, "group metadata")
        a.unsubscribe()
        a.close()

    step("consumer: reading, three forms of commit")
    g = name("commits")
    c = consumer(g)
    c.subscribe([topic])
    got = read(c, 40)
    equal(sorted(int(m.value()) for m in got), list(range(40)), "all values")
    equal(len(c.assignment()), 4, "assignment")
    last = [m for m in got if m.partition() == 0][-1]
    equal([(t.partition, t.offset) for t in c.commit(message=last, asynchronous=False)], [(0, 10)], "commit(message)")
    equal([t.offset for t in c.commit(offsets=[TopicPartition(topic, 1, 7)], asynchronous=False)], [7], "commit(offsets)")
    equal(c.commit(asynchronous=True), None, "commit() asynchronously")
    done = c.commit(asynchronous=False)
    equal({t.partition: t.offset for t in done if t.partition in (1, 2, 3)}, {1: 10, 2: 10, 3: 10}, "commit()")
    parts = [TopicPartition(topic, i) for i in range(4)]
    equal([t.offset for t in c.committed(parts, timeout=30)], [10] * 4, "committed")
    equal([t.offset for t in c.position(parts)], [10] * 4, "position")

    step("consumer: seek, pause, resume")
    c.seek(TopicPartition(topic, 2, 5))
    equal([m.offset() for m in read(c, 5)], [5, 6, 7, 8, 9], "after seek")
    c.pause([TopicPartition(topic, 3)])
    c.seek(TopicPartition(topic, 3, 9))
    true(c.poll(1.0) is None, "a paused partition is silent")
    c.resume([TopicPartition(topic, 3)])
    equal([(m.partition(), m.offset()) for m in read(c, 1)], [(3, 9)], "after resume")

    step("consumer: times and watermarks")
    times = c.offsets_for_times([TopicPartition(topic, 0, T0 + 4000), TopicPartition(topic, 1, T0 + 10**9)], timeout=30)
    equal([t.offset for t in times], [1, -1], "offsets_for_times")
    equal(c.get_watermark_offsets(TopicPartition(topic, 0), timeout=30), (0, 10), "watermarks")
    equal(c.get_watermark_offsets(TopicPartition(topic, 0), cached=True)[1], 10, "cached watermarks")
    true(topic in c.list_topics(timeout=30).topics, "list_topics")
    c.close()

    step("consumer: store_offsets and auto commit")
    g = name("stored")
    c = consumer(g, enable_auto_commit=True, enable_auto_offset_store=False)
    c.subscribe([topic])
    got = read(c, 40)
    c.store_offsets(message=[m for m in got if m.partition() == 1 and m.offset() == 3][0])
    c.store_offsets(offsets=[TopicPartition(topic, 2, 6)])
    c.close()
    c = consumer(g)
    equal([t.offset for t in c.committed([TopicPartition(topic, i) for i in (1, 2)], timeout=30)], [4, 6], "stored offsets")
    c.close()

    step("consumer: assign, consume, incremental assign")
    c = consumer(name("assign"))
    c.assign([TopicPartition(topic, 0, 3)])
    batch = []
    until("consume brings 7", lambda: batch.extend(c.consume(num_messages=10, timeout=1.0)) or len(batch) >= 7)
    equal([m.offset() for m in batch], list(range(3, 10)), "consume")
    c.incremental_assign([TopicPartition(topic, 1, 9)])
    equal([(m.partition(), m.offset()) for m in read(c, 1)], [(1, 9)], "incremental_assign")
    c.incremental_unassign([TopicPartition(topic, 0)])
    equal([t.partition for t in c.assignment()], [1], "after incremental_unassign")
    c.unassign()
    c.close()

    step("consumer: patterns, isolation, the end, the cluster")
    c = consumer(name("pattern"), isolation_level="read_committed")
    c.subscribe(["^" + re.escape(topic) + "$"])
    equal(len(read(c, 40)), 40, "by a pattern")
    c.close()
    c = consumer(name("end"), enable_partition_eof=True)
    c.assign([TopicPartition(topic, 0, OFFSET_END)])
    equal(until("the end comes", lambda: c.poll(1.0)).error().code(), KafkaError._PARTITION_EOF, "the end")
    equal(c.cluster_id(timeout=30), admin.cluster_id(timeout=30), "the cluster's id")
    c.set_sasl_credentials("user", "password")
    c.close()
    c = consumer(name("beyond"), auto_offset_reset="error")
    c.assign([TopicPartition(topic, 0, 1000)])
    equal(until("an error comes", lambda: c.poll(1.0)).error().code(), KafkaError._AUTO_OFFSET_RESET, "an offset beyond the end")
    c.close()

    step("consumer: static membership")
    g = name("static")
    c = consumer(g, group_instance_id="one")
    c.subscribe([topic])
    read(c, 1)
    c.close()
    c = consumer(g, group_instance_id="one")
    c.subscribe([topic])
    read(c, 1)
    c.close()


def administration():
    step("admin: topics")
    topic = name("admin")
    create(topic, 2, {"retention.ms": "100000", "cleanup.policy": "compact"})
    refused(KafkaError.TOPIC_ALREADY_EXISTS, lambda: create(topic), "create again")
    refused(KafkaError.TOPIC_EXCEPTION, lambda: create("not a name"), "a bad name")
    refused(KafkaError.INVALID_CONFIG, lambda: create(name("x"), config={"retention.ms": "x"}), "a bad setting")
    refused(KafkaError.INVALID_REPLICATION_FACTOR, lambda: all_of(admin.create_topics([NewTopic(name("x"), 1, 3)])), "three replicas")
    all_of(admin.create_topics([NewTopic(name("only-checked"), 1, 1)], validate_only=True))
    all_of(admin.create_partitions([NewPartitions(topic, 5)]))
    described = all_of(admin.describe_topics(TopicCollection([topic]), include_authorized_operations=True))[topic]
    equal((described.name, len(described.partitions), described.is_internal), (topic, 5, False), "describe_topics")
    equal([(p.id, p.leader.id, len(p.isr)) for p in described.partitions], [(i, described.partitions[0].leader.id, 1) for i in range(5)], "partitions")
    true(str(described.topic_id) != "", "topic id")
    md = admin.list_topics(timeout=30)
    equal(len(md.topics[topic].partitions), 5, "list_topics")
    true(name("only-checked") not in md.topics, "validate_only creates nothing")

    step("admin: cluster")
    cluster = admin.describe_cluster(include_authorized_operations=True).result(30)
    true(cluster.cluster_id != "", "cluster id")
    equal(len(cluster.nodes), 1, "nodes")
    equal(cluster.controller.id, cluster.nodes[0].id, "controller")

    step("admin: configs")
    res = ConfigResource(ConfigResource.Type.TOPIC, topic)

    def values():
        return {k: (e.value, e.is_default) for k, e in all_of(admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)])).popitem()[1].items()}

    equal(values()["retention.ms"], ("100000", False), "describe_configs")
    equal(values()["segment.bytes"], ("1073741824", True), "a default")
    res = ConfigResource(
        ConfigResource.Type.TOPIC,
        topic,
        incremental_configs=[
            ConfigEntry("retention.ms", "200000", incremental_operation=AlterConfigOpType.SET),
            ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.APPEND),
        ],
    )
    all_of(admin.incremental_alter_configs([res]))
    equal(values()["retention.ms"][0], "200000", "after incremental_alter_configs")
    equal(sorted(values()["cleanup.policy"][0].split(",")), ["compact", "delete"], "after append")
    res = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={"segment.bytes": "2000000"})
    all_of(admin.alter_configs([res]))
    equal((values()["segment.bytes"][0], values()["retention.ms"][1]), ("2000000", True), "after alter_configs")
    broker = all_of(admin.describe_configs([ConfigResource(ConfigResource.Type.BROKER, str(cluster.nodes[0].id))])).popitem()[1]
    true("inter.broker.protocol.version" in broker and "num.partitions" in broker, "the broker's settings")

    step("admin: offsets and records")
    data = create(name("data"))
    p = Producer({"bootstrap.servers": BOOTSTRAP})
    for i in range(10):
        p.produce(data, str(i), timestamp=T0 + i)
    p.flush(30)
    tp = TopicPartition(data, 0)
    for spec, want in [(OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 10), (OffsetSpec.max_timestamp(), 9), (OffsetSpec.for_timestamp(T0 + 4), 4)]:
        equal(all_of(admin.list_offsets({tp: spec})).popitem()[1].offset, want, "list_offsets")
    equal(all_of(admin.delete_records([TopicPartition(data, 0, 4)])).popitem()[1].low_watermark, 4, "delete_records")
    equal(all_of(admin.list_offsets({tp: OffsetSpec.earliest()})).popitem()[1].offset, 4, "earliest afterwards")
    committed = admin.list_offsets({tp: OffsetSpec.latest()}, isolation_level=IsolationLevel.READ_COMMITTED)
    equal(all_of(committed).popitem()[1].offset, 10, "list_offsets of what is committed")
    refused(KafkaError.OFFSET_OUT_OF_RANGE, lambda: all_of(admin.delete_records([TopicPartition(data, 0, 11)])), "delete_records beyond the end")
    refused(KafkaError._NOENT, lambda: all_of(admin.delete_records([TopicPartition(name("none"), 0, 1)])), "delete_records of nothing")
    refused(KafkaError.INVALID_PARTITIONS, lambda: all_of(admin.create_partitions([NewPartitions(data, 1)])), "create_partitions")
    all_of(admin.create_partitions([NewPartitions(data, 2)], validate_only=True))
    all_or_nothing = admin.elect_leaders(ElectionType.PREFERRED, [tp]).result(30)
    true(len(all_or_nothing) == 1, "elect_leaders")

    step("admin: groups")
    g = name("admin")
    c = consumer(g)
    c.subscribe([data])
    read(c, 6)
    c.commit(asynchronous=False)
    groups = [x.group_id for x in admin.list_consumer_groups().result(30).valid]
    true(g in groups, "list_consumer_groups")
    stable = admin.list_consumer_groups(states={ConsumerGroupState.STABLE}).result(30).valid
    true(g in [x.group_id for x in stable], "list_consumer_groups by state")
    true(g in [x.id for x in admin.list_groups(timeout=30)], "list_groups")
    d = all_of(admin.describe_consumer_groups([g], include_authorized_operations=True))[g]
    equal((d.state, len(d.members), d.partition_assignor), (ConsumerGroupState.STABLE, 1, "range"), "describe_consumer_groups")
    equal([t.topic for t in d.members[0].assignment.topic_partitions], [data], "a member's assignment")
    refused(KafkaError.NON_EMPTY_GROUP, lambda: all_of(admin.delete_consumer_groups([g])), "delete a group with members")
    c.close()
    offsets = all_of(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(g)]))[g]
    equal([(t.topic, t.partition, t.offset) for t in offsets.topic_partitions], [(data, 0, 10)], "list_consumer_group_offsets")
    all_of(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(g, [TopicPartition(data, 0, 5)])]))
    offsets = all_of(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(g, [tp])]))[g]
    equal(offsets.topic_partitions[0].offset, 5, "after alter_consumer_group_offsets")
    all_of(admin.delete_consumer_groups([g]))
    refused(KafkaError.GROUP_ID_NOT_FOUND, lambda: all_of(admin.delete_consumer_groups([g])), "delete a group that is gone")

    classic = admin.list_consumer_groups(types={ConsumerGroupType.CLASSIC}).result(30).valid
    true(len(classic) > 0, "list_consumer_groups of type classic")
    equal(admin.list_consumer_groups(types={ConsumerGroupType.CONSUMER}).result(30).valid, [], "list_consumer_groups of type consumer")

    step("admin: SCRAM users are not there yet")
    refused(KafkaError._UNSUPPORTED_FEATURE, lambda: admin.describe_user_scram_credentials().result(30), "describe_user_scram_credentials", unless=APACHE)
    gone = UserScramCredentialDeletion("user", ScramMechanism.SCRAM_SHA_256)
    refused(KafkaError._UNSUPPORTED_FEATURE, lambda: all_of(admin.alter_user_scram_credentials([gone])), "alter_user_scram_credentials", unless=APACHE)
    admin.set_sasl_credentials("user", "password")
    true(admin.poll(0) >= 0, "poll")

    step("admin: acls without an authorizer")
    any_acl = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)
    equal(admin.describe_acls(any_acl).result(30), [], "describe_acls, which hides the error")
    acl = AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:a", "*", AclOperation.READ, AclPermissionType.ALLOW)
    refused(KafkaError.SECURITY_DISABLED, lambda: all_of(admin.create_acls([acl])), "create_acls")
    refused(KafkaError.SECURITY_DISABLED, lambda: all_of(admin.delete_acls([any_acl])), "delete_acls")

    step("admin: delete topics")
    all_of(admin.delete_topics([topic, data], operation_timeout=30))
    left = admin.list_topics(timeout=30).topics
    true(topic not in left and data not in left, "the topics are gone")
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: all_of(admin.delete_topics([topic])), "delete again")


async def in_asyncio():
    step("AIOProducer and AIOConsumer")
    topic = create(name("aio"))
    p = AIOProducer({"bootstrap.servers": BOOTSTRAP})
    sent = [await p.produce(topic, value=str(i), key="k") for i in range(20)]
    await p.flush()
    equal([(await m).offset() for m in sent], list(range(20)), "deliveries")
    await p.close()
    c = AIOConsumer({"bootstrap.servers": BOOTSTRAP, "group.id": name("aio"), "auto.offset.reset": "earliest", "enable.auto.commit": False})
    assigned = []

    async def on_assign(_, parts):
        assigned.extend(parts)

    await c.subscribe([topic], on_assign=on_assign)
    got = []
    async with asyncio.timeout(60):
        while len(got) < 20:
            got += await c.consume(num_messages=20, timeout=1.0)
    equal([m.offset() for m in got], list(range(20)), "what AIOConsumer consumed")
    equal([(t.topic, t.partition) for t in assigned], [(topic, 0)], "on_assign")
    equal([t.offset for t in await c.commit(asynchronous=False)], [20], "commit")
    equal([t.offset for t in await c.committed([TopicPartition(topic, 0)])], [20], "committed")
    await c.close()


producer()
group()
administration()
asyncio.run(in_asyncio())
for cls in () if APACHE else (confluent_kafka.Producer, confluent_kafka.Consumer, confluent_kafka.admin.AdminClient):
    every_call(cls, CALLED)
print("confluent-kafka: all calls passed")
