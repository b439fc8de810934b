package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"barnabas/storage/epochs"
	"barnabas/storage/vfs"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOffsetsOfJava(t *testing.T) {
	file := golden(t, RecoveryPoints)
	o, err := DecodeOffsets(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(o) != 20 || o[Partition{"segments", 1}] != 120 || o[Partition{"__consumer_offsets", 2}] != 0 {
		t.Errorf("got %v", o)
	}
	// Java's order is that of a hash map; ours is sorted. The lines are the same.
	lines := map[string]bool{}
	for _, l := range strings.Split(string(file), "\n") {
		lines[l] = true
	}
	mine := EncodeOffsets(o)
	for _, l := range strings.Split(string(mine), "\n") {
		if !lines[l] {
			t.Errorf("line %q is not Java's", l)
		}
	}
	if len(mine) != len(file) {
		t.Errorf("%d bytes, Java has %d", len(mine), len(file))
	}
	if got := string(EncodeOffsets(nil)); got != "0\n0\n" {
		t.Errorf("without entries: %q", got)
	}
}

func TestOffsetsMalformed(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "0": true, "0\n": true, "0\n0\n": true, "0\n1\na 0 5\n": true, "0\r\n1\r\na 0 5\r\n": true,
		"0\n1\na\t0  5": true, "0\n2\na 0 5\na 0 6\n": true, "0\n1\na 0 -1\n": true,
		"1\n0\n": false, "x\n": false, "0\nx\n": false, "0\n1\n": false, "0\n0\na 0 5\n": false, "0\n1\na 0\n": false,
		"0\n1\na 0 5 6\n": false, "0\n1\na x 5\n": false, "0\n1\na 0 x\n": false, "0\n1\na 0 99999999999999999999\n": false,
		"0\n1\na 0 5\n\n": false, "\n0\n0\n": false, "0\n-1\n": false,
	} {
		if _, err := DecodeOffsets([]byte(text)); (err == nil) != ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestEpochs(t *testing.T) {
	file := golden(t, LeaderEpochs)
	es, err := DecodeEpochs(file)
	if diff := cmp.Diff([]epochs.Entry{{Epoch: 0, Start: 0}}, es); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	if got := EncodeEpochs(es); string(got) != string(file) {
		t.Errorf("got %q", got)
	}
}

func TestPartition(t *testing.T) {
	file := golden(t, PartitionMetadata)
	id, err := DecodePartition(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := EncodePartition(id); string(got) != string(file) || len(got) != 43 {
		t.Errorf("got %q", got)
	}
	for text, ok := range map[string]bool{
		"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ": true, "version: 0\r\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\r\n": true,
		"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA": false, "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ": false,
		"": false, "version: 0": false, "version: 0\ntopic_id: AAAA": false, "version: 0\nid: AAAAAAAAAAAAAAAAAAAAAQ": false,
		"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\nmore": false,
	} {
		if _, err := DecodePartition([]byte(text)); (err == nil) != ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMeta(t *testing.T) {
	file := golden(t, MetaProperties)
	m, err := DecodeMeta(file)
	if diff := cmp.Diff(Meta{BrokerID: 0, ClusterID: "FqjgGlb9St-aB4Ijo-Ma5w"}, m); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	if got := EncodeMeta(m, time.Date(2026, 11, 24, 3, 24, 19, 0, time.UTC)); string(got) != string(file) {
		t.Errorf("got %q, want %q", got, file)
	}
	m, err = DecodeMeta([]byte("! a comment\nversion : 1\nnode.id 7\ncluster.id=a\\:b\ndirectory.id=\\u00e4${x}\n"))
	want := Meta{Version: 1, BrokerID: 7, ClusterID: "a:b", Rest: map[string]string{"directory.id": "ä${x}"}}
	if diff := cmp.Diff(want, m); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	again, err := DecodeMeta(EncodeMeta(m, time.Time{}))
	if diff := cmp.Diff(m, again); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, text := range []string{"", "broker.id=1\n", "version=x\n", "version=0\nbroker.id=-5\n", "version=0\nbroker.id=\n", "version=0\na=\\u12"} {
		if _, err := DecodeMeta([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Each kind of file through the file system: missing, written, found; and the error names the file.
func TestFiles(t *testing.T) {
	fsys := vfs.NewMem()
	if err := errors.Join(fsys.MkdirAll("/d"), fsys.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	if o, err := ReadOffsets(fsys, "/d/x"); len(o) != 0 || err != nil {
		t.Error(o, err)
	}
	if es, err := ReadEpochs(fsys, "/d/x"); es != nil || err != nil {
		t.Error(es, err)
	}
	if _, found, err := ReadPartition(fsys, "/d/x"); found || err != nil {
		t.Error(found, err)
	}
	if _, found, err := ReadMeta(fsys, "/d/x"); found || err != nil {
		t.Error(found, err)
	}
	o := Offsets{{"a", 0}: 5, {"a", 1}: 1 << 50}
	es := []epochs.Entry{{Epoch: 1, Start: 2}, {Epoch: 3, Start: 4}}
	id := [16]byte{1, 2, 3}
	m := Meta{BrokerID: 4, ClusterID: "c"}
	for _, err := range []error{
		WriteOffsets(fsys, "/d/o", o), WriteEpochs(fsys, "/d/e", es), WritePartition(fsys, "/d/p", id),
		WriteMeta(fsys, "/d/m", m, time.Unix(0, 0)), MarkClean(fsys, "/d"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	fsys = fsys.CrashClone(vfs.Crash{}) // what is written is durable
	if got, err := ReadOffsets(fsys, "/d/o"); err != nil || !cmp.Equal(o, got) {
		t.Error(got, err)
	}
	if got, err := ReadEpochs(fsys, "/d/e"); err != nil || !cmp.Equal(es, got) {
		t.Error(got, err)
	}
	if got, found, err := ReadPartition(fsys, "/d/p"); err != nil || !found || got != id {
		t.Error(got, found, err)
	}
	if got, found, err := ReadMeta(fsys, "/d/m"); err != nil || !found || !cmp.Equal(m, got) {
		t.Error(got, found, err)
	}
	if b, err := vfs.ReadFile(fsys, "/d/"+CleanShutdown, 100); err != nil || string(b) != string(golden(t, "cleanshutdown")) {
		t.Errorf("%q %v", b, err)
	}
	if clean, err := WroteCleanly(fsys, "/d"); !clean || err != nil {
		t.Error(clean, err)
	}
	for range 2 { // a second time there is nothing to remove
		if err := MarkInUse(fsys, "/d"); err != nil {
			t.Fatal(err)
		}
		if clean, err := WroteCleanly(fsys.CrashClone(vfs.Crash{}), "/d"); clean || err != nil {
			t.Error(clean, err)
		}
	}
	if _, err := ReadOffsets(fsys, "/d/e"); !errors.Is(err, ErrMalformed) || !strings.Contains(fmt.Sprint(err), "/d/e") {
		t.Errorf("the error does not name the file: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{RecoveryPoints, LeaderEpochs, PartitionMetadata, MetaProperties} {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := DecodeOffsets(b); err == nil {
			if again, err := DecodeOffsets(EncodeOffsets(o)); err != nil || !cmp.Equal(o, again) {
				t.Fatal(o, again, err)
			}
		}
		if es, err := DecodeEpochs(b); err == nil {
			if again, err := DecodeEpochs(EncodeEpochs(es)); err != nil || !cmp.Equal(es, again) {
				t.Fatal(es, again, err)
			}
		}
		if id, err := DecodePartition(b); err == nil {
			if again, err := DecodePartition(EncodePartition(id)); err != nil || id != again {
				t.Fatal(id, again, err)
			}
		}
		if m, err := DecodeMeta(b); err == nil {
			if again, err := DecodeMeta(EncodeMeta(m, time.Time{})); err != nil || !cmp.Equal(m, again) {
				t.Fatal(m, again, err)
			}
		}
	})
}
