package store

import "strconv"

// The nodes that exist once.
const (
	ClusterIDPath          = "/cluster/id"
	ConsumersPath          = "/consumers"
	BrokerIDsPath          = "/brokers/ids"
	BrokerSequencePath     = "/brokers/seqid" // its version is a generator of broker ids
	TopicsPath             = "/brokers/topics"
	ControllerPath         = "/controller"
	ControllerEpochPath    = "/controller_epoch" // its version is the token that fences controllers
	DeleteTopicsPath       = "/admin/delete_topics"
	ReassignPartitionsPath = "/admin/reassign_partitions"
	PreferredElectionPath  = "/admin/preferred_replica_election"
	ISRChangesPath         = "/isr_change_notification"
	LogDirEventsPath       = "/log_dir_event_notification"
	ProducerIDBlockPath    = "/latest_producer_id_block"
	FeaturePath            = "/feature"
	MigrationPath          = "/migration" // there only while a cluster migrates to KRaft
	ConfigChangesPath      = "/config/changes"
)

// What Create with Sequential is given to make a notification; ten digits follow.
const (
	ISRChangePrefix    = ISRChangesPath + "/isr_change_"
	LogDirEventPrefix  = LogDirEventsPath + "/log_dir_event_"
	ConfigChangePrefix = ConfigChangesPath + "/config_change_"
)

// PersistentPaths are the nodes that every broker makes sure of when it starts, in Kafka's order, all with null data.
// Parents are made on the way.
func PersistentPaths() []string {
	return []string{
		ConsumersPath, BrokerIDsPath, TopicsPath, ConfigChangesPath, DeleteTopicsPath, BrokerSequencePath,
		ISRChangesPath, ProducerIDBlockPath, LogDirEventsPath,
		ConfigTypePath(ConfigTopics), ConfigTypePath(ConfigClients), ConfigTypePath(ConfigUsers),
		ConfigTypePath(ConfigBrokers), ConfigTypePath(ConfigIPs),
	}
}

// BrokerPath is a broker's registration, an ephemeral node. Its czxid is the broker epoch.
func BrokerPath(id int32) string { return BrokerIDsPath + "/" + number(id) }

// TopicPath is a topic's assignment.
func TopicPath(topic string) string { return TopicsPath + "/" + topic }

// PartitionsPath holds a topic's partitions, PartitionPath one of them, PartitionStatePath its leader and ISR.
func PartitionsPath(topic string) string { return TopicPath(topic) + "/partitions" }

func PartitionPath(topic string, partition int32) string {
	return PartitionsPath(topic) + "/" + number(partition)
}

func PartitionStatePath(topic string, partition int32) string {
	return PartitionPath(topic, partition) + "/state"
}

// DeleteTopicPath is the request to delete a topic; it has no content.
func DeleteTopicPath(topic string) string { return DeleteTopicsPath + "/" + topic }

// ConsumerOffsetPath is an offset that a group committed by OffsetCommit version 0: a decimal number.
func ConsumerOffsetPath(group, topic string, partition int32) string {
	return ConsumersPath + "/" + group + "/offsets/" + topic + "/" + number(partition)
}

func number(n int32) string { return strconv.FormatInt(int64(n), 10) }
