//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/integration/peers"
)

// notBuilt are kadm's methods for what barnabas does not have yet: since the APIs are not advertised, the client itself must say so.
// One that works fails the test.
var notBuilt = map[string]func(context.Context, *kadm.Client) error{
	"CreateDelegationToken": func(ctx context.Context, a *kadm.Client) error {
		_, err := a.CreateDelegationToken(ctx, kadm.CreateDelegationToken{})
		return err
	},
	"RenewDelegationToken": func(ctx context.Context, a *kadm.Client) error {
		_, err := a.RenewDelegationToken(ctx, []byte("h"), time.Second)
		return err
	},
	"ExpireDelegationToken": func(ctx context.Context, a *kadm.Client) error {
		_, err := a.ExpireDelegationToken(ctx, []byte("h"), time.Second)
		return err
	},
	"DescribeDelegationTokens": func(ctx context.Context, a *kadm.Client) error { _, err := a.DescribeDelegationTokens(ctx); return err },
	"DescribeClientQuotas": func(ctx context.Context, a *kadm.Client) error {
		_, err := a.DescribeClientQuotas(ctx, false, nil)
		return err
	},
	"AlterClientQuotas": func(ctx context.Context, a *kadm.Client) error { _, err := a.AlterClientQuotas(ctx, nil); return err },
	"ValidateAlterClientQuotas": func(ctx context.Context, a *kadm.Client) error {
		_, err := a.ValidateAlterClientQuotas(ctx, nil)
		return err
	},
	"DescribeUserSCRAMs": func(ctx context.Context, a *kadm.Client) error { _, err := a.DescribeUserSCRAMs(ctx); return err },
	"AlterUserSCRAMs": func(ctx context.Context, a *kadm.Client) error {
		_, err := a.AlterUserSCRAMs(ctx, []kadm.DeleteSCRAM{{User: "u", Mechanism: kadm.ScramSha256}}, nil)
		return err
	},
	"UpdateFeatures": func(ctx context.Context, a *kadm.Client) error {
		_, err := a.UpdateFeatures(ctx, true, kadm.FeatureUpdate{Feature: "metadata.version", MaxVersionLevel: 1})
		return err
	},
	"ListTransactions": func(ctx context.Context, a *kadm.Client) error {
		_, err := a.ListTransactions(ctx, nil, nil)
		return err
	},
	"ListTransactionsByTxPattern": func(ctx context.Context, a *kadm.Client) error {
		_, err := a.ListTransactionsByTxPattern(ctx, nil, nil, "t")
		return err
	},
	"AlterPartitionAssignments": func(ctx context.Context, a *kadm.Client) error {
		var r kadm.AlterPartitionAssignmentsReq
		r.Assign("kadm", 0, []int32{0})
		_, err := a.AlterPartitionAssignments(ctx, r)
		return err
	},
	"AlterAllReplicaLogDirs": func(ctx context.Context, a *kadm.Client) error {
		var r kadm.AlterReplicaLogDirsReq
		r.Add("/x", kadm.TopicsSet{"kadm": {0: {}}})
		_, err := a.AlterAllReplicaLogDirs(ctx, r)
		return err
	},
	"AlterBrokerReplicaLogDirs": func(ctx context.Context, a *kadm.Client) error {
		var r kadm.AlterReplicaLogDirsReq
		r.Add("/x", kadm.TopicsSet{"kadm": {0: {}}})
		_, err := a.AlterBrokerReplicaLogDirs(ctx, 0, r)
		return err
	},
}

// elsewhere are methods that need coordinators or protocols of issues to come, or that other tests have.
var elsewhere = []string{"Close", "SetTimeoutMillis", "OffetForLeaderEpoch", // an old spelling of OffsetForLeaderEpoch
	"DescribeTransactions", "FindTxnCoordinators", "WriteTxnMarkers", // transactions
	"DescribeConsumerGroups", // KIP-848
	"DescribeShareGroups", "DescribeShareGroupOffsets", "AlterShareGroupOffsets", "DeleteShareGroupOffsets", "FindShareCoordinators"}

// TestKadm tries each call of franz-go's admin client.
func TestKadm(t *testing.T) {
	addr := target(t)
	adm, ctx := admin(t, addr), soon(t)
	topic, group := "kadm", "kadm-group"
	set := kadm.TopicsSet{topic: {0: {}, 1: {}}}
	tried := slices.Clone(elsewhere)
	try := func(name string, do func() error) {
		t.Helper()
		tried = append(tried, name)
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	same := func(got, want any, errs ...error) error {
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("got %v, want %v", got, want)
		}
		return nil
	}
	is := func(err, want error) error {
		if errors.Is(err, want) {
			return nil
		}
		return fmt.Errorf("got %v, want %v", err, want)
	}

	forever := "-1"
	try("ValidateCreateTopics", func() error {
		r, err := adm.ValidateCreateTopics(ctx, 2, 1, nil, topic)
		return errors.Join(err, r.Error())
	})
	try("CreateTopic", func() error {
		_, err := adm.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": &forever}, topic)
		return err
	})
	try("CreateTopics", func() error {
		r, err := adm.CreateTopics(ctx, 1, 1, nil, topic)
		return errors.Join(err, is(r.Error(), kerr.TopicAlreadyExists))
	})
	p := client(t, addr, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 10 {
		if err := p.ProduceSync(ctx, &kgo.Record{Value: []byte("v"), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i))}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	try("ListTopics", func() error { r, err := adm.ListTopics(ctx, topic); return same(len(r[topic].Partitions), 2, err) })
	try("ListTopicsWithInternal", func() error { r, err := adm.ListTopicsWithInternal(ctx); return same(r.Has(topic), true, err) })
	try("Metadata", func() error { r, err := adm.Metadata(ctx); return same(r.Topics.Has(topic), true, err) })
	try("BrokerMetadata", func() error { r, err := adm.BrokerMetadata(ctx); return same(len(r.Topics), 0, err) })
	try("ListBrokers", func() error { r, err := adm.ListBrokers(ctx); return same(r.NodeIDs(), []int32{0}, err) })
	try("ApiVersions", func() error { r, err := adm.ApiVersions(ctx); return same(len(r), 1, err) })
	try("ValidateCreatePartitions", func() error {
		r, err := adm.ValidateCreatePartitions(ctx, 1, topic)
		return errors.Join(err, r.Error())
	})
	try("CreatePartitions", func() error { r, err := adm.CreatePartitions(ctx, 1, topic); return errors.Join(err, r.Error()) })
	try("ValidateUpdatePartitions", func() error {
		r, err := adm.ValidateUpdatePartitions(ctx, 4, topic)
		return errors.Join(err, r.Error())
	})
	try("UpdatePartitions", func() error { r, err := adm.UpdatePartitions(ctx, 4, topic); return errors.Join(err, r.Error()) })

	offset := func(r kadm.ListedOffsets, err error) (int64, error) {
		o, _ := r.Lookup(topic, 0)
		return o.Offset, errors.Join(err, o.Err)
	}
	for name, c := range map[string]struct {
		list func(context.Context, ...string) (kadm.ListedOffsets, error)
		want int64
	}{
		"ListStartOffsets": {adm.ListStartOffsets, 0}, "ListEndOffsets": {adm.ListEndOffsets, 10}, "ListMaxTimestampOffsets": {adm.ListMaxTimestampOffsets, 9},
		"ListLocalLogStartOffsets": {adm.ListLocalLogStartOffsets, 0}, "ListLatestRemoteOffsets": {adm.ListLatestRemoteOffsets, -1}, "ListCommittedOffsets": {adm.ListCommittedOffsets, 10},
	} {
		try(name, func() error { got, err := offset(c.list(ctx, topic)); return same(got, c.want, err) })
	}
	try("ListOffsetsAfterMilli", func() error {
		got, err := offset(adm.ListOffsetsAfterMilli(ctx, 1_700_000_000_004, topic))
		return same(got, int64(4), err)
	})
	try("OffsetForLeaderEpoch", func() error {
		var r kadm.OffsetForLeaderEpochRequest
		r.Add(topic, 0, 0)
		got, err := adm.OffsetForLeaderEpoch(ctx, r)
		return same(got[topic][0].EndOffset, int64(10), err, got[topic][0].Err)
	})
	try("DeleteRecords", func() error {
		r, err := adm.DeleteRecords(ctx, kadm.OffsetsList{{Topic: topic, Partition: 0, At: 3}}.Offsets())
		return same(r[topic][0].LowWatermark, int64(3), err, r.Error())
	})
	try("DescribeProducers", func() error {
		r, err := adm.DescribeProducers(ctx, set)
		return same(len(r[topic].Partitions[0].ActiveProducers), 1, err)
	})
	try("DescribeAllLogDirs", func() error { r, err := adm.DescribeAllLogDirs(ctx, set); return same(len(r), 1, err) })
	try("DescribeBrokerLogDirs", func() error { r, err := adm.DescribeBrokerLogDirs(ctx, 0, set); return same(len(r), 1, err, r.Error()) })
	try("ElectLeaders", func() error {
		r, err := adm.ElectLeaders(ctx, kadm.ElectPreferredReplica, set)
		return errors.Join(err, is(r[topic][0].Err, kerr.ElectionNotNeeded))
	})
	try("ListPartitionReassignments", func() error { r, err := adm.ListPartitionReassignments(ctx, set); return same(len(r), 0, err) })

	value := func(name string) string {
		r, err := adm.DescribeTopicConfigs(ctx, topic)
		if err != nil || len(r) != 1 || r[0].Err != nil {
			t.Fatal(err, r)
		}
		for _, c := range r[0].Configs {
			if c.Key == name {
				return c.MaybeValue()
			}
		}
		return "none"
	}
	ms := func(v string) []kadm.AlterConfig {
		return []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &v}}
	}
	bytes := func(v string) []kadm.AlterConfig {
		return []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "log.segment.bytes", Value: &v}}
	}
	changed := func(r kadm.AlterConfigsResponses, err error) error {
		for _, a := range r {
			err = errors.Join(err, a.Err)
		}
		return err
	}
	try("ListConfigResources", func() error {
		r, err := adm.ListConfigResources(ctx, kadm.ConfigResourceType(kmsg.ConfigResourceTypeTopic))
		if kind() == peers.Kafka {
			return nil // 3.9 does not have it
		}
		if err = errors.Join(err, r.Err); err == nil && !slices.Contains(r.Resources, kadm.ConfigResource{Name: topic, Type: kmsg.ConfigResourceTypeTopic}) {
			err = fmt.Errorf("no %s in %v", topic, r.Resources)
		}
		return err
	})
	try("DescribeTopicConfigs", func() error { return same(value("retention.ms"), "-1") })
	try("ValidateAlterTopicConfigs", func() error {
		return errors.Join(changed(adm.ValidateAlterTopicConfigs(ctx, ms("1"), topic)), same(value("retention.ms"), "-1"))
	})
	try("AlterTopicConfigs", func() error {
		return errors.Join(changed(adm.AlterTopicConfigs(ctx, ms("2000000"), topic)), same(value("retention.ms"), "2000000"))
	})
	try("ValidateAlterTopicConfigsState", func() error { return changed(adm.ValidateAlterTopicConfigsState(ctx, ms("1"), topic)) })
	try("AlterTopicConfigsState", func() error {
		return errors.Join(changed(adm.AlterTopicConfigsState(ctx, ms("3000000"), topic)), same(value("retention.ms"), "3000000"))
	})
	try("ValidateAlterBrokerConfigs", func() error { return changed(adm.ValidateAlterBrokerConfigs(ctx, bytes("200000000"), 0)) })
	try("AlterBrokerConfigs", func() error { return changed(adm.AlterBrokerConfigs(ctx, bytes("200000000"), 0)) })
	try("ValidateAlterBrokerConfigsState", func() error { return changed(adm.ValidateAlterBrokerConfigsState(ctx, bytes("300000000"), 0)) })
	try("AlterBrokerConfigsState", func() error { return changed(adm.AlterBrokerConfigsState(ctx, nil, 0)) }) // takes all back
	try("DescribeBrokerConfigs", func() error {
		r, err := adm.DescribeBrokerConfigs(ctx, 0)
		return same(len(r[0].Configs) > 300, true, err, r[0].Err)
	})

	at := kadm.OffsetsList{{Topic: topic, Partition: 0, At: 5, LeaderEpoch: -1, Metadata: "m"}, {Topic: topic, Partition: 1, At: 0, LeaderEpoch: -1}}.Offsets()
	if kind() == "kafka" { // which has no coordinator at first
		eventually(t, "there is a coordinator", func() error { _, err := adm.FetchOffsets(ctx, group); return err })
	}
	try("FindGroupCoordinators", func() error {
		r := adm.FindGroupCoordinators(ctx, group)
		return same(r[group].NodeID, int32(0), r.Error())
	})
	try("CommitOffsets", func() error { r, err := adm.CommitOffsets(ctx, group, at); return errors.Join(err, r.Error()) })
	try("CommitAllOffsets", func() error { return adm.CommitAllOffsets(ctx, group, at) })
	fetched := func(r kadm.OffsetResponses, err error) error {
		o, _ := r.Lookup(topic, 0)
		return same([]any{o.At, o.Metadata}, []any{int64(5), "m"}, err, r.Error())
	}
	try("FetchOffsets", func() error { return fetched(adm.FetchOffsets(ctx, group)) })
	try("FetchOffsetsForTopics", func() error { return fetched(adm.FetchOffsetsForTopics(ctx, group, topic)) })
	try("FetchManyOffsets", func() error {
		r := adm.FetchManyOffsets(ctx, group, "kadm-other")
		return errors.Join(r.Error(), fetched(r[group].Fetched, r[group].Err))
	})
	listed, err := adm.ListTopics(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	byID := kadm.OffsetsByID{}
	byID.Add(kadm.Offset{Topic: topic, TopicID: listed[topic].ID, Partition: 0, At: 6, LeaderEpoch: -1})
	try("CommitOffsetsByID", func() error { _, err := adm.CommitOffsetsByID(ctx, group, byID); return err })
	try("CommitAllOffsetsByID", func() error { return adm.CommitAllOffsetsByID(ctx, group, byID) })
	try("FetchOffsetsByID", func() error {
		r, err := adm.FetchOffsetsByID(ctx, group)
		return same(r[listed[topic].ID][0].At, int64(6), err)
	})
	try("Lag", func() error {
		r, err := adm.Lag(ctx, group)
		return same(r[group].Lag[topic][0].Lag, int64(4), err, r.Error())
	})
	try("ListGroups", func() error {
		r, err := adm.ListGroups(ctx, "Empty")
		return same(slices.Contains(r.Groups(), group), true, err)
	})
	try("ListGroupsByType", func() error {
		r, err := adm.ListGroupsByType(ctx, []string{"classic"})
		return same(slices.Contains(r.Groups(), group), true, err)
	})
	try("DescribeGroups", func() error {
		r, err := adm.DescribeGroups(ctx, group)
		return same(r[group].State, "Empty", err, r.Error())
	})
	try("LeaveGroup", func() error {
		r, err := adm.LeaveGroup(ctx, kadm.LeaveGroup(group).InstanceIDs("nobody"))
		return errors.Join(err, is(r.Error(), kerr.UnknownMemberID))
	})
	try("DeleteOffsets", func() error {
		r, err := adm.DeleteOffsets(ctx, group, kadm.TopicsSet{topic: {1: {}}})
		return errors.Join(err, r.Error())
	})
	try("DeleteGroup", func() error { r, err := adm.DeleteGroup(ctx, group); return errors.Join(err, r.Err) })
	try("DeleteGroups", func() error {
		r, err := adm.DeleteGroups(ctx, group)
		return errors.Join(err, is(r.Error(), kerr.GroupIDNotFound))
	})

	acls := func() *kadm.ACLBuilder {
		return kadm.NewACLs().Topics(topic).Allow("User:a").AllowHosts("*").Operations(kadm.OpRead).ResourcePatternType(kadm.ACLPatternLiteral)
	}
	try("CreateACLs", func() error {
		r, err := adm.CreateACLs(ctx, acls())
		return errors.Join(err, is(r[0].Err, kerr.SecurityDisabled))
	})
	try("DescribeACLs", func() error {
		r, err := adm.DescribeACLs(ctx, acls())
		return errors.Join(err, is(r[0].Err, kerr.SecurityDisabled))
	})
	try("DeleteACLs", func() error {
		r, err := adm.DeleteACLs(ctx, acls())
		return errors.Join(err, is(r[0].Err, kerr.SecurityDisabled))
	})

	for name, do := range notBuilt {
		tried = append(tried, name)
		if err := do(ctx, adm); kind() != "kafka" && (err == nil || !strings.Contains(err.Error(), "broker is too old")) {
			t.Errorf("%s, which is not built, says %v", name, err)
		}
	}
	try("DeleteTopic", func() error { _, err := adm.DeleteTopic(ctx, topic); return err })
	try("DeleteTopics", func() error {
		r, err := adm.DeleteTopics(ctx, topic)
		return errors.Join(err, is(r.Error(), kerr.UnknownTopicOrPartition))
	})

	all := reflect.TypeFor[*kadm.Client]()
	for i := range all.NumMethod() {
		if name := all.Method(i).Name; !slices.Contains(tried, name) {
			t.Errorf("kadm's %s was not tried", name)
		}
	}
}
