package main

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/IBM/sarama"
)

// saramaAdmin tries each call of sarama's ClusterAdmin at the newest protocol version.
func saramaAdmin(addr string) error {
	conf := saramaConfig(sarama.MaxVersion)
	admin, err := sarama.NewClusterAdmin([]string{addr}, conf)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := saramaFill(admin, addr); err != nil {
		return err
	}
	topic, group, three := saramaTopic, name("sarama-admin-group"), "3000"
	user := []sarama.AlterUserScramCredentialsDelete{{Name: "u", Mechanism: sarama.SCRAM_MECHANISM_SHA_256}}
	acl := sarama.Acl{Principal: "User:a", Host: "*", Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow}
	resource := sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: topic, ResourcePatternType: sarama.AclPatternLiteral}
	filter := sarama.AclFilter{ResourceType: sarama.AclResourceAny, ResourcePatternTypeFilter: sarama.AclPatternAny, Operation: sarama.AclOperationAny, PermissionType: sarama.AclPermissionAny}
	retention := func() (string, error) {
		entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}})
		if err != nil || len(entries) != 1 {
			return "", fmt.Errorf("%d entries: %w", len(entries), err)
		}
		return entries[0].Value, nil
	}
	return every(reflect.TypeFor[sarama.ClusterAdmin](), []string{"Close", "CreateTopic"}, []call{
		{"CreateTopic again", func() error {
			return refused(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false), sarama.ErrTopicAlreadyExists)
		}},
		{"ListTopics", func() error {
			topics, err := admin.ListTopics()
			return want(topics[topic].NumPartitions, int32(2), err)
		}},
		{"DescribeTopics", func() error {
			topics, err := admin.DescribeTopics([]string{topic})
			return want(len(topics[0].Partitions), 2, err)
		}},
		{"CreatePartitions", func() error { return admin.CreatePartitions(topic, 3, nil, false) }},
		{"CreatePartitions fewer", func() error {
			return refused(admin.CreatePartitions(topic, 1, nil, false), sarama.ErrInvalidPartitions)
		}},
		{"AlterPartitionReassignments", func() error {
			return notThere(admin.AlterPartitionReassignments(topic, [][]int32{{0}, {0}, {0}}), "unsupported", "not support", "EOF")
		}},
		{"ListPartitionReassignments", func() error {
			moving, err := admin.ListPartitionReassignments(topic, []int32{0, 1})
			return want(len(moving), 0, err)
		}},
		{"DescribeConfig", func() error {
			value, err := retention()
			return want(value, "-1", err)
		}},
		{"DescribeConfigs", func() error {
			results, err := admin.DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}}},
				sarama.DescribeConfigsOptions{IncludeSynonyms: true, IncludeDocumentation: true})
			if err != nil {
				return err
			}
			return want(len(results), 1, nil)
		}},
		{"AlterConfig", func() error {
			if err := admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &three}, false); err != nil {
				return err
			}
			value, err := retention()
			return want(value, three, err)
		}},
		{"IncrementalAlterConfig", func() error {
			change := map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationDelete}}
			if err := admin.IncrementalAlterConfig(sarama.TopicResource, topic, change, false); err != nil {
				return err
			}
			value, err := retention()
			if value == three {
				err = errors.Join(err, errors.New("the setting is still there"))
			}
			return err
		}},
		{"ListOffsets", func() error {
			offsets, err := admin.ListOffsets(map[string]map[int32]int64{topic: {0: sarama.OffsetNewest, 1: sarama.OffsetOldest}}, nil)
			if err != nil {
				return err
			}
			return want([]int64{offsets[topic][0].Offset, offsets[topic][1].Offset}, []int64{10, 0}, nil)
		}},
		{"DeleteRecords", func() error { return admin.DeleteRecords(topic, map[int32]int64{0: 4}) }},
		{"ElectLeaders", func() error {
			_, err := admin.ElectLeaders(sarama.PreferredElection, map[string][]int32{topic: {0}})
			return err
		}},
		{"AlterConsumerGroupOffsets", func() error {
			answer, err := admin.AlterConsumerGroupOffsets(group, map[string]map[int32]sarama.OffsetAndMetadata{topic: {0: {Offset: 7, Metadata: "m", LeaderEpoch: -1}, 1: {Offset: 1, LeaderEpoch: -1}}}, nil)
			if err != nil {
				return err
			}
			return want(answer.Errors[topic], map[int32]sarama.KError{0: sarama.ErrNoError, 1: sarama.ErrNoError}, nil)
		}},
		{"ListConsumerGroupOffsets", func() error {
			offsets, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
			if err != nil {
				return err
			}
			return want(offsets.GetBlock(topic, 0).Offset, int64(7), nil)
		}},
		{"ListConsumerGroupOffsetsBatch", func() error {
			offsets, err := admin.ListConsumerGroupOffsetsBatch(map[string]map[string][]int32{group: {topic: {0, 1}}})
			if err != nil {
				return err
			}
			return want(offsets[group].Err, sarama.ErrNoError, nil)
		}},
		{"DeleteConsumerGroupOffset", func() error { return admin.DeleteConsumerGroupOffset(group, topic, 1) }},
		{"ListConsumerGroups", func() error {
			groups, err := admin.ListConsumerGroups()
			if _, ok := groups[group]; !ok && err == nil {
				err = fmt.Errorf("%q is not in %v", group, groups)
			}
			return err
		}},
		{"DescribeConsumerGroups", func() error {
			groups, err := admin.DescribeConsumerGroups([]string{group})
			if err != nil {
				return err
			}
			return want(groups[0].State, "Empty", nil)
		}},
		{"Coordinator", func() error {
			_, err := admin.Coordinator(group)
			return err
		}},
		{"RemoveMemberFromConsumerGroup", func() error {
			answer, err := admin.RemoveMemberFromConsumerGroup(group, []string{"nobody"})
			if err != nil {
				return err
			}
			return want(answer.Members[0].Err, sarama.ErrUnknownMemberId, nil)
		}},
		{"DeleteConsumerGroup", func() error { return admin.DeleteConsumerGroup(group) }},
		{"DeleteConsumerGroup again", func() error { return refused(admin.DeleteConsumerGroup(group), sarama.ErrGroupIDNotFound) }},
		{"DescribeCluster", func() error {
			brokers, _, err := admin.DescribeCluster()
			return want(len(brokers), 1, err)
		}},
		{"Controller", func() error {
			_, err := admin.Controller()
			return err
		}},
		{"DescribeLogDirs", func() error {
			controller, err := admin.Controller()
			if err != nil {
				return err
			}
			dirs, err := admin.DescribeLogDirs([]int32{controller.ID()})
			return want(len(dirs[controller.ID()]), 1, err)
		}},
		{"CreateACL", func() error { return refused(admin.CreateACL(resource, acl), sarama.ErrSecurityDisabled) }},
		{"CreateACLs", func() error {
			return refused(admin.CreateACLs([]*sarama.ResourceAcls{{Resource: resource, Acls: []*sarama.Acl{&acl}}}), sarama.ErrSecurityDisabled)
		}},
		{"ListAcls", func() error {
			_, err := admin.ListAcls(filter)
			return refused(err, sarama.ErrSecurityDisabled)
		}},
		{"DeleteACL", func() error {
			_, err := admin.DeleteACL(filter, false)
			return refused(err, sarama.ErrSecurityDisabled)
		}},
		{"DescribeUserScramCredentials", func() error {
			_, err := admin.DescribeUserScramCredentials([]string{"u"})
			return notThere(err, "unsupported", "not support", "EOF")
		}},
		{"DeleteUserScramCredentials", func() error {
			_, err := admin.DeleteUserScramCredentials(user)
			return notThere(err, "unsupported", "not support", "EOF")
		}},
		{"UpsertUserScramCredentials", func() error {
			_, err := admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{Name: "u", Mechanism: sarama.SCRAM_MECHANISM_SHA_256, Iterations: 4096, Salt: []byte("salt"), Password: []byte("p")}})
			return notThere(err, "unsupported", "not support", "EOF")
		}},
		{"UpdateFeatures", func() error {
			_, err := admin.UpdateFeatures([]sarama.FeatureUpdate{{Feature: "metadata.version", MaxVersionLevel: 1}})
			return notThere(err, "unsupported", "not support", "EOF")
		}},
		{"DescribeClientQuotas", func() error {
			_, err := admin.DescribeClientQuotas(nil, false)
			return notThere(err, "unsupported", "not support", "EOF")
		}},
		{"AlterClientQuotas", func() error {
			entity := []sarama.QuotaEntityComponent{{EntityType: sarama.QuotaEntityUser, MatchType: sarama.QuotaMatchExact, Name: "u"}}
			return notThere(admin.AlterClientQuotas(entity, sarama.ClientQuotasOp{Key: "producer_byte_rate", Value: 1}, false), "unsupported", "not support", "EOF")
		}},
		{"DeleteTopic", func() error { return admin.DeleteTopic(topic) }},
		{"DeleteTopic again", func() error { return refused(admin.DeleteTopic(topic), sarama.ErrUnknownTopicOrPartition) }},
	})
}

var saramaTopic = name("sarama-admin")

// saramaFill makes a topic of two partitions with ten records in the first.
func saramaFill(admin sarama.ClusterAdmin, addr string) error {
	forever := "-1"
	if err := admin.CreateTopic(saramaTopic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &forever}}, false); err != nil {
		return err
	}
	conf := saramaConfig(sarama.MaxVersion)
	conf.Producer.Partitioner = sarama.NewManualPartitioner
	p, err := sarama.NewSyncProducer([]string{addr}, conf)
	if err != nil {
		return err
	}
	defer p.Close()
	for i := range 10 {
		if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: saramaTopic, Value: sarama.StringEncoder(fmt.Sprint(i))}); err != nil {
			return err
		}
	}
	return nil
}
