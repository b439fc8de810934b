//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	idleGroups   = 100_000
	crowdMembers = 1_000
	crowdTopic   = "crowded"
)

// TestCrowdOfGroups has a hundred thousand idle groups, a thousand members that join one group at once, and a start that has to load all of
// it; meanwhile records must go on flowing and another group must go on committing.
func TestCrowdOfGroups(t *testing.T) {
	t.Parallel()
	b := start(t, peers.Options{Settings: map[string]string{"offsets.topic.num.partitions": "8", "group.initial.rebalance.delay.ms": "3000"}})
	create(t, b.Addr, crowdTopic, 1)
	createOffsets(toolbox{t: t, addr: b.Addr})
	each(t, idleGroups, 16, b.Addr, func(c *peers.Conn, n int) error { return commitOnce(c, idleGroup(n), int64(n)) })

	w := watchOthers(t, b.Addr)
	members := make([]string, crowdMembers)
	conns := make([]*peers.Conn, crowdMembers)
	for i := range conns {
		conns[i] = dial(t, b.Addr)
	}
	joined := w.during("a thousand members join", func() error { return all(crowdMembers, func(i int) error { return joinCrowd(conns[i], &members[i]) }) })
	if joined != nil {
		t.Fatal(joined)
	}
	w.stop()

	b.Kill()
	if err := b.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	w = watchOthers(t, b.Addr) // data at once; groups as their partitions are loaded
	if err := w.during("groups are loaded", func() error {
		return each(t, 1000, 4, b.Addr, func(c *peers.Conn, n int) error { return fetchOnce(c, idleGroup(n*97), int64(n*97)) })
	}); err != nil {
		t.Fatal(err)
	}
	w.stop()
}

func idleGroup(n int) string { return fmt.Sprintf("idle-%d", n) }

// bystanders are a client that produces and reads, and a group that commits.
type bystanders struct {
	t                *testing.T
	stopped          chan struct{}
	wait             sync.WaitGroup
	records, commits atomic.Int64
}

func watchOthers(t *testing.T, addr string) *bystanders {
	o := &bystanders{t: t, stopped: make(chan struct{})}
	c := client(t, addr, kgo.DefaultProduceTopic(crowdTopic), kgo.ConsumeTopics(crowdTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	conn := dial(t, addr)
	o.loop(&o.records, func() error {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Value: []byte("on")}).FirstErr(); err != nil {
			return err
		}
		return c.PollFetches(t.Context()).Err()
	})
	o.loop(&o.commits, func() error { return commitOnce(conn, "busy", o.commits.Load()) })
	return o
}

// loop does something over and over and counts it.
func (o *bystanders) loop(n *atomic.Int64, f func() error) {
	o.wait.Go(func() {
		for {
			select {
			case <-o.stopped:
				return
			default:
			}
			if err := f(); err != nil {
				o.t.Errorf("another client: %v", err)
				return
			}
			n.Add(1)
		}
	})
}

// during runs f, in which the others must get on, and goes on until they have got on after it too.
func (o *bystanders) during(what string, f func() error) error {
	records, commits, began := o.records.Load(), o.commits.Load(), time.Now()
	err := f()
	took, records, commits := time.Since(began), o.records.Load()-records, o.commits.Load()-commits
	o.t.Logf("%s, in %v; meanwhile %d records and %d commits", what, took.Round(time.Millisecond), records, commits)
	if err == nil && (records == 0 || commits == 0) {
		err = errors.New("others stood still while " + what)
	}
	return err
}

func (o *bystanders) stop() {
	close(o.stopped)
	o.wait.Wait()
}

// all runs f for 0 to n-1 at the same time.
func all(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// each runs f for 0 to n-1, over so many connections.
func each(t *testing.T, n, conns int, addr string, f func(c *peers.Conn, n int) error) error {
	t.Helper()
	var next atomic.Int64
	err := all(conns, func(int) error {
		c, err := peers.Dial(addr)
		if err != nil {
			return err
		}
		defer c.Close()
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return nil
			}
			if err := f(c, i); err != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	return err
}

func dial(t *testing.T, addr string) *peers.Conn {
	t.Helper()
	c, err := peers.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// loaded asks until the group's partition is loaded.
func loaded(ask func() (int16, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var final error
	err := peers.Until(ctx, nil, "the group is loaded", func() error {
		code, err := ask()
		if final = err; err != nil {
			return nil
		}
		switch err := kerr.ErrorForCode(code); err {
		case kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator:
			return err
		default:
			final = err
			return nil
		}
	})
	return errors.Join(err, final)
}

// commitOnce commits an offset, as a group without members.
func commitOnce(c *peers.Conn, group string, offset int64) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = 7, group, -1
	topic, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.LeaderEpoch = offset, -1
	topic.Topic, topic.Partitions = crowdTopic, append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	return loaded(func() (int16, error) {
		resp, err := c.RoundTrip(req, time.Minute)
		if err != nil {
			return 0, err
		}
		return resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode, nil
	})
}

// fetchOnce asks for a group's offset.
func fetchOnce(c *peers.Conn, group string, want int64) error {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, group
	topic := kmsg.NewOffsetFetchRequestTopic()
	topic.Topic, topic.Partitions = crowdTopic, []int32{0}
	req.Topics = append(req.Topics, topic)
	return loaded(func() (int16, error) {
		resp, err := c.RoundTrip(req, time.Minute)
		if err != nil {
			return 0, err
		}
		answer := resp.(*kmsg.OffsetFetchResponse)
		if answer.ErrorCode == 0 {
			if got := answer.Topics[0].Partitions[0].Offset; got != want {
				return 0, fmt.Errorf("%s has committed %d, and is told %d", group, want, got)
			}
		}
		return answer.ErrorCode, nil
	})
}

// joinCrowd joins the one group that all join, and returns once the answer to a join has come.
func joinCrowd(c *peers.Conn, id *string) error {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 5, "crowd", "consumer", 30_000, 30_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", make([]byte, 100)
	req.Protocols = append(req.Protocols, p)
	return loaded(func() (int16, error) {
		for {
			req.MemberID = *id
			resp, err := c.RoundTrip(req, time.Minute)
			if err != nil {
				return 0, err
			}
			answer := resp.(*kmsg.JoinGroupResponse)
			*id = answer.MemberID
			if answer.ErrorCode != kerr.MemberIDRequired.Code {
				return answer.ErrorCode, nil
			}
		}
	})
}
