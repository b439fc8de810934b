//go:build integration

package integration

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"barnabas/integration/peers"
)

// What a start may do to the files that the broker before has left.

// ofKafkaAlone are errors that are not barnabas's: 3.9 does not know that groups have settings, and where retention begins before the
// cleaner has started, it gives the cleaner back at its end what it has not taken at its begin. A producer with several requests under
// way as partitions get their leader has the first refused, and those behind it are out of order until it sends all again; that none
// is missing is seen when the load is verified.
var ofKafkaAlone = regexp.MustCompile(`.*\] ERROR error processing change notification {"version":2,"entity_path":"groups/.*\n` +
	`|.*\] ERROR Uncaught exception in scheduled task 'kafka-log-retention'.*\n.*IllegalStateException: Compaction for partition \S+ cannot be resumed since it is not paused.*\n` +
	`|.*\] ERROR \[ReplicaManager broker=0\] Error processing append operation on partition crash-\d+ .*\n.*OutOfOrderSequenceException: .*\n`)

// recovered looks at what a start says that it has read again.
func (w *bothWays) recovered(log string, after ending) {
	w.t.Helper()
	kafka := w.now.Opts.Kind == peers.Kafka
	again := map[string]int{} // segments, by partition
	clean := 0
	if kafka {
		clean = strings.Count(log, "Skipping recovery of")
		for _, m := range regexp.MustCompile(`Recovering unflushed segment \d+\. \d+/\d+ recovered for (\S+?)\.? `).FindAllStringSubmatch(log, -1) {
			again[m[1]]++
		}
		for _, m := range regexp.MustCompile(`.*(?:[Cc]orrupt|orphaned|Could not find|invalid offset|Deleting all segments|as part of log recovery|Error occurred|Error loading|stray).*`).FindAllString(log, -1) {
			w.t.Errorf("round %d: Kafka complains: %s", w.round, m)
		}
		for _, m := range regexp.MustCompile(`.*\] ERROR .*\n.*`).FindAllString(ofKafkaAlone.ReplaceAllString(log, ""), -1) {
			w.t.Errorf("round %d: Kafka complains: %s", w.round, m)
		}
		if w.modern.idle != nil && !(strings.Contains(log, "Unknown message key with version 5") && strings.Contains(log, `"entity_path":"groups/`+idleModern)) {
			w.t.Errorf("round %d: Kafka does not tell that it passes over groups of the consumer protocol and their settings", w.round)
		}
	} else {
		clean = strings.Count(log, `"msg":"loading logs after a clean stop"`)
		for _, m := range regexp.MustCompile(`"msg":"recovered log".*"log":"([^"]+)".*"segments":(\d+)`).FindAllStringSubmatch(log, -1) {
			again[filepath.Base(m[1])], _ = strconv.Atoi(m[2])
		}
		for _, m := range regexp.MustCompile(`.*"level":"(?:warn|error)".*"logger":"(?:storage|groups)".*`).FindAllString(log, -1) {
			w.t.Errorf("round %d: barnabas complains: %s", w.round, m)
		}
	}
	w.t.Logf("round %d: %s, after a clean stop %t, reads again %v", w.round, w.now.Opts.Kind, after == cleanly, again)
	if after == cleanly {
		if clean != len(w.dirs) || len(again) > 0 {
			w.t.Errorf("round %d: %s found %d of %d clean log dirs, and recovered %v", w.round, w.now.Opts.Kind, clean, len(w.dirs), again)
		}
		return
	}
	if clean != 0 {
		w.t.Errorf("round %d: %s found %d clean log dirs", w.round, w.now.Opts.Kind, clean)
	}
	for partition, segments := range again {
		if segments > 1 && !underLoad(partition) {
			w.t.Errorf("round %d: %s recovered %d segments of %s, of which all but the last were flushed", w.round, w.now.Opts.Kind, segments, partition)
		}
	}
}

// underLoad are the partitions that the load writes to.
func underLoad(partition string) bool {
	return strings.HasPrefix(partition, "crash-") || strings.HasPrefix(partition, "__consumer_offsets-")
}

// files are what a stopped or killed broker has left of the segments before the last ones, with what would tell that somebody has
// written to them.
func (w *bothWays) files(how ending) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, dir := range w.dirs {
		logs, err := filepath.Glob(filepath.Join(dir, "*-*", "*.log"))
		if err != nil {
			w.t.Fatal(err)
		}
		for i, path := range logs { // sorted
			partition := filepath.Dir(path)
			if last := i+1 == len(logs) || filepath.Dir(logs[i+1]) != partition; last || how == killed && underLoad(filepath.Base(partition)) {
				continue
			}
			of, err := filepath.Glob(strings.TrimSuffix(path, ".log") + ".*")
			if err != nil {
				w.t.Fatal(err)
			}
			for _, file := range of {
				out[file] = stamp(w.t, file)
			}
		}
	}
	return out
}

// stamp is a file's size, time and number; "" if it is gone.
func stamp(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d bytes of %v, inode %d", info.Size(), info.ModTime(), info.Sys().(*syscall.Stat_t).Ino)
}

// untouched holds the files of sealed segments to being what they were. The snapshot of producers at a log's start, which says nothing
// any more, may go.
func (w *bothWays) untouched() {
	w.t.Helper()
	for _, path := range slices.Sorted(maps.Keys(w.sealed)) {
		now := stamp(w.t, path)
		if now != w.sealed[path] && (now != "" || filepath.Ext(path) != ".snapshot") {
			w.t.Errorf("round %d: %s has touched %s: it was %s, and is %s", w.round, w.now.Opts.Kind, path, w.sealed[path], now)
		}
	}
	w.t.Logf("round %d: %s has left alone %d files of sealed segments", w.round, w.now.Opts.Kind, len(w.sealed))
	if len(w.sealed) < 100 {
		w.t.Errorf("round %d: there are only %d", w.round, len(w.sealed))
	}
}

// flushed waits until the checkpoints tell of what was flushed when segments were rolled, in logs that the load does not write to.
func (w *bothWays) flushed() {
	w.t.Helper()
	eventually(w.t, "the recovery points are in the last segments", func() error {
		var behind []error
		for _, dir := range w.dirs {
			logs, err := filepath.Glob(filepath.Join(dir, "*-*", "*.log"))
			if err != nil || len(logs) == 0 {
				return fmt.Errorf("%s has no logs (%v)", dir, err)
			}
			last := map[string]int{}
			for _, path := range logs {
				partition := filepath.Base(filepath.Dir(path))
				base, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".log"))
				last[partition] = max(last[partition], base)
			}
			for partition, base := range last {
				cut := strings.LastIndexByte(partition, '-')
				at, _ := checkpointed(dir, "recovery-point-offset-checkpoint", partition[:cut]+" "+partition[cut+1:])
				if at < base && !underLoad(partition) {
					behind = append(behind, fmt.Errorf("%s: %d, and the last segment begins at %d", partition, at, base))
				}
			}
		}
		return errors.Join(behind...)
	})
}

// checkpointed is a line's offset in a checkpoint of a log dir.
func checkpointed(dir, file, partition string) (int, bool) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	_, rest, ok := strings.Cut(string(text), "\n"+partition+" ")
	if err != nil || !ok {
		return 0, false
	}
	word, _, _ := strings.Cut(rest, "\n")
	at, err := strconv.Atoi(word)
	return at, err == nil
}

// dump has DumpLogSegments read all files. What Kafka's cleaner has left is apart: where it has emptied a batch and kept it for its
// producer's sake, the time index has a time that no record has, and its own DumpLogSegments does not like that.
func (w *bothWays) dump() {
	w.t.Helper()
	for _, dir := range w.dirs {
		if cleaned := filepath.Join(dir, "compacted-0"); exists(cleaned) {
			apart := filepath.Join(folder(w.t), "compacted-0")
			if err := os.Rename(cleaned, apart); err != nil {
				w.t.Fatal(err)
			}
			logs, _ := filepath.Glob(filepath.Join(apart, "*.log"))
			indexes, _ := filepath.Glob(filepath.Join(apart, "*index"))
			dumpSame(w.t, logs, []string{"--deep-iteration", "--print-data-log"}, []string{"--deep", "--data"})
			dumpSame(w.t, indexes, []string{"--index-sanity-check"}, []string{"--sanity"})
		}
		dumpAll(w.t, dir)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
