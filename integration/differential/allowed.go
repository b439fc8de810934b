package main

import "regexp"

// A Rule allows differences, for a reason that docs/COMPATIBILITY.md repeats. Empty patterns match everything; patterns are
// anchored regular expressions.
type Rule struct {
	API         int16 // -1 = any
	Script      string
	Label       string // without its number
	Path        string
	Kafka, Ours string // values
	Unasked     bool   // no script can show it, it only stands in the document
	Reason      string // a whole sentence for the reader of docs/COMPATIBILITY.md
}

var stepNumber = regexp.MustCompile(`^[0-9]+ `)

func (r *Rule) matches(d *Difference) bool {
	if r.Unasked || r.API >= 0 && r.API != d.API {
		return false
	}
	for _, p := range [][2]string{{r.Script, d.Script}, {r.Label, stepNumber.ReplaceAllString(d.Label, "")}, {r.Path, d.Path}, {r.Kafka, d.KafkaSays}, {r.Ours, d.OursSays}} {
		if p[0] != "" && !regexp.MustCompile("^(?:"+p[0]+")$").MatchString(p[1]) {
			return false
		}
	}
	return true
}

func allowed(d *Difference) *Rule {
	for i := range rules {
		if rules[i].matches(d) {
			return &rules[i]
		}
	}
	return nil
}

// ready is why what is created by asking is answered otherwise.
const ready = "What is answered is ready: a topic that Metadata creates is answered with its leaders; Apache Kafka answers LEADER_NOT_AVAILABLE (5) first."

// consumerProtocol is why all that the consumer protocol answers is otherwise.
const consumerProtocol = "The consumer protocol of KIP-848 is served, as by Apache Kafka 4.x; 3.9 advertises the API but answers UNSUPPORTED_VERSION (35) in ZooKeeper mode."

// groupSettings is why what is said of the settings of groups is otherwise.
const groupSettings = "Groups have settings of their own (resource type 32), which belong to the consumer protocol, and are answered as by Apache Kafka 4.x and kept under /config/groups; 3.9 does not know the resource type."

const unclearMaps = "A bad listener.security.protocol.map or max.connections.per.ip.overrides is refused with what is wrong with it; Apache Kafka's message is Java's \"begin 0, end -1\", or lacks the valid names."

// rules are all differences from Apache Kafka 3.9.2 that a client can see and that are meant. docs/COMPATIBILITY.md is made from
// this table by --write-compatibility.
var rules = []Rule{
	{API: 18, Path: `ApiKeys\[(4|5|6|7|24|25|26|27|28|34|36|17|38|39|40|41|45|48|49|50|51|56|57|58|65|66|67)\]`, Ours: "absent",
		Reason: "An API that is not built yet is not advertised: those between brokers, transactions, reassignment, SASL, delegation tokens, quotas, SCRAM, features."},
	{API: 18, Path: `ApiKeys\[(0|1|2|3|8|9|15|18|35|42|60|68|69)\]\.MaxVersion`, Ours: "1|2|3|5|6|10|11|13|18",
		Reason: "Versions that clients of Kafka 4 know and a 3.9 broker does not are advertised too."},
	{API: 18, Path: `ApiKeys\[75\]`, Kafka: "absent",
		Reason: "DescribeTopicPartitions is advertised; a 3.9 broker in ZooKeeper mode does not have it, and tools of 3.8 and later then ask Metadata."},
	{API: 68, Reason: consumerProtocol},
	{API: 69, Reason: consumerProtocol},
	{API: 32, Path: `Resources\[.*\]\.Configs\[group\.coordinator\.rebalance\.protocols\]\..*Value`, Kafka: `"classic"`, Ours: `"classic,consumer"`,
		Reason: "Where group.coordinator.rebalance.protocols is not set, the classic and the consumer protocol are served, and where group.consumer.migration.policy is not set, groups change over in both directions: that is Apache Kafka 4.0's default, while 3.9 has that of a protocol in the making."},
	{API: 18, Path: `ApiKeys\[74\]`, Kafka: "absent",
		Reason: "ListConfigResources is advertised, which tools of 4.1 and later ask for groups with settings; a 3.9 broker in ZooKeeper mode does not have it."},
	{API: 32, Label: "a group", Path: `Resources\[.*`, Reason: groupSettings},
	{API: 33, Label: "a group", Path: `Resources\[.*`, Reason: groupSettings},
	{API: 44, Label: "a group", Path: `Resources\[.*`, Reason: groupSettings},
	{API: 18, Path: `ApiKeys.len`, Reason: "The sets of advertised APIs differ as said."},
	{API: 3, Script: "auto creation|topics", Label: "a colliding name|no topics", Path: `Topics\[.*\]\.ErrorCode`, Kafka: "5", Ours: "0", Reason: ready},
	{API: 3, Script: "auto creation|topics", Label: "a colliding name|no topics", Path: `Topics\[.*\]\.Partitions.len`, Kafka: "null", Ours: "1", Reason: ready},
	{API: 3, Script: "auto creation|topics", Label: "a colliding name|no topics", Path: `Topics\[.*\]\.Partitions\[0\]`, Kafka: "absent", Reason: ready},
	{API: 0, Script: "null records", Path: "outcome", Kafka: "silent",
		Reason: "Produce with null records is answered with INVALID_RECORD (87); Apache Kafka fails inside and never answers."},
	{API: 9, Script: "no groups", Path: "outcome", Kafka: "silent",
		Reason: "OffsetFetch v8 and later without a group is answered with an empty list; Apache Kafka never answers."},
	{API: 33, Script: "a resource twice", Path: "outcome", Kafka: "silent",
		Reason: "AlterConfigs that names a resource twice is answered; Apache Kafka fails inside and never answers."},
	{API: 32, Path: `.*\.Documentation`, Kafka: `".+"`, Ours: `".+"`,
		Reason: "A setting is explained in a sentence of our own, or the first of Apache Kafka's, without its HTML."},
	{API: 35, Path: `.*\.Topics\[__consumer_offsets\]\.Partitions\[.*\]\.Size`, Kafka: `[0-9]+`, Ours: `[0-9]+`,
		Reason: "Records that several groups have to write at once share a batch, which makes the partitions of __consumer_offsets a little smaller; the records are the same."},
	{API: 35, Path: `.*\.Topics\[d[01]-(message-sets-.*|bad-message-sets-append.*|topic-settings-to-.*|a-topic-of-.*)\]\.Partitions\[.*\]\.Size`, Kafka: `[0-9]+`, Ours: `[0-9]+`,
		Reason: "What the broker compresses itself (message sets of old producers, topics with a compression.type) takes a few bytes more or less: Go's compressors are not Java's."},
	{API: 44, Script: "loggers", Label: "bad level", Path: `.*\.ErrorMessage`, Kafka: `"Cannot set the log level of kafka\.server\.KafkaApis.*`,
		Ours: `"Logger kafka\.server\.KafkaApis does not exist!"`, Reason: "Loggers have barnabas's names, not those of Apache Kafka's classes."},
	{API: 44, Script: "values of brokers", Path: `.*\.ErrorMessage`, Kafka: `"Error parsing configuration property '.*': begin 0, end -1, length [0-9]+"`,
		Ours: `"Error parsing configuration property '.*': .* is not (NAME:PROTOCOL|host:limit)"`, Reason: unclearMaps},
	{API: 44, Script: "values of brokers", Path: `.*\.ErrorMessage`, Kafka: `"Invalid security protocol .1. defined in listener\.security\.protocol\.map"`,
		Ours: `"Invalid security protocol .1. defined in listener\.security\.protocol\.map \(valid: .*\)"`, Reason: unclearMaps},
	{API: 44, Script: "values of brokers", Label: `set 0? log\.cleaner\.threads 0`, Path: `.*\.ErrorMessage`, Kafka: `"/ by zero"`,
		Ours: `"Log cleaner threads should be at least 1"`, Reason: "log.cleaner.threads 0 is refused by both; Apache Kafka's message is Java's \"/ by zero\"."},
	{API: 44, Script: "values of brokers", Label: `set 0? log\.flush\.interval\.ms -[0-9]+`, Path: `.*\.Error(Code|Message)`, Kafka: `0|null`,
		Ours:   `42|"Invalid value -[0-9]+ for configuration flush\.ms: Value must be at least 0"`,
		Reason: "A negative log.flush.interval.ms is refused; Apache Kafka takes it, and fails when it puts it into effect."},
	{API: 32, Path: `.*\[zookeeper\.connect\].*`,
		Reason: "zookeeper.connect is what the broker was started with, and null for one that stands alone."},
	{API: 9, Unasked: true, Reason: "OffsetFetch v1 has no place for an error of the group: each partition asked for carries it. Apache Kafka answers without topics then."},
	{API: 10, Unasked: true, Reason: "Transactions are not built yet: their coordinator is answered UNSUPPORTED_VERSION (35) with a message, and so is InitProducerId with a transactional id, so that producers fail at once. (librdkafka asks again until the time given to init_transactions is over.)"},
	{API: 10, Unasked: true, Reason: "What is answered is ready: the first FindCoordinator creates __consumer_offsets and answers when it is led; Apache Kafka answers COORDINATOR_NOT_AVAILABLE (15) first."},
	{API: 11, Unasked: true, Reason: "A waiting JoinGroup or SyncGroup that another request of the same member overtakes is answered REBALANCE_IN_PROGRESS (27), and the waiting SyncGroup of a member that is removed UNKNOWN_MEMBER_ID (25); Apache Kafka never answers them."},
	{API: 11, Unasked: true, Reason: "While too few replicas of a partition of __consumer_offsets are in sync, its groups' JoinGroup is answered COORDINATOR_NOT_AVAILABLE (15), as SyncGroup and OffsetCommit are; Apache Kafka lets members join, and then fails their SyncGroup over and over."},
	{API: 10, Unasked: true, Reason: "A __consumer_offsets that somebody creates by hand, with another number of partitions than offsets.topic.num.partitions, is used as it is; Apache Kafka answers NOT_COORDINATOR (16) until it is restarted."},
	{API: 11, Unasked: true, Reason: "A rebalance whose members all have a rebalance timeout of 0 waits a second for somebody to join; Apache Kafka begins anew at once, over and over."},
	{API: 11, Unasked: true, Reason: "A member that names a protocol twice is answered; Apache Kafka fails inside, never answers it, and the group hangs."},
	{API: 11, Unasked: true, Reason: "While the partition of __consumer_offsets that a group lies in cannot be loaded, its group APIs are answered COORDINATOR_LOAD_IN_PROGRESS (14) and loading is tried again; Apache Kafka serves what it had read."},
}
