package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// unsupported are the ways in which kafka-go says that a broker does not advertise an API.
var unsupported = []string{"unsupported", "not support", "no match", "EOF"}

// kafkaGoClient tries each call of kafka-go's Client, the ones with which its Reader and Writer are made too.
func kafkaGoClient(ctx context.Context, addr string) error {
	c := &kafka.Client{Addr: kafka.TCP(addr), Timeout: 30 * time.Second}
	topic, group := name("kafka-go-client"), name("kafka-go-client-group")
	value := func(b kafka.Bytes) string {
		data, _ := kafka.ReadAll(b)
		return string(data)
	}
	retention := func() (string, error) {
		r, err := c.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
		if err != nil || len(r.Resources) != 1 || len(r.Resources[0].ConfigEntries) != 1 {
			return "", fmt.Errorf("%+v: %w", r, err)
		}
		return r.Resources[0].ConfigEntries[0].ConfigValue, nil
	}
	produced := func(r *kafka.ProduceResponse, err error) error {
		if err != nil {
			return err
		}
		return errors.Join(r.Error, want(len(r.RecordErrors), 0, nil))
	}
	var member kafka.JoinGroupResponse
	var join kafka.JoinGroupRequest
	return every(reflect.TypeFor[*kafka.Client](), nil, []call{
		{"ApiVersions", func() error {
			r, err := c.ApiVersions(ctx, &kafka.ApiVersionsRequest{})
			if err == nil && len(r.ApiKeys) < 30 {
				err = fmt.Errorf("%d APIs", len(r.ApiKeys))
			}
			return err
		}},
		{"CreateTopics", func() error {
			r, err := c.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 2, ReplicationFactor: 1}}})
			return errors.Join(err, r.Errors[topic])
		}},
		{"CreateTopics again", func() error {
			r, err := c.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 2, ReplicationFactor: 1}}})
			return errors.Join(err, refused(r.Errors[topic], kafka.TopicAlreadyExists))
		}},
		{"CreatePartitions", func() error {
			r, err := c.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 3, TopicPartitionAssignments: []kafka.TopicPartitionAssignment{{BrokerIDs: nodes(ctx, c)}}}}})
			return errors.Join(err, r.Errors[topic])
		}},
		{"Metadata", func() error {
			fresh := &kafka.Client{Addr: c.Addr, Timeout: c.Timeout, Transport: &kafka.Transport{}} // a transport remembers what it was told
			r, err := fresh.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
			if err != nil {
				return err
			}
			return want(len(r.Topics[0].Partitions), 3, nil)
		}},
		{"Produce", func() error {
			return produced(c.Produce(ctx, &kafka.ProduceRequest{Topic: topic, RequiredAcks: kafka.RequireAll, Compression: kafka.Zstd, Records: kafka.NewRecordReader(
				kafka.Record{Time: time.UnixMilli(1_700_000_000_000), Value: kafka.NewBytes([]byte("a"))}, kafka.Record{Time: time.UnixMilli(1_700_000_001_000), Value: kafka.NewBytes([]byte("b"))})}))
		}},
		{"RawProduce", func() error {
			raw, err := rawRecords()
			if err != nil {
				return err
			}
			return produced(c.RawProduce(ctx, &kafka.RawProduceRequest{Topic: topic, Partition: 1, RequiredAcks: kafka.RequireAll, RawRecords: raw}))
		}},
		{"Fetch", func() error {
			r, err := c.Fetch(ctx, &kafka.FetchRequest{Topic: topic, Offset: 1, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second})
			if err != nil || r.Error != nil {
				return errors.Join(err, r.Error)
			}
			var got []string
			for {
				rec, err := r.Records.ReadRecord()
				if errors.Is(err, io.EOF) {
					return want(strings.Join(got, ""), "ab", nil) // a broker answers with whole batches
				} else if err != nil {
					return err
				}
				got = append(got, value(rec.Value))
			}
		}},
		{"ListOffsets", func() error {
			r, err := c.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0)}}})
			if err != nil {
				return err
			}
			return want([]int64{r.Topics[topic][0].FirstOffset, r.Topics[topic][0].LastOffset}, []int64{0, 2}, r.Topics[topic][0].Error)
		}},
		{"FindCoordinator", func() error {
			r, err := c.FindCoordinator(ctx, &kafka.FindCoordinatorRequest{Key: group, KeyType: kafka.CoordinatorKeyTypeConsumer})
			return errors.Join(err, r.Error)
		}},
		{"JoinGroup", func() error {
			join = kafka.JoinGroupRequest{GroupID: group, SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second, ProtocolType: "consumer", Protocols: []kafka.GroupProtocol{{Name: "range", Metadata: kafka.GroupProtocolSubscription{Topics: []string{topic}}}}}
			first, err := c.JoinGroup(ctx, &join)
			if err != nil {
				return err
			}
			if !errors.Is(first.Error, kafka.MemberIDRequired) {
				return fmt.Errorf("the first answer is %w, want %w", first.Error, kafka.MemberIDRequired)
			}
			join.MemberID = first.MemberID
			second, err := c.JoinGroup(ctx, &join)
			if err != nil {
				return err
			}
			member = *second
			return errors.Join(second.Error, want(member.LeaderID, member.MemberID, nil))
		}},
		{"SyncGroup", func() error {
			r, err := c.SyncGroup(ctx, &kafka.SyncGroupRequest{GroupID: group, GenerationID: member.GenerationID, MemberID: member.MemberID, ProtocolType: "consumer", ProtocolName: "range",
				Assignments: []kafka.SyncGroupRequestAssignment{{MemberID: member.MemberID, Assignment: kafka.GroupProtocolAssignment{AssignedPartitions: map[string][]int{topic: {0, 1, 2}}}}}})
			if err != nil {
				return err
			}
			return want(len(r.Assignment.AssignedPartitions[topic]), 3, r.Error)
		}},
		{"Heartbeat", func() error {
			r, err := c.Heartbeat(ctx, &kafka.HeartbeatRequest{GroupID: group, GenerationID: int32(member.GenerationID), MemberID: member.MemberID})
			return errors.Join(err, r.Error)
		}},
		{"OffsetCommit", func() error {
			r, err := c.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: group, GenerationID: member.GenerationID, MemberID: member.MemberID, Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: 2, Metadata: "m"}, {Partition: 1, Offset: 0}}}})
			if err != nil {
				return err
			}
			return errors.Join(r.Topics[topic][0].Error, r.Topics[topic][1].Error)
		}},
		{"OffsetFetch", func() error {
			r, err := c.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0}}})
			if err != nil {
				return err
			}
			return want([]any{r.Topics[topic][0].CommittedOffset, r.Topics[topic][0].Metadata}, []any{int64(2), "m"}, r.Error)
		}},
		{"ConsumerOffsets", func() error {
			offsets, err := c.ConsumerOffsets(ctx, kafka.TopicAndGroup{Topic: topic, GroupId: group})
			return want(offsets[0], int64(2), err)
		}},
		{"DescribeGroups", func() error {
			r, err := c.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
			return want([]any{r.Groups[0].GroupState, len(r.Groups[0].Members)}, []any{"Stable", 1}, err)
		}},
		{"ListGroups", func() error {
			r, err := c.ListGroups(ctx, &kafka.ListGroupsRequest{})
			if err == nil && len(r.Groups) == 0 {
				err = errors.New("no groups")
			}
			return err
		}},
		{"LeaveGroup", func() error {
			r, err := c.LeaveGroup(ctx, &kafka.LeaveGroupRequest{GroupID: group, Members: []kafka.LeaveGroupRequestMember{{ID: member.MemberID}}})
			return errors.Join(err, r.Error)
		}},
		{"OffsetDelete", func() error {
			r, err := c.OffsetDelete(ctx, &kafka.OffsetDeleteRequest{Addr: c.Addr, GroupID: group, Topics: map[string][]int{topic: {1}}})
			if err != nil {
				return err
			}
			return errors.Join(r.Error, r.Topics[topic][0].Error)
		}},
		{"DeleteGroups", func() error {
			r, err := c.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
			return errors.Join(err, r.Errors[group])
		}},
		{"DescribeConfigs", func() error {
			_, err := retention()
			return err
		}},
		{"AlterConfigs", func() error {
			if _, err := c.AlterConfigs(ctx, &kafka.AlterConfigsRequest{Resources: []kafka.AlterConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, Configs: []kafka.AlterConfigRequestConfig{{Name: "retention.ms", Value: "3000000"}}}}}); err != nil {
				return err
			}
			got, err := retention()
			return want(got, "3000000", err)
		}},
		{"IncrementalAlterConfigs", func() error {
			if _, err := c.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "retention.ms", Value: "4000000", ConfigOperation: kafka.ConfigOperationSet}}}}}); err != nil {
				return err
			}
			got, err := retention()
			return want(got, "4000000", err)
		}},
		{"ElectLeaders", func() error {
			_, err := c.ElectLeaders(ctx, &kafka.ElectLeadersRequest{Topic: topic, Partitions: []int{0}, Timeout: time.Second})
			return err
		}},
		{"ListPartitionReassignments", func() error {
			r, err := c.ListPartitionReassignments(ctx, &kafka.ListPartitionReassignmentsRequest{Topics: map[string]kafka.ListPartitionReassignmentsRequestTopic{topic: {PartitionIndexes: []int{0}}}, Timeout: time.Second})
			return want(len(r.Topics), 0, errors.Join(err, r.Error))
		}},
		{"InitProducerID", func() error {
			r, err := c.InitProducerID(ctx, &kafka.InitProducerIDRequest{})
			if err == nil && r.Producer.ProducerID < 0 {
				err = fmt.Errorf("producer id %d", r.Producer.ProducerID)
			}
			return errors.Join(err, r.Error)
		}},
		{"DescribeACLs", func() error {
			r, err := c.DescribeACLs(ctx, &kafka.DescribeACLsRequest{Filter: kafka.ACLFilter{ResourceTypeFilter: kafka.ResourceTypeAny, ResourcePatternTypeFilter: kafka.PatternTypeAny, Operation: kafka.ACLOperationTypeAny, PermissionType: kafka.ACLPermissionTypeAny}})
			return errors.Join(err, refused(r.Error, kafka.SecurityDisabled))
		}},
		{"CreateACLs", func() error {
			r, err := c.CreateACLs(ctx, &kafka.CreateACLsRequest{ACLs: []kafka.ACLEntry{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ResourcePatternType: kafka.PatternTypeLiteral, Principal: "User:a", Host: "*", Operation: kafka.ACLOperationTypeRead, PermissionType: kafka.ACLPermissionTypeAllow}}})
			return errors.Join(err, refused(r.Errors[0], kafka.SecurityDisabled))
		}},
		{"DeleteACLs", func() error {
			r, err := c.DeleteACLs(ctx, &kafka.DeleteACLsRequest{Filters: []kafka.DeleteACLsFilter{{ResourceTypeFilter: kafka.ResourceTypeAny, ResourcePatternTypeFilter: kafka.PatternTypeAny, Operation: kafka.ACLOperationTypeAny, PermissionType: kafka.ACLPermissionTypeAny}}})
			return errors.Join(err, refused(r.Results[0].Error, kafka.SecurityDisabled))
		}},
		{"AlterPartitionReassignments", func() error {
			_, err := c.AlterPartitionReassignments(ctx, &kafka.AlterPartitionReassignmentsRequest{Topic: topic, Assignments: []kafka.AlterPartitionReassignmentsRequestAssignment{{PartitionID: 0, BrokerIDs: []int{0}}}, Timeout: time.Second})
			return notThere(err, unsupported...)
		}},
		{"DescribeUserScramCredentials", func() error {
			_, err := c.DescribeUserScramCredentials(ctx, &kafka.DescribeUserScramCredentialsRequest{Users: []kafka.UserScramCredentialsUser{{Name: "u"}}})
			return notThere(err, unsupported...)
		}},
		{"AlterUserScramCredentials", func() error {
			_, err := c.AlterUserScramCredentials(ctx, &kafka.AlterUserScramCredentialsRequest{Deletions: []kafka.UserScramCredentialsDeletion{{Name: "u", Mechanism: kafka.ScramMechanismSha256}}})
			return notThere(err, unsupported...)
		}},
		{"DescribeClientQuotas", func() error {
			_, err := c.DescribeClientQuotas(ctx, &kafka.DescribeClientQuotasRequest{Components: []kafka.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: 2}}})
			return notThere(err, unsupported...)
		}},
		{"AlterClientQuotas", func() error {
			_, err := c.AlterClientQuotas(ctx, &kafka.AlterClientQuotasRequest{Entries: []kafka.AlterClientQuotaEntry{{Entities: []kafka.AlterClientQuotaEntity{{EntityType: "user", EntityName: "u"}}, Ops: []kafka.AlterClientQuotaOps{{Key: "producer_byte_rate", Value: 1}}}}})
			return notThere(err, unsupported...)
		}},
		{"AddPartitionsToTxn", func() error {
			_, err := c.AddPartitionsToTxn(ctx, &kafka.AddPartitionsToTxnRequest{Addr: c.Addr, TransactionalID: "t", Topics: map[string][]kafka.AddPartitionToTxn{topic: {{Partition: 0}}}})
			return refusedOr(err, kafka.GroupCoordinatorNotAvailable, unsupported...)
		}},
		{"AddOffsetsToTxn", func() error {
			_, err := c.AddOffsetsToTxn(ctx, &kafka.AddOffsetsToTxnRequest{Addr: c.Addr, TransactionalID: "t", GroupID: group})
			return refusedOr(err, kafka.GroupCoordinatorNotAvailable, unsupported...)
		}},
		{"TxnOffsetCommit", func() error {
			_, err := c.TxnOffsetCommit(ctx, &kafka.TxnOffsetCommitRequest{Addr: c.Addr, TransactionalID: "t", GroupID: group, Topics: map[string][]kafka.TxnOffsetCommit{topic: {{Partition: 0}}}})
			return refusedOr(err, kafka.GroupCoordinatorNotAvailable, unsupported...)
		}},
		{"EndTxn", func() error {
			_, err := c.EndTxn(ctx, &kafka.EndTxnRequest{Addr: c.Addr, TransactionalID: "t"})
			return refusedOr(err, kafka.GroupCoordinatorNotAvailable, unsupported...)
		}},
		{"DeleteTopics", func() error {
			r, err := c.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
			return errors.Join(err, r.Errors[topic])
		}},
	})
}

// rawRecords is a batch as it goes over the wire.
func rawRecords() (protocol.RawRecordSet, error) {
	set := protocol.RecordSet{Version: 2, Attributes: protocol.Attributes(kafka.Snappy), Records: kafka.NewRecordReader(kafka.Record{Time: time.UnixMilli(1_700_000_000_000), Value: kafka.NewBytes([]byte("raw"))})}
	var wire bytes.Buffer
	if _, err := set.WriteTo(&wire); err != nil {
		return protocol.RawRecordSet{}, err
	}
	var raw protocol.RawRecordSet
	_, err := raw.ReadFrom(&wire)
	return raw, err
}

// nodes are the ids of the brokers.
func nodes(ctx context.Context, c *kafka.Client) []int32 {
	r, err := c.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return nil
	}
	var ids []int32
	for _, b := range r.Brokers {
		ids = append(ids, int32(b.ID))
	}
	return ids
}

func refusedOr(err, due error, words ...string) error {
	if errors.Is(err, due) {
		return nil
	}
	return notThere(err, words...)
}
