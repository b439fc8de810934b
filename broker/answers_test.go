package broker

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"barnabas/broker/api"
	"barnabas/protocol"
	"barnabas/replication/cluster"
	"barnabas/storage/clock"
)

// Who has held answers for longest leaves when there is more than the bound, and the last never, however much it holds.
func TestTheOldestHolderLeaves(t *testing.T) {
	m := newAnswerMemory(100)
	var left []int
	holders := make([]holder, 5)
	for i := range holders {
		holders[i].leave = func() { left = append(left, i) }
	}
	hold := func(i int, out, owes int64, gone ...int) {
		t.Helper()
		holders[i].out.Store(out)
		holders[i].owes.Store(owes)
		m.count(&holders[i])
		if !slices.Equal(left, gone) {
			t.Fatalf("%v have left, want %v", left, gone)
		}
		left = left[:0]
	}
	hold(0, 1000, 0) // alone
	hold(1, 10, 0, 0)
	hold(2, 60, 0)
	hold(3, 0, owedFree) // does not count
	hold(1, 40, 0)       // keeps its age
	hold(4, 1, 0, 1)
	hold(2, 0, 0)
	hold(2, 5, 0) // is the youngest now
	hold(3, 0, owedFree+1, 4, 2)
	hold(0, 7, 0) // has been told to
	hold(3, 0, 3)
	if m.left != 100 || m.holders.Len() != 0 {
		t.Errorf("%d are left, %d hold some", m.left, m.holders.Len())
	}
	holders = append(holders, holder{leave: func() {}})
	hold(5, 50, 0)
	if m.forget(&holders[5]); m.left != 100 {
		t.Errorf("%d are left", m.left)
	}
	if m.count(&holders[5]); m.left != 100 {
		t.Error("one that has ended holds some")
	}
}

// On a busy machine connections that had been told to leave held theirs for a while, and others made the next large answers
// meanwhile: the broker took 370 MB where the bounds came to 300.
func TestLargeAnswersWaitForThoseWhoLeave(t *testing.T) {
	m := newAnswerMemory(100)
	waits := func() (waiting func() bool) {
		roomy := m.room()
		return func() bool {
			select {
			case <-roomy:
				return false
			default:
				return roomy != nil
			}
		}
	}
	old, young := holder{leave: func() {}}, holder{leave: func() {}}
	hold := func(h *holder, n int64) { h.out.Store(n); m.count(h) }
	hold(&old, 90)
	if waits()() {
		t.Error("waits with room for more")
	}
	hold(&young, 20)
	waiting := waits()
	if !waiting() {
		t.Error("does not wait for the one that was told to leave")
	}
	hold(&young, 5)
	if waiting() {
		t.Error("waits where both have room")
	}
	hold(&young, 150)
	if waiting = waits(); !waiting() {
		t.Error("does not wait for the one that holds more")
	}
	if m.forget(&old); waiting() {
		t.Error("waits for somebody who is gone")
	}
	if m.forget(&young); m.left != 100 || m.leaving != 0 || m.roomy != nil {
		t.Errorf("%d are left, %d leaving", m.left, m.leaving)
	}
}

// wideServer tells of a topic with 5000 partitions, which takes some 130 KB. The bound is that of memory, 0 for none.
func wideServer(bound int64) *server {
	img := cluster.Empty()
	img.Brokers[1] = &cluster.Broker{ID: 1, Endpoints: []cluster.Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "127.0.0.1", Port: 1}}}
	topic := &cluster.Topic{Name: "t", ID: cluster.TopicID{7}}
	for range 5000 {
		topic.Partitions = append(topic.Partitions, &cluster.Partition{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}})
	}
	img.Put(topic)
	return &server{
		listener: "PLAINTEXT", clock: clock.Real, log: zap.NewNop(), limits: limits{requestMaxBytes: 1 << 20}, memory: newRequestMemory(bound),
		routes: api.NewRoutes(&api.Versions{Images: still{img}, Self: 1}, &api.Topology{Images: still{img}}),
	}
}

func everyTopic() []byte {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 9
	return kmsg.NewRequestFormatter().AppendRequest(nil, req, 0)
}

// serveOne serves a connection until it ends.
func serveOne(ctx context.Context, s *server, id uint64) (client net.Conn, ended <-chan struct{}) {
	ours, theirs := net.Pipe()
	c := newConn(ctx, s, ours, id)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.serve()
	}()
	return theirs, done
}

// Clients that ask and do not read hold the bound, and one more: of thirty, each with an answer of 130 KB, the last few are left.
// One that reads is answered all the time. Once all of them held theirs, and what it was made of.
func TestClientsThatDoNotReadAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 1 << 20
		ctx, cancel := context.WithCancel(t.Context())
		s := wideServer(bound)
		reads, _ := serveOne(ctx, s, 0)
		frames := protocol.NewFrameReader(reads, 1<<20)
		size := 0
		ask := func() {
			t.Helper()
			_, _ = reads.Write(everyTopic())
			frame, err := frames.Next()
			if err != nil {
				t.Fatal(err)
			}
			size = len(frame)
		}
		ask()
		var all []<-chan struct{}
		for i := range uint64(30) {
			client, ended := serveOne(ctx, s, i+1)
			all = append(all, ended)
			go func() {
				for {
					if _, err := client.Write(everyTopic()); err != nil {
						return
					}
				}
			}()
			synctest.Wait()
		}
		ask()
		left := 0
		for i, ended := range all {
			select {
			case <-ended:
				if left > 0 {
					t.Errorf("client %d ended before an older one", i)
				}
			default:
				left++
			}
		}
		if left < 2 || left*size > bound+size {
			t.Errorf("%d are left, each with %d bytes", left, size)
		}
		cancel()
		synctest.Wait()
		d := &dataServer{server: s}
		d.wantAllGivenBack(t, bound)
	})
}

// What waits behind an answer that is not there yet counts while it does, and only then.
func TestAnswersThatWaitCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 1 << 20
		s := wideServer(bound)
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		c := newConn(t.Context(), s, ours, 1)
		c.settled = make(chan struct{}, 1)
		c.owed = make(chan owedReply, owedMax)
		c.pending.Store(1) // a fetch that waits
		for range 3 {
			owed, waits, _, ok := c.handle(everyTopic()[4:])
			if !ok || !waits {
				t.Fatal("it is not owed")
			}
			c.owed <- owed
		}
		m := s.memory.answers
		if holds := bound - m.left; holds < 3*100_000 || holds > 3*200_000 {
			t.Errorf("%d bytes are held", holds)
		}
		var writer sync.WaitGroup
		writer.Go(func() { c.write(c.ctx, c.cancel) })
		synctest.Wait()
		if m.left != bound || m.holders.Len() > 0 || c.answers.owes.Load() != 0 {
			t.Errorf("%d of %d are left, %d hold some", m.left, bound, m.holders.Len())
		}
		close(c.owed)
		writer.Wait()
		c.cancel()
		theirs.Close()
	})
}

// A client that sends a large frame a byte at a time keeps what it has been given while nobody needs it. When others wait it has ten
// seconds, and a second more for each MB. Once it was enough to send a byte every half a minute to keep a hundred megabytes.
func TestAFrameThatTricklesIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 1 << 20
		s := wideServer(bound)
		ctx, cancel := context.WithCancel(t.Context())
		trickle := func(id uint64) (ended <-chan struct{}) {
			client, ended := serveOne(ctx, s, id)
			go func() {
				_, err := client.Write(append([]byte{0, 0x0f, 0, 0}, make([]byte, 100_000)...))
				for err == nil {
					<-time.After(20 * time.Second)
					_, err = client.Write([]byte{0})
				}
			}()
			synctest.Wait()
			return ended
		}
		over := func(ended <-chan struct{}) bool {
			synctest.Wait()
			select {
			case <-ended:
				return true
			default:
				return false
			}
		}
		m := s.memory
		slow := trickle(1)
		if m.left != bound-256<<10 {
			t.Fatalf("%d bytes are taken for 100 KB that have come", bound-m.left)
		}
		<-time.After(10 * time.Minute)
		if over(slow) {
			t.Fatal("it is ended although nobody waits")
		}
		fresh := trickle(2)
		var most, more share
		if err := m.take(ctx, &most, bound); err != nil {
			t.Fatal(err)
		}
		granted := make(chan error, 1)
		go func() { granted <- m.take(ctx, &more, 1) }()
		<-time.After(5 * time.Second)
		if !over(slow) || over(fresh) {
			t.Errorf("the slow one is over: %v, the fresh one: %v", over(slow), over(fresh))
		}
		<-time.After(6 * time.Second)
		if !over(fresh) {
			t.Error("the fresh one has more than its time")
		}
		m.give(&most)
		if err := <-granted; err != nil {
			t.Error(err)
		}
		m.give(&more)
		silent, ended := serveOne(ctx, s, 3)
		_, _ = silent.Write(append([]byte{0, 0x0f, 0, 0}, make([]byte, 100_000)...))
		<-time.After(frameStall - time.Second)
		if over(ended) {
			t.Error("it is ended too soon")
		}
		<-time.After(2 * time.Second)
		if !over(ended) {
			t.Error("one that is silent is not ended")
		}
		cancel()
		synctest.Wait()
		d := &dataServer{server: s}
		d.wantAllGivenBack(t, bound)
	})
}
