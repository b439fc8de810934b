package broker

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/api"
	"barnabas/protocol"
)

// stuff gives each array of a request, at any depth, in turn many elements that say nothing, and calls f, until that has enough.
func stuff(v reflect.Value, many int, f func() (enough bool)) (enough bool) {
	for i := range v.NumField() {
		a := v.Field(i)
		if a.Kind() != reflect.Slice || a.Type().Elem().Kind() == reflect.Uint8 {
			continue
		}
		a.Set(reflect.MakeSlice(a.Type(), many, many))
		if f() {
			return true
		}
		a.Set(reflect.MakeSlice(a.Type(), 1, 1))
		if a.Type().Elem().Kind() == reflect.Struct {
			if stuff(a.Index(0), many-1, f) {
				return true
			}
		}
		a.SetZero()
	}
	return false
}

// cost is what a request allocates until its answer is written, garbage and all.
func cost(t *testing.T, route *api.Route, version int16, body []byte) (bytes uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err = route.Weigh(version, body, 0); err == nil {
		var reply api.Reply
		if reply, err = route.Serve(&api.Call{Key: route.Key, Version: version, Listener: "PLAINTEXT"}, body); err == nil && !reply.Closes() {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			switch resp := reply.Await(ctx).(type) {
			case nil:
			case messageResponse:
				var m protocol.Message
				if err := resp.AppendMessage(&m); err != nil {
					t.Error(err)
				}
				m.Release()
			default:
				resp.AppendTo(nil)
			}
		}
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// The elements of a request cost about what they are said to, in every array of every API, and one too many is refused before
// it costs anything: 10 million empty names of groups once cost 4 GB.
func TestManyElementsCostWhatTheyAreSaidTo(t *testing.T) {
	config, err := Alone("127.0.0.1:0", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Start(t.Context(), Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	// What is allocated in all, garbage too, is more than what is there at a time.
	const many = 10_000
	const most = 3 * many * api.ElementCost
	for _, r := range b.listeners.all()[0].routes.All() {
		req := kmsg.RequestForKey(r.Key)
		req.SetVersion(r.Max)
		seen := map[int]bool{}
		stuff(reflect.ValueOf(req).Elem(), many, func() bool {
			body := req.AppendTo(nil)
			if len(body) < many || seen[len(body)] { // not an array of this version
				return false
			}
			seen[len(body)] = true
			n, err := cost(t, &r, r.Max, body)
			if err != nil || n > most {
				t.Errorf("%s: %d elements in %d bytes cost %d MB: %v", r.Name, many, len(body), n>>20, err)
			}
			return false
		})
		if r.Cluster {
			continue
		}
		req = kmsg.RequestForKey(r.Key)
		req.SetVersion(r.Max)
		stuff(reflect.ValueOf(req).Elem(), api.ElementsMax+1, func() bool {
			body := req.AppendTo(nil)
			if len(body) < api.ElementsMax {
				return false
			}
			if _, err := r.Weigh(r.Max, body, 0); !errors.Is(err, api.ErrTooLarge) {
				t.Errorf("%s: %d elements: %v", r.Name, api.ElementsMax+1, err)
			}
			return true
		})
	}
}

// A frame of partitions without records is not decoded: 16 MB of it once cost 350 MB. What it had taken is given back.
func TestAHostileProduceRequestIsNotDecoded(t *testing.T) {
	const size = 16 << 20
	d := serveData(t, 1, func(s *server) {
		s.limits.requestMaxBytes, s.memory = 2*size, newRequestMemory(2*size)
	})
	req := produce(1, "one")
	req.Topics[0].Partitions = make([]kmsg.ProduceRequestTopicPartition, size/6)
	frame := kmsg.NewRequestFormatter().AppendRequest(nil, req, 0)
	w := dial(t, d.addr)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := w.Write(frame); err != nil {
		t.Fatal(err)
	}
	w.wantClosed()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4*size {
		t.Errorf("a frame of %d MB costs %d MB", len(frame)>>20, n>>20)
	}
	d.stop()
	d.wantAllGivenBack(t, 2*size)
}

func (d *dataServer) wantAllGivenBack(t *testing.T, bound int64) {
	t.Helper()
	m := d.server.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left != bound || m.beyond != nil || len(m.waiting)+len(m.waitingMore) > 0 || m.wanted.Load() {
		t.Errorf("%d of %d bytes are left, %v is beyond, %d and %d wait", m.left, bound, m.beyond, len(m.waiting), len(m.waitingMore))
	}
	m.answers.mu.Lock()
	defer m.answers.mu.Unlock()
	if m.answers.left != bound || m.answers.holders.Len() > 0 {
		t.Errorf("%d of %d bytes are left for answers, %d hold some", m.answers.left, bound, m.answers.holders.Len())
	}
}

// Twenty full batches in one request of 20 MB are what the bound is for, not against.
func TestAnHonestLargeProduceRequest(t *testing.T) {
	const n, bound = 20, 32 << 20
	d := serveData(t, n, func(s *server) { s.limits.requestMaxBytes, s.memory = bound, newRequestMemory(bound) })
	value := strings.Repeat("x", 1<<20-1000)
	req := produce(1, value)
	batch := req.Topics[0].Partitions[0].Records
	req.Topics[0].Partitions = nil
	for id := range int32(n) {
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: id, Records: batch})
	}
	w := dial(t, d.addr)
	w.send(req, req)
	for i := range int32(2) {
		for _, p := range w.receive(req, i).(*kmsg.ProduceResponse).Topics[0].Partitions {
			if p.ErrorCode != 0 || p.BaseOffset != int64(i) {
				t.Fatalf("%+v", p)
			}
		}
	}
	d.stop()
	d.wantAllGivenBack(t, bound)
}

// A connection whose next large request does not fit is not read until memory is given back, and what it was answered goes
// out meanwhile. Small ones do not wait, nor does anybody for a client that claims much and sends little, which once kept all
// others waiting. Connections that end while they wait, or within a frame, leave nothing behind.
func TestConnectionsWaitForMemory(t *testing.T) {
	const bound = 1 << 20
	d := serveData(t, 1, func(s *server) { s.memory = newRequestMemory(bound) })
	m := d.server.memory
	waiters := func(n int) {
		for { // until they wait
			m.mu.Lock()
			got := len(m.waiting)
			m.mu.Unlock()
			if got == n {
				return
			}
			runtime.Gosched()
		}
	}
	claim := dial(t, d.addr)
	if _, err := claim.Write([]byte{0, 0x10, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 1, 'x'}); err != nil { // all that a frame may have
		t.Fatal(err)
	}
	w, v, small := dial(t, d.addr), produce(1, strings.Repeat("x", 2*protocol.AdmitFrom)), kmsg.NewPtrApiVersionsRequest()
	w.send(v)
	w.receive(v, 0)
	var all share
	if err := m.take(t.Context(), &all, bound+5); err != nil {
		t.Fatal(err)
	}
	w.send(v)
	other := dial(t, d.addr)
	other.send(v)
	waiters(2)
	quick := dial(t, d.addr)
	quick.send(small)
	quick.receive(small, 0)
	other.Close()
	m.give(&all)
	w.receive(v, 1)
	waiters(0)

	half := dial(t, d.addr)
	if _, err := half.Write(append([]byte{0, 3, 0, 0, 0, 18}, make([]byte, 100_000)...)); err != nil {
		t.Fatal(err)
	}
	half.Close()
	odd := dial(t, d.addr)
	if _, err := odd.Write(append([]byte{0, 1, 0x86, 0xa0, 0x7f, 0, 0, 0}, make([]byte, 100_000-4)...)); err != nil {
		t.Fatal(err)
	}
	odd.wantClosed()
	if err := m.take(t.Context(), &all, 2*bound); err != nil {
		t.Fatal(err)
	}
	w.send(v)
	waiters(1)
	d.stop()
	m.give(&all)
	d.wantAllGivenBack(t, bound)
}

// A request with very many elements is answered alone, after all before it, as Kafka does it with every one: this one would
// otherwise be what the fetch waits for.
func TestARequestWithManyElementsIsAnsweredAlone(t *testing.T) {
	for _, memory := range []*requestMemory{nil, newRequestMemory(1 << 20)} {
		d := serveData(t, 1, func(s *server) { s.memory = memory })
		w := dial(t, d.addr)
		f, p := fetchFrom(0, 50*time.Millisecond), produce(1, "one")
		for id := range int32(aloneElements) {
			p.Topics[0].Partitions = append(p.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: id + 1, Records: []byte{}})
		}
		w.send(f, p, f)
		if got := w.receive(f, 0).(*kmsg.FetchResponse).Topics[0].Partitions[0]; got.HighWatermark != 0 || len(got.RecordBatches) > 0 {
			t.Fatalf("%+v", got)
		}
		if got := w.receive(p, 1).(*kmsg.ProduceResponse).Topics[0].Partitions; len(got) != 1+aloneElements || got[0].ErrorCode != 0 {
			t.Fatalf("%d answers, %+v", len(got), got[0])
		}
		if got := w.receive(f, 2).(*kmsg.FetchResponse).Topics[0].Partitions[0]; got.HighWatermark != 1 {
			t.Fatalf("%+v", got)
		}
	}
}

// Anything left lets in a request of any size; those that come then wait in their order.
func TestRequestMemoryIsGivenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newRequestMemory(100)
		var mu sync.Mutex
		var in []string
		shares := map[string]*share{}
		take := func(name string, n int64) {
			s := &share{}
			shares[name] = s
			go func() {
				if m.take(t.Context(), s, n) == nil {
					mu.Lock()
					defer mu.Unlock()
					in = append(in, name)
				}
			}()
			synctest.Wait()
		}
		want := func(names ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(in, names) {
				t.Fatalf("%q are in, want %q", in, names)
			}
		}
		take("a", 99)
		take("large", 1000)
		take("b", 2000)
		take("c", 1)
		want("a", "large")
		if m.left > 0 || !m.wanted.Load() {
			t.Fatalf("%d are left", m.left)
		}
		m.give(shares["a"])
		want("a", "large")
		m.give(shares["large"])
		want("a", "large", "b")
		m.give(shares["b"])
		want("a", "large", "b", "c")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		m.give(shares["c"])
		var s, none share
		if err := m.take(t.Context(), &s, 100); err != nil {
			t.Fatal(err)
		}
		if err := m.take(ctx, &none, 1); !errors.Is(err, context.Canceled) || m.wanted.Load() {
			t.Fatal(err)
		}
		if m.give(&s); m.left != 100 || len(m.waiting) > 0 || s.n != 0 {
			t.Fatalf("%d are left, %d wait", m.left, len(m.waiting))
		}
	})
}

// Requests that hold memory and need more do not wait for each other for ever, nor all go on at once: the one that goes on whatever
// is left does so until it has all it needs, step by step. Once four that had each taken two steps waited for ever for the third.
func TestThoseWhoNeedMoreDoNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newRequestMemory(100)
		done, in := 0, 0
		proceed := make(chan struct{})
		var shares [5]share
		for i := range shares {
			if err := m.take(t.Context(), &shares[i], 21); err != nil {
				t.Fatal(err)
			}
		}
		for i := range shares {
			go func() {
				for step := range 3 {
					if m.take(t.Context(), &shares[i], 1000) != nil {
						return
					}
					if step == 0 {
						in++ // one at a time
					}
				}
				<-proceed
				done++
				in--
				m.give(&shares[i])
			}()
		}
		for i := range shares {
			if synctest.Wait(); in != 1 || m.left < -3005 {
				t.Errorf("after %d, %d are in, %d bytes are left", i, in, m.left)
			}
			proceed <- struct{}{}
		}
		if synctest.Wait(); done != 5 || m.left != 100 || m.beyond != nil {
			t.Fatalf("%d are done, %d are left", done, m.left)
		}
	})
}

// The one that goes on whatever is left may give up, or end: then it is another's turn.
func TestWhoGoesOnMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newRequestMemory(100)
		var first, second, third share
		for _, s := range []*share{&first, &second, &third} {
			if err := m.take(t.Context(), s, 30); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.take(t.Context(), &first, 1000); err != nil || m.beyond != &first {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		waits := func(ctx context.Context, s *share, granted *bool) {
			go func() { *granted = m.take(ctx, s, 1000) == nil }()
			synctest.Wait()
		}
		var two, three bool
		waits(ctx, &second, &two)
		waits(t.Context(), &third, &three)
		cancel()
		if synctest.Wait(); two || three {
			t.Fatal("two go on whatever is left")
		}
		m.give(&second)
		m.give(&first)
		if synctest.Wait(); !three {
			t.Fatal("nobody goes on")
		}
		if m.give(&third); m.left != 100 || m.beyond != nil || m.wanted.Load() {
			t.Fatalf("%d are left", m.left)
		}
	})
}
