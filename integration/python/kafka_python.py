"""kafka-python: produce, group consume with a rebalance, commit, seek, each call of its admin client."""

import kafka
from check import APACHE, BOOTSTRAP, equal, every_call, fails, name, not_there, step, true, until, watched
from kafka import ConsumerRebalanceListener, TopicPartition, TopicPartitionReplica, errors
from kafka.admin import (
    ACL,
    AbortTransactionSpec,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    AlterConfigOp,
    ConfigResource,
    ConfigResourceType,
    MemberToRemove,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    OffsetTimestamp,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
)
from kafka.structs import OffsetAndMetadata

CALLED = set()
KafkaAdminClient = watched(kafka.KafkaAdminClient, CALLED)
KafkaConsumer = watched(kafka.KafkaConsumer, CALLED)
KafkaProducer = watched(kafka.KafkaProducer, CALLED)

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
    equal((p.partitions_for(topic), p.bootstrap_connected() in (True, False), len(p.metrics()) > 0), ({0, 1}, True, True), "what it knows")
    p.close()
idempotent = KafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True)
equal(idempotent.send(topic, b"idempotent", partition=1).get(30).offset, 0, "an idempotent record")
idempotent.close()

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
c.seek_to_end(tp)
equal((c.position(tp), c.highwater(tp), c.paused()), (100, 100, set()), "after seek_to_end")
c.pause(tp)
equal(c.paused(), {tp}, "what is paused")
c.resume(tp)
c.commit({tp: OffsetAndMetadata(42, "note", -1)})
equal(c.committed(tp), 42, "committed")
equal(c.committed(tp, metadata=True).metadata, "note", "committed metadata")
answers = []
c.commit_async({tp: OffsetAndMetadata(43, "", -1)}, callback=lambda offsets, answer: answers.append(answer))
until("commit_async is answered", lambda: c.poll(timeout_ms=100) is not None and answers)
equal(c.committed(tp), 43, "committed asynchronously")
true(topic in c.topics() and c.partitions_for_topic(topic) == {0, 1}, "topics")
true(c.bootstrap() is not False and c.bootstrap_connected() in (True, False) and len(c.metrics()) > 0, "what it knows")
c.close()

step("consumer: a group and a rebalance")
g = name("group")
conf = dict(bootstrap_servers=BOOTSTRAP, group_id=g, enable_auto_commit=False, auto_offset_reset="earliest", heartbeat_interval_ms=300)
a = KafkaConsumer(topic, **conf)
# Where the leader's SyncGroup is answered between two polls, kafka-python 3.0.12 takes the assignment for had, and never takes it: a
# leader waits for it in one poll.
WHOLE = 2000
until("a has both", lambda: a.poll(timeout_ms=WHOLE) is not None and len(a.assignment()) == 2)
b = KafkaConsumer(topic, **conf)


def shared():
    b.poll(timeout_ms=200)
    a.poll(timeout_ms=WHOLE)
    return len(a.assignment()) == 1 and len(b.assignment()) == 1


until("they share", shared)
equal(a.assignment() | b.assignment(), {TopicPartition(topic, 0), TopicPartition(topic, 1)}, "shares")
groups = admin.describe_groups([g]) if hasattr(admin, "describe_groups") else admin.describe_consumer_groups([g])
true(len(groups) == 1, "describe groups")
b.close()
until("a has both again", lambda: a.poll(timeout_ms=WHOLE) is not None and len(a.assignment()) == 2)
a.seek_to_beginning()
read(a, 101)
a.commit()
equal(a.subscription(), {topic}, "subscription")
true(a.group_metadata() is not None, "group_metadata")
a.unsubscribe()
a.close()

step("consumer: a pattern and a listener")
heard = []


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        heard.append(("revoked", len(revoked)))

    def on_partitions_assigned(self, assigned):
        heard.append(("assigned", len(assigned)))


static = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=name("static"), group_instance_id="one", auto_offset_reset="earliest", enable_auto_commit=False)
static.subscribe(pattern="^" + topic + "$", listener=Listener())
until("the listener hears", lambda: static.poll(timeout_ms=WHOLE) is not None and ("assigned", 2) in heard)
static.commit()

step("admin: groups")
group = admin.describe_groups([name("static")])[name("static")]
equal((len(group["members"]), group["group_state"] if "group_state" in group else "Stable"), (1, "Stable"), "describe_groups")
equal(admin.remove_group_members(name("static"), [MemberToRemove(group_instance_id="one")]), {"one": errors.NoError}, "remove_group_members")
static.close()
both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
true(g in [x["group_id"] for x in admin.list_groups()], "list_groups")
true(g in [x["group_id"] for x in admin.list_groups(states_filter=["Empty"], types_filter=["classic"])], "list_groups by state and type")
equal([x for x in admin.list_groups(types_filter=["consumer"])], [], "list_groups of new groups")
equal({p: o.offset for p, o in admin.list_group_offsets(g)[g].items()}, {both[0]: 100, both[1]: 1}, "list_group_offsets")
altered = admin.alter_group_offsets(g, {p: OffsetAndMetadata(1, "altered", -1) for p in both})
equal(altered, {p: errors.NoError for p in both}, "alter_group_offsets")
for to, want in [(OffsetSpec.EARLIEST, 0), (OffsetSpec.LATEST, 100), (OffsetTimestamp(T0 + 3), 3), (77, 77), (1000, 100)]:
    equal(admin.reset_group_offsets(g, {both[0]: to})[both[0]], {"error": errors.NoError, "offset": want}, f"reset_group_offsets to {to}")
equal(admin.list_group_offsets({g: [both[0]]})[g][both[0]].offset, 100, "after the resets")
equal(admin.delete_group_offsets(g, [both[0]]), {both[0]: errors.NoError}, "delete_group_offsets")
equal(list(admin.list_group_offsets(g)[g]), [both[1]], "after delete_group_offsets")
fails(errors.GroupIdNotFoundError, lambda: admin.delete_group_offsets(name("none"), both), "delete_group_offsets of no group")
equal(admin.delete_groups([g]), {g: "OK"}, "delete_groups")
true("GroupIdNotFound" in str(admin.delete_groups([g])[g]), "delete_groups again")

step("admin: offsets and records")
for spec, want in [(OffsetSpec.EARLIEST, 0), (OffsetSpec.LATEST, 100), (OffsetSpec.MAX_TIMESTAMP, 19), (OffsetTimestamp(T0 + 3), 3)]:
    equal(admin.list_partition_offsets({both[0]: spec})[both[0]].offset, want, f"list_partition_offsets of {spec}")
true(len(admin.describe_producers([both[1]])[both[1]]) == 1, "describe_producers: the idempotent one")
equal(admin.delete_records({both[0]: 10})[both[0]]["low_watermark"], 10, "delete_records")
sizes = [t for b in admin.describe_log_dirs([topic]) for d in b["log_dirs"] for t in d["topics"]]
equal([(t["name"], len(t["partitions"])) for t in sizes], [(topic, 2)], "describe_log_dirs")

step("admin: topics")
admin.create_partitions({topic: NewPartitions(4)})
admin.wait_for_topics([topic])
equal(len(admin.describe_topics([topic])[0]["partitions"]), 4, "create_partitions")
if APACHE:  # in ZooKeeper mode it does not have this
    fails(errors.IncompatibleBrokerVersion, lambda: admin.describe_topic_partitions([topic]), "describe_topic_partitions")
described = {"topics": admin.describe_topics([topic])} if APACHE else admin.describe_topic_partitions([topic])
equal([(t["name"], len(t["partitions"])) for t in described["topics"]], [(topic, 4)], "describe_topic_partitions")
fails(errors.TopicAlreadyExistsError, lambda: admin.create_topics([NewTopic(topic, 1, 1)]), "create_topics again")
fails(errors.InvalidReplicationFactorError, lambda: admin.create_topics([NewTopic(name("x"), 1, 3)]), "three replicas")
admin.elect_leaders(0, {topic: [0, 1]}, raise_errors=False)
equal(list(admin.list_partition_reassignments()), [], "list_partition_reassignments")

step("admin: configs")
of = ConfigResource(ConfigResourceType.TOPIC, topic)


def value(key):
    return admin.describe_configs([of], config_filter="all")["topic"][topic][key]["value"]


equal(value("retention.ms"), "-1", "describe_configs")
admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "1000", "cleanup.policy": (AlterConfigOp.APPEND, "compact")})])
equal((value("retention.ms"), value("cleanup.policy")), ("1000", "delete,compact"), "alter_configs, incrementally")
admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "2000"})], incremental=False)
equal(value("retention.ms"), "2000", "alter_configs, the old way")
admin.reset_configs([ConfigResource(ConfigResourceType.TOPIC, topic, ["retention.ms"])])
equal(value("retention.ms") == "2000", False, "reset_configs")
if not APACHE:  # 3.9 has no such call
    true(topic in admin.list_config_resources()["topic"], "list_config_resources")

step("admin: security, quotas and transactions are not there yet")
acl = ACL("User:a", "*", ACLOperation.READ, ACLPermissionType.ALLOW, ResourcePattern(ResourceType.TOPIC, topic))
any_acl = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY))
fails(errors.SecurityDisabledError, lambda: admin.describe_acls(any_acl), "describe_acls")
equal(admin.create_acls([acl]), {"succeeded": [], "failed": [errors.SecurityDisabledError]}, "create_acls")
equal([error for _, _, error in admin.delete_acls([any_acl])], [errors.SecurityDisabledError], "delete_acls")
unknown = (errors.IncompatibleBrokerVersion, errors.UnsupportedVersionError)
broker = admin.describe_cluster()["brokers"][0]["broker_id"]
moved = {TopicPartitionReplica(topic, 0, broker): "/nowhere"}
for what, call in {
    "describe_user_scram_credentials": lambda: admin.describe_user_scram_credentials(),
    "alter_user_scram_credentials": lambda: admin.alter_user_scram_credentials([UserScramCredentialDeletion("u", ScramMechanism.SCRAM_SHA_256)]),
    "alter_partition_reassignments": lambda: admin.alter_partition_reassignments({both[0]: [1]}),
    "alter_replica_log_dirs": lambda: admin.alter_replica_log_dirs(moved),
    "list_transactions": lambda: admin.list_transactions(),
    "find_hanging_transactions": lambda: admin.find_hanging_transactions(),
    "abort_transaction": lambda: admin.abort_transaction(AbortTransactionSpec(both[0], 1, 0)),
    "update_features": lambda: admin.update_features({"metadata.version": 1}),
    "describe_metadata_quorum": lambda: admin.describe_metadata_quorum(),
}.items():
    not_there(unknown, call, what)
not_there(unknown, lambda: admin.describe_transactions(["t"]), "describe_transactions")

step("admin: the cluster")
versions = admin.api_versions()
true(len(versions) > 30 and admin.get_broker_version_data(broker) is not None, "api_versions")
true(admin.describe_features() is not None, "describe_features")
admin.delete_topics([topic])
true(topic not in admin.list_topics(), "delete_topics")
fails(errors.UnknownTopicOrPartitionError, lambda: admin.delete_topics([topic]), "delete_topics again")
admin.close()
if not APACHE:
    every_call(kafka.KafkaAdminClient, CALLED)
every_call(kafka.KafkaConsumer, CALLED)
transactions = ["init_transactions", "begin_transaction", "commit_transaction", "abort_transaction", "send_offsets_to_transaction"]
every_call(kafka.KafkaProducer, CALLED, but=transactions)
print("kafka-python: passed")
