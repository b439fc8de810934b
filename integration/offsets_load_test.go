//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"barnabas/coordinator/group"
	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	loadTopic      = "loaded"
	loadPartitions = 500 // and as many commits a request
	loadCommits    = 4_000_000
	// aside is how long another client may wait for one answer while the load takes all of a core.
	aside = 2 * time.Second
)

// groupIn is a group that belongs to a partition of __consumer_offsets, of two.
func groupIn(partition int32, n int) string {
	for i := 0; ; i++ {
		if name := fmt.Sprintf("group-%d-%d", n, i); group.PartitionFor(name, 2) == partition {
			return name
		}
	}
}

// TestOffsetsLoadInTheBackground restarts a broker that has millions of commits in one of two partitions of __consumer_offsets. Until they
// are read, groups there are told COORDINATOR_LOAD_IN_PROGRESS, and nobody else is told anything or kept waiting: not the groups of the
// other partition, nor who produces and fetches. Then all that was committed is there.
func TestOffsetsLoadInTheBackground(t *testing.T) {
	if kind() == peers.Kafka {
		t.Skip("what Apache Kafka lets others wait is not ours to hold it to")
	}
	o := options(t)
	o.Settings = map[string]string{"offsets.topic.num.partitions": "2", "log.cleaner.enable": "false"}
	b := start(t, o)
	create(t, b.Addr, loadTopic, loadPartitions)
	create(t, b.Addr, crowdTopic, 1)
	createOffsets(toolbox{t: t, addr: b.Addr})
	began := time.Now()
	const rounds = loadCommits / loadPartitions
	each(t, rounds, 8, b.Addr, func(c *peers.Conn, n int) error {
		return loaded(func() (int16, error) { return commitMany(c, groupIn(0, n%20), int64(n)) })
	})
	last := map[string]int64{} // the loops do not commit in order, so what was last is asked
	for n := range 20 {
		last[groupIn(0, n)] = fetchMany(t, b.Addr, groupIn(0, n))
	}
	if err := commitOnce(dial(t, b.Addr), groupIn(1, 0), 7); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d commits were made in %v", loadCommits, time.Since(began).Round(time.Millisecond))

	if err := b.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := b.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	others := asides(t, b.Addr)
	refused := 0
	c := dial(t, b.Addr)
	for ctx := soon(t); ; {
		if ctx.Err() != nil {
			t.Fatal("the partition is never loaded")
		}
		code, err := commitMany(c, groupIn(0, 0), rounds)
		if err != nil {
			t.Fatal(err)
		}
		if code == 0 {
			break
		}
		if err := kerr.ErrorForCode(code); err != kerr.CoordinatorLoadInProgress && err != kerr.NotCoordinator {
			t.Fatal(err)
		} else if err == kerr.CoordinatorLoadInProgress {
			refused++
		}
	}
	took := time.Since(began)
	others.end()
	last[groupIn(0, 0)] = rounds
	for name, want := range last {
		if got := fetchMany(t, b.Addr, name); got != want {
			t.Errorf("%s has committed %d, and is told %d", name, want, got)
		}
	}
	t.Logf("%d commits (%d MB) were loaded in at most %v after the first answer; %d requests were told to wait meanwhile", loadCommits, logSize(t, b)>>20, took.Round(time.Millisecond), refused)
	if refused == 0 {
		t.Error("nobody was told that the partition is loading")
	}
	others.report(t)
}

// bystander is what somebody has waited for while something else happened.
type bystander struct {
	what    string
	waits   []time.Duration
	refused int
	err     error
}

type sideShow struct {
	list []*bystander
	stop context.CancelFunc
	wait sync.WaitGroup
}

// asides has others go on over and over: a group of the other partition, a producer, a consumer.
func asides(t *testing.T, addr string) *sideShow {
	ctx, stop := context.WithCancel(t.Context())
	s := &sideShow{stop: stop}
	loop := func(what string, f func(*bystander) error) {
		p := &bystander{what: what}
		s.list = append(s.list, p)
		s.wait.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				if err := f(p); err != nil && ctx.Err() == nil {
					p.err = err
					return
				}
				p.waits = append(p.waits, time.Since(began))
			}
		})
	}
	c := dial(t, addr)
	loop("a group of the other partition", func(p *bystander) error {
		code, err := commitMany(c, groupIn(1, 0), 8)
		if err := kerr.ErrorForCode(code); err == kerr.CoordinatorLoadInProgress || err == kerr.NotCoordinator {
			p.refused++
			return nil
		}
		return errors.Join(err, kerr.ErrorForCode(code))
	})
	producer := client(t, addr, kgo.DefaultProduceTopic(crowdTopic))
	loop("a producer", func(*bystander) error {
		return producer.ProduceSync(ctx, &kgo.Record{Value: []byte("on")}).FirstErr()
	})
	consumer := client(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{crowdTopic: {0: kgo.NewOffset().AtStart()}}))
	loop("a consumer", func(*bystander) error { return consumer.PollFetches(ctx).Err() })
	return s
}

func (s *sideShow) end() {
	s.stop()
	s.wait.Wait()
}

func (s *sideShow) report(t *testing.T) {
	for _, p := range s.list {
		if p.err != nil || len(p.waits) == 0 {
			t.Errorf("%s: %d times, then %v", p.what, len(p.waits), p.err)
			continue
		}
		slices.Sort(p.waits)
		most := p.waits[len(p.waits)-1]
		t.Logf("%s meanwhile: %d times, p50 %v, at most %v, %d times told to wait", p.what, len(p.waits), p.waits[len(p.waits)/2].Round(time.Microsecond), most.Round(time.Microsecond), p.refused)
		if most > aside {
			t.Errorf("%s waited for %v", p.what, most)
		}
		if served := len(p.waits) - p.refused; served == 0 || p.refused > served {
			t.Errorf("%s was served %d times, and told to wait %d times", p.what, served, p.refused)
		}
	}
}

// commitMany commits the same offset in all partitions.
func commitMany(c *peers.Conn, group string, offset int64) (int16, error) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = 7, group, -1
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = loadTopic
	for id := range int32(loadPartitions) {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch = id, offset, -1
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	resp, err := c.RoundTrip(req, time.Minute)
	if err != nil {
		return 0, err
	}
	return resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode, nil
}

// fetchMany gives the offset that a group has committed in every partition.
func fetchMany(t *testing.T, addr, group string) int64 {
	t.Helper()
	offsets, err := admin(t, addr).FetchOffsets(soon(t), group)
	if err != nil {
		t.Fatal(err)
	}
	n, first := 0, int64(-1)
	for _, p := range offsets[loadTopic] {
		if n++; first < 0 {
			first = p.At
		}
		if p.At != first {
			t.Fatalf("%s: %d in one partition, %d in another", group, first, p.At)
		}
	}
	if n != loadPartitions {
		t.Fatalf("%s has %d offsets", group, n)
	}
	return first
}

// logSize is how much there is to read.
func logSize(t *testing.T, b *peers.Broker) (size int64) {
	files, err := filepath.Glob(filepath.Join(b.DataDir, "__consumer_offsets-0", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}
