package main

import (
	"io"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestGroupOfTheConsumerProtocol: to the API that describes classic groups a group of the consumer protocol is unknown, so describe said
// that it does not exist, and reset saw no members.
func TestGroupOfTheConsumerProtocol(t *testing.T) {
	addr, _ := startBroker(t)
	for _, line := range []string{"topic create users --partitions 3 -b " + addr, "produce users --partition 1 -q -b " + addr} {
		if code := run(t.Context(), strings.Fields(line), strings.NewReader("a\nb\nc\n"), io.Discard, io.Discard); code != 0 {
			t.Fatalf("%s: exit code %d", line, code)
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	epochs := map[string]int32{}
	beat := func(member string, epoch int32, owned ...int32) {
		t.Helper()
		req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		req.Group, req.MemberID, req.MemberEpoch = "g", member, epoch
		switch {
		case epoch == 0:
			req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.Topics = 60000, []string{"users"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		case owned != nil:
			topic := kmsg.ConsumerGroupHeartbeatRequestTopic{Partitions: owned}
			topic.TopicID = topicID(t, cl, "users")
			req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{topic}
		}
		resp, err := req.RequestWith(t.Context(), cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			t.Fatal(err)
		}
		epochs[member] = resp.MemberEpoch
	}
	check := func(line string, code int, want, wantErr string) {
		t.Helper()
		got, out, errOut := tool(t, append(strings.Fields(line), "-b", addr)...)
		if out = strings.Join(strings.Fields(out), " "); got != code || out != want || !strings.Contains(errOut, wantErr) {
			t.Errorf("%s: exit code %d\n out %s\nwant %s\n err %s", line, got, out, want, errOut)
		}
	}
	beat("m1", 0)
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation, commit.MemberID = "g", epochs["m1"], "m1"
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.TopicID = "users", topicID(t, cl, "users")
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = 1, 1
	topic.Partitions = append(topic.Partitions, p)
	commit.Topics = append(commit.Topics, topic)
	if resp, err := commit.RequestWith(t.Context(), cl); err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(resp, err)
	}
	const head = "group g state Stable coordinator 1001 members 1 type consumer epoch 2 target epoch 2 assignor uniform "
	check("group list", 0, "GROUP TYPE STATE PROTOCOL COORDINATOR g consumer Stable consumer 1001", "")
	check("group describe g", 0, head+"TOPIC PARTITION COMMITTED START END LAG MEMBER users 0 - 0 0 - m1 users 1 1 0 3 2 m1 users 2 - 0 0 - m1", "")
	check("group describe g --members", 0, head+"MEMBER INSTANCE CLIENT HOST PROTOCOL EPOCH ASSIGNED TARGET m1 - kgo /127.0.0.1 consumer 2 users:0,1,2 users:0,1,2", "")
	check("group delete g", 1, "", `group "g" still has members`)
	check("group reset g -t users --to-earliest -x", 1, "", `group "g" has 1 members (Stable): stop its consumers first`)

	// The second gets something as soon as the first has given it up.
	beat("m2", 0)
	beat("m1", epochs["m1"])
	check("group describe --all-groups --members", 0, "group g state Reconciling coordinator 1001 members 2 type consumer epoch 3 target epoch 3 assignor uniform "+
		"MEMBER INSTANCE CLIENT HOST PROTOCOL EPOCH ASSIGNED TARGET m1 - kgo /127.0.0.1 consumer 2 users:0,1,2 users:0,1 m2 - kgo /127.0.0.1 consumer 3 - users:2", "")
	beat("m1", epochs["m1"], 0, 1)
	beat("m2", epochs["m2"])
	check("group describe g --members", 0, "group g state Stable coordinator 1001 members 2 type consumer epoch 3 target epoch 3 assignor uniform "+
		"MEMBER INSTANCE CLIENT HOST PROTOCOL EPOCH ASSIGNED TARGET m1 - kgo /127.0.0.1 consumer 3 users:0,1 users:0,1 m2 - kgo /127.0.0.1 consumer 3 users:2 users:2", "")
	beat("m1", -1)
	beat("m2", -1)
	check("group describe g", 0, "group g state Empty coordinator 1001 members 0 type consumer epoch 5 target epoch 3 assignor uniform "+
		"TOPIC PARTITION COMMITTED START END LAG MEMBER users 1 1 0 3 2 -", "")
	check("group reset g -t users:1 --to-earliest -x", 0, "TOPIC PARTITION BEFORE AFTER users 1 1 0", "")
	check("group delete g", 0, "group g deleted", "")
	check("group describe g", 1, "", `group "g" does not exist`)
}

func topicID(t *testing.T, cl *kgo.Client, topic string) [16]byte {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Topics[0].TopicID
}
