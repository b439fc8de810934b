package embedded

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"barnabas/coordinator/store"
	"barnabas/coordinator/store/storetest"
	"barnabas/storage/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type tree struct{ *DB }

func (d tree) Session(*testing.T) store.Store { return d.NewSession() }

func (tree) Expire(_ *testing.T, s store.Store) { s.(*Store).Expire() }

func open(t *testing.T, path string, o Options) *DB {
	t.Helper()
	db, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestContractInAFile(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Tree {
		return tree{open(t, filepath.Join(t.TempDir(), "store"), Options{})}
	})
}

func TestContractInMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Tree { return tree{open(t, "", Options{Memory: true})} })
}

// crash drops the DB as a dying process would: nothing is ended, the file is let go.
func crash(t *testing.T, db *DB) {
	t.Helper()
	close(db.quit)
	<-db.done
	if err := db.back.close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatADeadProcessLeaves(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "store")
	db, err := Open(path, Options{Clock: clock.NewManual(time.UnixMilli(1000))})
	if err != nil {
		t.Fatal(err)
	}
	s := db.NewSession()
	id, _, _ := s.Session(ctx)
	for _, op := range []store.Op{
		store.Create("/ids", nil, store.Persistent), store.Create("/ids/1", []byte("x"), store.Ephemeral),
		store.Create("/ids/2", nil, store.Ephemeral), store.Delete("/ids/2", store.AnyVersion),
		store.Create("/ids/n_", []byte{}, store.Sequential), store.Set("/ids", []byte("data"), 0),
	} {
		if _, err := s.Multi(ctx, op); err != nil {
			t.Fatal(err)
		}
	}
	_, before, _ := s.Get(ctx, "/ids")
	crash(t, db)

	db = open(t, path, Options{Clock: clock.NewManual(time.UnixMilli(2000))})
	s = db.NewSession()
	next, _, _ := s.Session(ctx)
	if next == id {
		t.Errorf("session %x again", id)
	}
	names, st, err := s.Children(ctx, "/ids")
	if err != nil || !slices.Equal(names, []string{"n_0000000002"}) {
		t.Errorf("%q, %v", names, err)
	}
	if st.Cversion != before.Cversion+1 || st.Pzxid <= before.Mzxid || st.Mzxid != before.Mzxid || st.Ctime != 1000 {
		t.Errorf("before %+v, after %+v", before, st)
	}
	if data, _, err := s.Get(ctx, "/ids/n_0000000002"); err != nil || data == nil || len(data) != 0 {
		t.Errorf("%#v, %v", data, err)
	}
	if path, err := s.Create(ctx, "/ids/n_", nil, store.Sequential); err != nil || path != "/ids/n_0000000003" {
		t.Error(path, err)
	}
	if st, _, _ := s.Exists(ctx, "/ids/n_0000000003"); st.Czxid <= before.Pzxid || st.Ctime != 2000 {
		t.Errorf("%+v", st)
	}
}

func TestAFileIsOpenOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	open(t, path, Options{})
	_, err := Open(path, Options{})
	if err == nil || !strings.Contains(err.Error(), "another process has it open") || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func TestOpenFails(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "no", "store"), Options{}); err == nil {
		t.Error("no error for a missing folder")
	}
	if _, err := Open(t.TempDir(), Options{}); err == nil {
		t.Error("no error for a folder")
	}
}

func TestAnAnswerDoesNotShareMemory(t *testing.T) {
	ctx := t.Context()
	for _, o := range []Options{{}, {Memory: true}} {
		s := open(t, filepath.Join(t.TempDir(), "store"), o).NewSession()
		in := []byte("abc")
		if _, err := s.Create(ctx, "/a", in, store.Persistent); err != nil {
			t.Fatal(err)
		}
		in[0] = 'X'
		out, _, _ := s.Get(ctx, "/a")
		out[1] = 'Y'
		if data, _, _ := s.Get(ctx, "/a"); string(data) != "abc" {
			t.Errorf("%q", data)
		}
	}
}

func TestManyWritersShareSyncs(t *testing.T) {
	ctx := t.Context()
	db := open(t, filepath.Join(t.TempDir(), "store"), Options{})
	var wg sync.WaitGroup
	for i := range 50 {
		s := db.NewSession()
		wg.Go(func() {
			path := fmt.Sprintf("/t%d", i)
			if _, err := s.Create(ctx, path, nil, store.Ephemeral); err != nil {
				t.Error(err)
			}
			if _, err := s.Create(ctx, "/same", nil, store.Persistent); err != nil && !errors.Is(err, store.ErrNodeExists) {
				t.Error(err)
			}
			if i%2 == 0 {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	names, _, err := db.NewSession().Children(ctx, "/")
	if err != nil || len(names) != 26 {
		t.Errorf("%d names, %v", len(names), err)
	}
}

// brokenDisk is a backend whose commits fail.
type brokenDisk struct {
	backend
	err error
}

func (b *brokenDisk) commit(changes map[string]*node, zxid int64) error {
	if b.err != nil {
		return b.err
	}
	return b.backend.commit(changes, zxid)
}

func TestAFailedCommitIsNotSeen(t *testing.T) {
	ctx := t.Context()
	db := open(t, "", Options{Memory: true})
	s := db.NewSession()
	if _, err := s.Create(ctx, "/a", nil, store.Persistent); err != nil {
		t.Fatal(err)
	}
	_, _, w, err := s.GetW(ctx, "/a")
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	disk := &brokenDisk{db.back, full}
	db.back = disk
	if _, err := s.Set(ctx, "/a", []byte("x"), 0); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, store.ErrDisk) || !errors.Is(err, full) {
		t.Error(err)
	}
	if _, err := s.Create(ctx, "/e", nil, store.Ephemeral); !errors.Is(err, full) {
		t.Error(err)
	}
	if _, st, _ := s.Get(ctx, "/a"); st.Version != 0 {
		t.Errorf("%+v", st)
	}
	select {
	case e := <-w:
		t.Errorf("%+v", e)
	default:
	}
	disk.err = nil
	if st, err := s.Set(ctx, "/a", []byte("x"), 0); err != nil || st.Version != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	if e := <-w; e.Path != "/a" || e.Err != nil {
		t.Errorf("%+v", e)
	}
}

func TestCloseOfTheTree(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "store"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := db.NewSession(), db.NewSession()
	_, ended, err := a.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _, w, err := b.ExistsW(t.Context(), "/a")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	<-ended
	if e := <-w; !errors.Is(e.Err, store.ErrClosed) {
		t.Errorf("%+v", e)
	}
	for _, s := range []*Store{a, db.NewSession()} {
		if _, err := s.Create(t.Context(), "/x", nil, store.Persistent); !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestContextThatHasEnded(t *testing.T) {
	db := open(t, "", Options{Memory: true})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	held := &heldDisk{backend: db.back, hold: make(chan struct{}), held: make(chan struct{})}
	db.back = held
	var wg sync.WaitGroup
	wg.Go(func() { db.NewSession().Create(t.Context(), "/a", nil, store.Persistent) })
	<-held.held // the writing goroutine is busy
	if _, err := db.NewSession().Create(ctx, "/b", nil, store.Persistent); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(held.hold)
	wg.Wait()
}

// heldDisk is a backend whose commits wait.
type heldDisk struct {
	backend
	held, hold chan struct{}
	once       sync.Once
}

func (h *heldDisk) commit(changes map[string]*node, zxid int64) error {
	h.once.Do(func() { close(h.held) })
	<-h.hold
	return h.backend.commit(changes, zxid)
}

func TestDamagedNodes(t *testing.T) {
	good := (&node{czxid: 1, version: 2, data: []byte("x")}).append(nil)
	for n := range good[:nodeHeader] {
		if _, err := parseNode(good[:n]); !errors.Is(err, errNode) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	good[0] = 9
	if _, err := parseNode(good); !errors.Is(err, errNode) {
		t.Error(err)
	}
}

func BenchmarkCreateTopic(b *testing.B) {
	ctx := b.Context()
	db, err := Open(filepath.Join(b.TempDir(), "store"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s := db.NewSession()
	if err := store.MakeSure(ctx, s, store.TopicsPath); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		topic := fmt.Sprintf("topic-%d", i)
		for _, op := range []store.Op{
			store.Create(store.TopicPath(topic), []byte("{}"), store.Persistent),
			store.Create(store.PartitionsPath(topic), nil, store.Persistent),
			store.Create(store.PartitionPath(topic, 0), nil, store.Persistent),
			store.Create(store.PartitionStatePath(topic, 0), []byte("{}"), store.Persistent),
		} {
			if _, err := s.Multi(ctx, op); err != nil {
				b.Fatal(err)
			}
		}
	}
}
