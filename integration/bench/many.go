package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	aimedPartitions = 10_000
	// manyTopics is how many topics the partitions are spread over; each is created by a request of its own.
	manyTopics = 100
	// manyPatience is how long one step may take.
	manyPatience = 10 * time.Minute
	// idleFor is how long a broker is left alone for its idle processor time.
	idleFor = 30 * time.Second
	// forgotten is when ZooKeeper has forgotten a broker that was killed; Apache Kafka does not start before.
	forgotten = 25 * time.Second
)

// manyRows are the figures of a broker with many partitions; the limits are absolute, and for aimedPartitions.
var manyRows = []row{
	{figure: "create all, s"},
	{figure: "first record to each, s"},
	{figure: "second record to each, s"},
	{figure: "resident memory after that, MB", limit: 150},
	{figure: "file descriptors"},
	{figure: "memory maps"},
	{figure: "idle, % of one CPU", limit: 1},
	{figure: "clean stop, s"},
	{figure: "clean restart until all ends are told, s", limit: 1},
	{figure: "resident memory after a clean restart, MB", limit: 150},
	{figure: "restart after kill -9 until all ends are told, s", limit: 3},
}

// manyTable compares the sides; more partitions than were aimed at are only told.
func manyTable(partitions int, sides []*side) string {
	rows := slices.Clone(manyRows)
	if partitions > aimedPartitions {
		for i := range rows {
			rows[i].limit = 0
		}
	}
	return table(rows, sides, side{}) + "\n" + machineLimits()
}

// many has both brokers, or barnabas alone, hold so many partitions with data, one after the other.
func many(ctx context.Context, dir string, o options) ([]*side, error) {
	z, err := peers.StartZooKeeper(ctx, filepath.Join(dir, "zookeeper"))
	if err != nil {
		return nil, err
	}
	defer z.Kill()
	b := &bench{options: o, dir: dir, z: z}
	sides := []*side{{kind: peers.Kafka, figures: map[string][]float64{}}, {kind: peers.Barnabas, figures: map[string][]float64{}}}
	for round := range o.rounds {
		for _, s := range sides {
			if o.alone && s.kind != peers.Barnabas {
				continue
			}
			home := filepath.Join(dir, fmt.Sprintf("%s-%d", s.kind, round))
			options := b.broker(s.kind)
			if s.kind == peers.Kafka {
				options.ZooKeeper = fmt.Sprintf("%s/many-%d", z.Addr, round)
			}
			if s.Broker, err = peers.StartBroker(ctx, home, options); err != nil {
				return nil, err
			}
			err := s.holds(ctx, o.partitions)
			s.Kill()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.kind, err)
			}
			if err := os.RemoveAll(home); err != nil {
				return nil, err
			}
		}
	}
	return sides, nil
}

// holds takes the figures of one broker that is fresh.
func (s *side) holds(ctx context.Context, partitions int) error {
	ctx, cancel := context.WithTimeout(ctx, manyPatience)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.MaxBufferedRecords(partitions), kgo.RequestTimeoutOverhead(time.Minute))
	if err != nil {
		return err
	}
	defer c.Close()
	steps := []struct {
		figure string
		run    func() error
	}{
		{"create all, s", func() error { return create(ctx, c, partitions) }},
		{"first record to each, s", func() error { return one(ctx, c, partitions) }},
		{"second record to each, s", func() error { return one(ctx, c, partitions) }},
	}
	for _, step := range steps {
		fmt.Fprintf(os.Stderr, "%s: %s\n", s.kind, step.figure)
		began := time.Now()
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.figure, err)
		}
		s.note(step.figure, time.Since(began).Seconds())
	}
	if err := s.settled("resident memory after that, MB"); err != nil {
		return err
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Pid()))
	if err != nil {
		return err
	}
	mapped, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", s.Pid()))
	if err != nil {
		return err
	}
	s.note("file descriptors", float64(len(fds)))
	s.note("memory maps", float64(strings.Count(string(mapped), "\n")))
	if err := s.idles(); err != nil {
		return err
	}
	began := time.Now()
	if err := s.Stop(manyPatience); err != nil {
		return err
	}
	s.note("clean stop, s", time.Since(began).Seconds())
	if err := s.restarts(ctx, "clean restart until all ends are told, s", partitions, 2); err != nil {
		return err
	}
	if err := s.settled("resident memory after a clean restart, MB"); err != nil {
		return err
	}
	if err := one(ctx, c, partitions); err != nil { // a broker that was only started has nothing to recover
		return err
	}
	s.Kill()
	if s.kind == peers.Kafka {
		time.Sleep(forgotten)
	}
	return s.restarts(ctx, "restart after kill -9 until all ends are told, s", partitions, 3)
}

func (s *side) settled(figure string) error {
	time.Sleep(5 * time.Second)
	u, err := s.Usage()
	s.note(figure, float64(u.RSS)/1e6)
	return err
}

func (s *side) idles() error {
	before, err := s.Usage()
	if err != nil {
		return err
	}
	time.Sleep(idleFor)
	after, err := s.Usage()
	s.note("idle, % of one CPU", 100*(after.CPU-before.CPU).Seconds()/idleFor.Seconds())
	return err
}

// restarts starts the broker and asks for the ends of all partitions until each is told and right.
func (s *side) restarts(ctx context.Context, figure string, partitions int, end int64) error {
	fmt.Fprintf(os.Stderr, "%s: %s\n", s.kind, figure)
	began := time.Now()
	if err := s.Launch(); err != nil {
		return err
	}
	if err := s.Ready(ctx); err != nil {
		return err
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.MetadataMinAge(10*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }))
	if err != nil {
		return err
	}
	defer c.Close()
	names := manyNames()
	err = peers.Until(ctx, s.Process, "all ends are told", func() error {
		ends, err := kadm.NewClient(c).ListEndOffsets(ctx, names...)
		if err != nil {
			return err
		}
		told := 0
		ends.Each(func(o kadm.ListedOffset) {
			if o.Err != nil {
				err = o.Err
			} else if told++; o.Offset != end {
				err = fmt.Errorf("%s-%d ends at %d, not %d", o.Topic, o.Partition, o.Offset, end)
			}
		})
		if err == nil && told != partitions {
			err = fmt.Errorf("%d of %d partitions", told, partitions)
		}
		return err
	})
	s.note(figure, time.Since(began).Seconds())
	return err
}

func manyNames() []string {
	names := make([]string, manyTopics)
	for i := range names {
		names[i] = fmt.Sprintf("many-%d", i)
	}
	return names
}

func create(ctx context.Context, c *kgo.Client, partitions int) error {
	admin := kadm.NewClient(c)
	admin.SetTimeoutMillis(int32(manyPatience.Milliseconds()))
	for _, name := range manyNames() {
		if _, err := admin.CreateTopic(ctx, int32(partitions/manyTopics), 1, nil, name); err != nil {
			return err
		}
	}
	return nil
}

// one produces a record of 1 KB to every partition.
func one(ctx context.Context, c *kgo.Client, partitions int) error {
	value := make([]byte, 1024)
	return produceAll(ctx, c, func(yield func(*kgo.Record) bool) {
		for _, name := range manyNames() {
			for p := range partitions / manyTopics {
				if !yield(&kgo.Record{Topic: name, Partition: int32(p), Value: value}) {
					return
				}
			}
		}
	})
}

// produceAll returns when all records are acknowledged, or one is not.
func produceAll(ctx context.Context, c *kgo.Client, records iter.Seq[*kgo.Record]) error {
	var failed atomic.Pointer[error]
	for r := range records {
		c.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	err := c.Flush(ctx)
	if f := failed.Load(); f != nil {
		err = errors.Join(*f, err)
	}
	return err
}

// machineLimits says what the system allows that many partitions meet.
func machineLimits() string {
	maps, fds := firstOf("/proc/sys/vm/max_map_count", ""), ""
	b, _ := os.ReadFile("/proc/self/limits")
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && slices.Equal(f[:3], []string{"Max", "open", "files"}) {
			fds = f[3] + " (soft), " + f[4] + " (hard)"
		}
	}
	return fmt.Sprintf("Open files: %s; vm.max_map_count: %s; %d CPUs.\n", fds, maps, runtime.NumCPU())
}
