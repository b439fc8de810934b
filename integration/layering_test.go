// Package integration holds the tests that cross rooms: the layering of the packages, which needs nothing but Go, and, with the build
// tag integration, barnabas as a process beside real clients, real ZooKeeper and real Apache Kafka.
package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A room is a folder of packages and what it may and must not import. The longest matching folder decides.
type room struct {
	folder string
	ours   []string // folders of ours that it may import, besides itself
	never  []string // other packages, with all below them
}

const (
	zkPackage   = "github.com/go-zookeeper/zk"
	kmsgPackage = "github.com/twmb/franz-go/pkg/kmsg"
	zapPackage  = "go.uber.org/zap"
)

// rooms is the table of who may import whom. Time comes from storage/clock everywhere but in protocol, which has none.
var rooms = []room{
	{"protocol", nil, []string{zkPackage, zapPackage, "os"}}, // it writes messages to sockets
	{"storage", []string{"protocol/record"}, []string{zkPackage, kmsgPackage, "net", "os"}},
	{"storage/vfs", nil, []string{zkPackage, kmsgPackage, "net"}}, // the one place that touches package os
	{"replication/await", []string{"protocol", "storage/clock"}, []string{zkPackage, "net", "os"}},
	{"replication/cluster", []string{"protocol"}, []string{zkPackage, "net", "os"}},
	{"replication", []string{"storage", "protocol"}, []string{zkPackage, "os"}},
	{"coordinator/runtime", []string{"protocol", "replication/await", "storage/clock"}, []string{zkPackage, "net", "os"}},
	{"coordinator/group", []string{"coordinator/runtime", "replication/cluster", "replication/await", "storage/clock", "protocol"}, []string{zkPackage, "net", "os"}},
	{"coordinator/txn", []string{"coordinator/runtime", "replication/cluster", "replication/await", "storage/clock", "protocol"}, []string{zkPackage, "net", "os"}},
	{"coordinator/controller", []string{"coordinator/store", "replication/cluster", "storage/clock"}, []string{zkPackage, "net", "os"}},
	{"coordinator/store", []string{"storage/clock"}, []string{zkPackage, "net/http", "os"}},
	{"coordinator/store/zk", []string{"coordinator/store", "storage/clock"}, nil}, // the one importer of go-zookeeper
	{"broker/api", []string{"protocol", "replication", "coordinator", "storage", "broker/config", "broker/auth", "broker/quota"}, []string{zkPackage}},
	{"broker/config", nil, []string{zkPackage, kmsgPackage, "net/http"}},
	{"broker", []string{"protocol", "storage", "replication", "coordinator"}, []string{zkPackage}},
	{"cmd", []string{"broker", "protocol", "storage", "replication", "coordinator"}, []string{zkPackage}},
	{"integration", []string{"broker", "protocol", "storage", "replication", "coordinator"}, nil},
}

// refused narrows what a room's list would allow.
var refused = map[string][]string{
	"broker/api": {"storage/vfs", "coordinator/store"},
}

type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func roomOf(path string) *room {
	var best *room
	for i := range rooms {
		if within(path, rooms[i].folder) && (best == nil || len(rooms[i].folder) > len(best.folder)) {
			best = &rooms[i]
		}
	}
	return best
}

func TestLayering(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "barnabas"), "/")
		if path == "" {
			continue
		}
		r := roomOf(path)
		if r == nil {
			t.Errorf("%s is in no room of the table", path)
			continue
		}
		for _, im := range p.Imports {
			own, isOurs := strings.CutPrefix(im, "barnabas/")
			switch {
			case isOurs && !allowedImport(r, own):
				t.Errorf("%s imports %s, which room %s may not", path, own, r.folder)
			case isOurs && slices.ContainsFunc(refused[r.folder], func(f string) bool { return within(own, f) }):
				t.Errorf("%s imports %s, which room %s must not", path, own, r.folder)
			case !isOurs && slices.ContainsFunc(r.never, func(f string) bool { return within(im, f) && im != "net/netip" }):
				t.Errorf("%s imports %s, which room %s must not", path, im, r.folder)
			}
		}
	}
}

func allowedImport(r *room, own string) bool {
	if in := roomOf(own); in != nil && (in.folder == r.folder || within(in.folder, r.folder)) {
		return true
	}
	return slices.ContainsFunc(r.ours, func(f string) bool { return within(own, f) })
}

// TestClockAndSleep holds that only storage/clock asks the machine for the time, in the rooms that run under a hand-moved clock, and
// that no test sleeps.
func TestClockAndSleep(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, "barnabas/")
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code := withoutComments(string(b))
			test := strings.HasSuffix(file, "_test.go")
			support := strings.HasSuffix(path, "test") // packages for tests, such as storetest
			own := !support && !within(path, "storage/clock") && (within(path, "protocol") || within(path, "storage") || within(path, "replication") || within(path, "coordinator"))
			if own && !test && strings.Contains(code, "time."+"Now()") {
				t.Errorf("%s asks for the time itself; storage/clock does", file)
			}
			if (test || own) && strings.Contains(code, "time."+"Sleep(") {
				t.Errorf("%s sleeps", file)
			}
		}
	}
}

func withoutComments(code string) string {
	var out strings.Builder
	for line := range strings.Lines(code) {
		before, _, _ := strings.Cut(line, "//")
		out.WriteString(before + "\n")
	}
	return out.String()
}
