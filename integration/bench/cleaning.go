package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// cleanKeys is how many keys the log has that is cleaned, each cleanTimes over, with values of cleanValue bytes.
	cleanKeys  = 1_000_000
	cleanTimes = 3
	cleanValue = 100
)

// cleaning measures one pass of the log cleaner over a log with many keys: it is filled as a topic that is not compacted, which it then
// becomes.
func (b *bench) cleaning(ctx context.Context, s *side) error {
	fmt.Fprintf(os.Stderr, "%s: cleaning\n", s.kind)
	c, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	set := func(v string) []kadm.AlterConfig {
		return []kadm.AlterConfig{{Name: "log.cleaner.backoff.ms", Value: &v}}
	}
	if _, err := admin.AlterBrokerConfigs(ctx, set("100"), 0); err != nil {
		return err
	}
	for round := range b.rounds {
		if err := s.cleansOnce(ctx, c, fmt.Sprintf("compacted-%d", round)); err != nil {
			return err
		}
	}
	return nil
}

func (s *side) cleansOnce(ctx context.Context, c *kgo.Client, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	admin := kadm.NewClient(c)
	text := func(s string) *string { return &s }
	settings := map[string]*string{"segment.bytes": text("100000000"), "min.cleanable.dirty.ratio": text("0.01")}
	if _, err := admin.CreateTopic(ctx, 1, 1, settings, topic); err != nil {
		return err
	}
	if err := fillKeys(ctx, c, topic); err != nil {
		return err
	}
	sealed, active, err := sealedBytes(filepath.Join(s.DataDir, topic+"-0"))
	if err != nil {
		return err
	}
	if sealed == 0 {
		return fmt.Errorf("all of %s is in one segment", topic)
	}
	before, err := s.Usage()
	if err != nil {
		return err
	}
	began, most := time.Now(), before.RSS
	alter := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: text("compact")}}
	if _, err := admin.AlterTopicConfigs(ctx, alter, topic); err != nil {
		return err
	}
	if err := peers.Until(ctx, s.Process, "the log is clean", func() error {
		if u, err := s.Usage(); err == nil {
			most = max(most, u.RSS)
		}
		to, err := cleanedTo(s.DataDir, topic)
		if err == nil && to < active {
			err = fmt.Errorf("clean up to %d of %d", to, active)
		}
		return err
	}); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := s.Usage()
	if err != nil {
		return err
	}
	s.note("cleaning, MB/s", float64(sealed)/1e6/took.Seconds())
	s.note("cleaning, broker CPU s/GB", (after.CPU-before.CPU).Seconds()/(float64(sealed)/1e9))
	s.note("cleaning a million keys takes, MB", float64(most-before.RSS)/1e6)
	_, err = admin.DeleteTopic(ctx, topic)
	return err
}

func fillKeys(ctx context.Context, c *kgo.Client, topic string) error {
	value := make([]byte, cleanValue)
	return produceAll(ctx, c, func(yield func(*kgo.Record) bool) {
		for i := range cleanKeys * cleanTimes {
			// Far apart, so that neither broker gains by the order.
			key := binary.BigEndian.AppendUint64(nil, uint64(i%cleanKeys)*0x9e3779b97f4a7c15)
			if !yield(&kgo.Record{Topic: topic, Key: key, Value: value}) {
				return
			}
		}
	})
}

// sealedBytes is the size of the segments before the active one, and that one's base offset.
func sealedBytes(dir string) (bytes, active int64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(names) == 0 {
		return 0, 0, fmt.Errorf("no segments in %s: %v", dir, err)
	}
	slices.Sort(names)
	last := names[len(names)-1]
	for _, name := range names[:len(names)-1] {
		info, err := os.Stat(name)
		if err != nil {
			return 0, 0, err
		}
		bytes += info.Size()
	}
	active, err = strconv.ParseInt(strings.TrimSuffix(filepath.Base(last), ".log"), 10, 64)
	return bytes, active, err
}

// cleanedTo is what the checkpoint of the cleaner has for a topic's partition 0.
func cleanedTo(dir, topic string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(dir, "cleaner-offset-checkpoint"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, topic+" 0 "); ok {
			return strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s is not in the cleaner's checkpoint", topic)
}
