package storage_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// A whole log dir of a Java broker, found clean, started and stopped: as it was, file for file.
func TestManagerOpensKafkaClean(t *testing.T) {
	dir := unpack(t, "clean")
	before := tree(t, dir)
	m := serveKafka(t, dir, "clean", true)
	must(t, m.Close(context.Background()))
	// Kafka, too, removes the snapshot at the start of an empty log.
	delete(before, "expired-0/00000000000000000020.snapshot")
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("a start and a stop changed the log dir:\n%s", diff)
	}
}

// The log dir of a killed Java broker: recovered, served, stopped cleanly, and then opened without a scan.
func TestManagerOpensKafkaKilled(t *testing.T) {
	dir := unpack(t, "killed")
	m := serveKafka(t, dir, "killed", false)
	must(t, m.Close(context.Background()))
	after := tree(t, dir)
	for _, name := range []string{checkpoint.CleanShutdown, "txn-0/00000000000000000056.snapshot"} {
		if _, ok := after[name]; !ok {
			t.Errorf("no %s after a clean stop", name)
		}
	}
	for name, content := range after {
		if strings.HasSuffix(name, "index") && strings.HasSuffix(content, " bytes") {
			t.Errorf("%s still has %s", name, content)
		}
	}
	m = serveKafka(t, dir, "killed", true)
	must(t, m.Close(context.Background()))
	if diff := cmp.Diff(after, tree(t, dir)); diff != "" {
		t.Errorf("a start and a stop changed the log dir:\n%s", diff)
	}
}

// serveKafka loads a log dir and compares what consumers would get with what the Java broker gave them.
func serveKafka(t *testing.T, dir, section string, clean bool) *storage.Manager {
	t.Helper()
	m, err := storage.OpenDirs(storage.Options{Dirs: []string{dir}, Clock: clock.NewManual(time.UnixMilli(t0)), RecoveryThreads: 3})
	must(t, err)
	t.Cleanup(m.Kill)
	if meta, found, err := m.Meta(); !found || err != nil || meta.BrokerID != 0 || meta.ClusterID != "FqjgGlb9St-aB4Ijo-Ma5w" {
		t.Error(meta, found, err)
	}
	must(t, m.Load(context.Background(), goldenConfig))
	m.Start()
	all := readExpected(t, section)
	if n := len(slices.Collect(m.Logs())); n != len(all) {
		t.Errorf("%d logs, Kafka had %d", n, len(all))
	}
	for _, e := range all {
		l := m.Log(e.topic, e.partition)
		if l == nil {
			t.Errorf("no log %s-%d", e.topic, e.partition)
			continue
		}
		if clean && l.HighWatermark() != e.hw {
			t.Errorf("%s: high watermark %d, want %d", l, l.HighWatermark(), e.hw)
		}
		must(t, l.AssignEpoch(e.epoch))
		l.SetHighWatermark(l.End()) // alone, it commits what it has
		epoch, _ := l.LatestEpoch()
		got := expected{topic: e.topic, partition: e.partition, start: l.Start(), hw: l.HighWatermark(), stable: l.LastStable(), epoch: epoch}
		got.uncommitted, got.settled = sumRecords(t, l, l.HighWatermark(), false), sumRecords(t, l, l.LastStable(), true)
		if got != e {
			t.Errorf("got\n%+v, Kafka served\n%+v", got, e)
		}
	}
	return m
}

// tree is the content of a log dir by path. Checkpoints are put in order, as Java's order says nothing.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	infos, err := vfs.OS.ReadDir(dir)
	must(t, err)
	files := map[string]string{}
	for _, info := range infos {
		path := filepath.Join(dir, info.Name)
		if info.Dir {
			for name, content := range readDir(t, path) {
				files[info.Name+"/"+name] = content
			}
			continue
		}
		b, err := vfs.ReadFile(vfs.OS, path, 1<<20)
		must(t, err)
		files[info.Name] = string(b)
		if strings.HasSuffix(info.Name, "-checkpoint") {
			o, err := checkpoint.DecodeOffsets(b)
			must(t, err)
			files[info.Name] = fmt.Sprint(len(b), " ", string(checkpoint.EncodeOffsets(o)))
		}
	}
	return files
}
