package dump

// Tables of what the coordinators write (Kafka's group-coordinator and transaction-coordinator message definitions).
// A key begins with its type, which stands where other messages have their version.

func fString(name string) field   { return field{name: name, kind: str} }
func fOptional(name string) field { return field{name: name, kind: str, nullable: true} }
func fInt(name string) field      { return field{name: name, kind: i32} }
func fLong(name string) field     { return field{name: name, kind: i64} }
func fID(name string) field       { return field{name: name, kind: uid} }
func fBytes(name string) field    { return field{name: name, kind: bin} }

func fList(name string, elem field) field { return field{name: name, kind: list, elem: &elem} }
func fObjects(name string, fields ...field) field {
	return fList(name, field{kind: object, fields: fields})
}
func since(v int16, f field) field { f.from = v; return f }

var (
	topicPartitions = []field{fID("topicId"), fList("partitions", fInt(""))}
	namedPartitions = []field{fString("topic"), fList("partitions", fInt(""))}

	subscription = &message{name: "ConsumerProtocolSubscription", max: 3, flexible: -1, fields: []field{
		fList("topics", fString("")),
		{name: "userData", kind: bin, nullable: true},
		since(1, fObjects("ownedPartitions", namedPartitions...)),
		since(2, fInt("generationId")),
		since(3, fOptional("rackId")),
	}}
	assignment = &message{name: "ConsumerProtocolAssignment", max: 3, flexible: -1, fields: []field{
		fObjects("assignedPartitions", namedPartitions...),
		{name: "userData", kind: bin, nullable: true},
	}}
)

// pair is a key type with its value.
type pair struct{ key, value *message }

func key(name string, kind int16, fields ...field) *message {
	return &message{name: name, max: kind, flexible: -1, fields: fields}
}

func value(name string, fields ...field) *message {
	return &message{name: name, max: 0, flexible: 0, fields: fields}
}

var (
	group  = fString("groupId")
	member = fString("memberId")

	offsetKey   = key("OffsetCommitKey", 1, fString("group"), fString("topic"), fInt("partition"))
	offsetValue = &message{name: "OffsetCommitValue", max: 4, flexible: 4, fields: []field{
		fLong("offset"),
		since(3, fInt("leaderEpoch")),
		fString("metadata"),
		fLong("commitTimestamp"),
		{name: "expireTimestamp", kind: i64, from: 1, to: 1},
	}}
	groupValue = &message{name: "GroupMetadataValue", max: 4, flexible: 4, fields: []field{
		fString("protocolType"),
		fInt("generation"),
		fOptional("protocol"),
		fOptional("leader"),
		since(2, fLong("currentStateTimestamp")),
		fObjects("members",
			fString("memberId"),
			since(3, fOptional("groupInstanceId")),
			fString("clientId"),
			fString("clientHost"),
			since(1, fInt("rebalanceTimeout")),
			fInt("sessionTimeout"),
			field{name: "subscription", kind: bin, embedded: subscription},
			field{name: "assignment", kind: bin, embedded: assignment},
		),
	}}
)

// offsetRecords are the records of __consumer_offsets, by the type of the key.
var offsetRecords = []pair{
	0: {offsetKey, offsetValue},
	1: {offsetKey, offsetValue},
	2: {key("GroupMetadataKey", 2, fString("group")), groupValue},
	3: {key("ConsumerGroupMetadataKey", 3, group), value("ConsumerGroupMetadataValue", fInt("epoch"))},
	4: {key("ConsumerGroupPartitionMetadataKey", 4, group), value("ConsumerGroupPartitionMetadataValue",
		fObjects("topics", fID("topicId"), fString("topicName"), fInt("numPartitions"),
			fObjects("partitionMetadata", fInt("partition"), fList("racks", fString("")))))},
	5: {key("ConsumerGroupMemberMetadataKey", 5, group, member), value("ConsumerGroupMemberMetadataValue",
		fOptional("instanceId"), fOptional("rackId"), fString("clientId"), fString("clientHost"),
		fList("subscribedTopicNames", fString("")), fOptional("subscribedTopicRegex"), fInt("rebalanceTimeoutMs"),
		fOptional("serverAssignor"),
		field{name: "classicMemberMetadata", kind: object, nullable: true, tag: 1, fields: []field{
			fInt("sessionTimeoutMs"), fObjects("supportedProtocols", fString("name"), fBytes("metadata"))}})},
	6: {key("ConsumerGroupTargetAssignmentMetadataKey", 6, group),
		value("ConsumerGroupTargetAssignmentMetadataValue", fInt("assignmentEpoch"))},
	7: {key("ConsumerGroupTargetAssignmentMemberKey", 7, group, member),
		value("ConsumerGroupTargetAssignmentMemberValue", fObjects("topicPartitions", topicPartitions...))},
	8: {key("ConsumerGroupCurrentMemberAssignmentKey", 8, group, member), value("ConsumerGroupCurrentMemberAssignmentValue",
		fInt("memberEpoch"), fInt("previousMemberEpoch"), field{name: "state", kind: i8},
		fObjects("assignedPartitions", topicPartitions...), fObjects("partitionsPendingRevocation", topicPartitions...))},
	9: {key("ShareGroupPartitionMetadataKey", 9, group), value("ShareGroupPartitionMetadataValue",
		fObjects("initializedTopics", fID("topicId"), fString("topicName"), fList("partitions", fInt(""))),
		fObjects("deletingTopics", fID("topicId"), fString("topicName")))},
	10: {key("ShareGroupMemberMetadataKey", 10, group, member), value("ShareGroupMemberMetadataValue",
		fOptional("rackId"), fString("clientId"), fString("clientHost"), fList("subscribedTopicNames", fString("")))},
	11: {key("ShareGroupMetadataKey", 11, group), value("ShareGroupMetadataValue", fInt("epoch"))},
}
