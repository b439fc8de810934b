package api

import (
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/storage/clock"
)

func fetchOf(id, epoch int32, version int16, partitions ...int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.SessionID, req.SessionEpoch = version, id, epoch
	if len(partitions) > 0 {
		t := kmsg.NewFetchRequestTopic()
		t.Topic = "t"
		for _, p := range partitions {
			rp := kmsg.NewFetchRequestTopicPartition()
			rp.Partition = p
			t.Partitions = append(t.Partitions, rp)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

func forget(req *kmsg.FetchRequest, partitions ...int32) *kmsg.FetchRequest {
	req.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "t", Partitions: partitions}}
	return req
}

// told makes the response that a fetch of the context would give: each partition with its watermark.
func told(c *fetchContext, watermarks map[int32]int64, records ...int32) *fetchResponse {
	r := &fetchResponse{version: 12}
	for _, p := range c.parts {
		a := fetchedPartition{source: p, highWatermark: watermarks[p.partition], divergingEnd: -1, divergingEpoch: -1}
		for _, id := range records {
			if id == p.partition {
				a.converted = region("records")
			}
		}
		if c.news(&a) {
			r.parts = append(r.parts, a)
		}
	}
	c.close(r)
	return r
}

func ids(r *fetchResponse) (out []int32) {
	for _, a := range r.parts {
		out = append(out, a.source.partition)
	}
	return out
}

func equal(a []int32, b ...int32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestIncrementalFetchTellsOnlyNews(t *testing.T) {
	s := NewFetchSessions(clock.NewManual(time.Unix(0, 0)), 10, 0)
	c, why := s.open(fetchOf(0, 0, 12, 0, 1, 2))
	if why != nil || c.sessionID == 0 {
		t.Fatal(why, c.sessionID)
	}
	id := c.sessionID
	if r := told(c, map[int32]int64{}); !equal(ids(r), 0, 1, 2) {
		t.Fatalf("a full fetch tells all, got %v", ids(r))
	}
	c, why = s.open(fetchOf(id, 1, 12))
	if why != nil {
		t.Fatal(why)
	}
	if r := told(c, map[int32]int64{1: 5}); !equal(ids(r), 1) || r.session != id {
		t.Fatalf("only partition 1 has news, got %v in session %d", ids(r), r.session)
	}
	c, _ = s.open(fetchOf(id, 2, 12))
	if r := told(c, map[int32]int64{1: 5}, 0); !equal(ids(r), 0) {
		t.Fatalf("only partition 0 has records, got %v", ids(r))
	}
	// What was served is the last in line.
	c, _ = s.open(forget(fetchOf(id, 3, 12, 7), 1))
	if r := told(c, map[int32]int64{0: 1, 2: 1, 7: 1}); !equal(ids(r), 2, 0, 7) {
		t.Fatalf("order %v", ids(r))
	}
}

func TestFetchSessionRefusals(t *testing.T) {
	s := NewFetchSessions(clock.NewManual(time.Unix(0, 0)), 10, 0)
	c, _ := s.open(fetchOf(0, 0, 12, 0))
	id := c.sessionID
	for name, step := range map[string]struct {
		req  *kmsg.FetchRequest
		code int16
	}{
		"unknown id":             {fetchOf(id^1, 1, 12), 70},
		"no id with an epoch":    {fetchOf(0, 1, 12), 70},
		"wrong epoch":            {fetchOf(id, 5, 12), 71},
		"ids where names before": {fetchOf(id, 1, 13), 106},
	} {
		if _, why := s.open(step.req); why == nil || why.Code != step.code {
			t.Errorf("%s: %v, want %d", name, why, step.code)
		}
	}
	if _, why := s.open(fetchOf(id, 1, 12)); why != nil {
		t.Fatalf("a refusal must not end the session: %v", why)
	}
	c, why := s.open(forget(fetchOf(id, 2, 12), 0))
	if why != nil || c.sessionID != 0 {
		t.Fatalf("a session without partitions ends: %v, id %d", why, c.sessionID)
	}
	if _, why := s.open(fetchOf(id, 3, 12)); why == nil || why.Code != 70 {
		t.Fatalf("it has ended: %v", why)
	}
}

func TestFinalEpochEndsTheSession(t *testing.T) {
	s := NewFetchSessions(clock.NewManual(time.Unix(0, 0)), 10, 0)
	c, _ := s.open(fetchOf(0, 0, 12, 0))
	if c, why := s.open(fetchOf(c.sessionID, -1, 12, 0)); why != nil || c.session != nil || len(c.parts) != 1 {
		t.Fatal(why)
	}
	if _, why := s.open(fetchOf(c.sessionID, 1, 12)); why == nil {
		t.Fatal("still there")
	}
}

func TestFetchSessionsAreBounded(t *testing.T) {
	now := clock.NewManual(time.Unix(0, 0))
	s := NewFetchSessions(now, 2, 0)
	a, _ := s.open(fetchOf(0, 0, 12, 0))
	s.open(fetchOf(0, 0, 12, 0, 1))
	if c, why := s.open(fetchOf(0, 0, 12, 0, 1, 2)); why != nil || c.sessionID != 0 || len(c.parts) != 3 {
		t.Fatal("with a full cache a client fetches without a session")
	}
	now.Advance(sessionIdle)
	if c, _ := s.open(fetchOf(0, 0, 12, 0)); c.sessionID != 0 {
		t.Fatal("its time is not over yet")
	}
	now.Advance(time.Millisecond)
	// A request that is refused does not keep a session.
	if _, why := s.open(fetchOf(a.sessionID, 7, 12)); why == nil {
		t.Fatal("a wrong epoch")
	}
	c, _ := s.open(fetchOf(0, 0, 12, 0))
	if c.sessionID == 0 {
		t.Fatal("an idle session gives way")
	}
	if len(s.byID) != 2 || s.byID[c.sessionID] == nil {
		t.Fatalf("%d sessions", len(s.byID))
	}
}

// Where memory is bounded, so is what all sessions hold. A hundred clients whose sessions had 50,000 partitions each, and who asked for what
// was new in them again and again in forty bytes, took 2.8 GB.
func TestFetchSessionsHoldSoMuch(t *testing.T) {
	now := clock.NewManual(time.Unix(0, 0))
	s := NewFetchSessions(now, 10, 5*sessionPartition)
	a, _ := s.open(fetchOf(0, 0, 12, 0, 1, 2))
	if c, why := s.open(fetchOf(0, 0, 12, 0, 1, 2)); why != nil || c.sessionID != 0 || len(c.parts) != 3 {
		t.Fatal("there is no room for another")
	}
	b, _ := s.open(fetchOf(0, 0, 12, 0, 1))
	if a.sessionID == 0 || b.sessionID == 0 || s.held != 5 {
		t.Fatalf("%d partitions", s.held)
	}
	if _, why := s.open(fetchOf(a.sessionID, 1, 12, 0, 1, 2)); why != nil {
		t.Fatalf("what it has already takes no room: %v", why)
	}
	if _, why := s.open(forget(fetchOf(a.sessionID, 2, 12, 3), 0)); why != nil || s.held != 5 {
		t.Fatalf("one for another: %v, %d partitions", why, s.held)
	}
	if _, why := s.open(fetchOf(b.sessionID, 1, 12, 7)); why != kerr.FetchSessionIDNotFound || s.byID[b.sessionID] != nil || s.held != 3 {
		t.Fatalf("one that has grown too large: %v, %d partitions", why, s.held)
	}
	if c, _ := s.open(fetchOf(0, 0, 12, 0, 1, 2, 3, 4, 5)); c.sessionID != 0 {
		t.Fatal("one that is too large by itself")
	}
	now.Advance(sessionIdle + time.Millisecond)
	if c, _ := s.open(fetchOf(0, 0, 12, 0, 1, 2)); c.sessionID == 0 || s.held != 3 || len(s.byID) != 1 {
		t.Fatalf("an idle session gives way: %d partitions", s.held)
	}
	s.remove(a.sessionID)
	for id := range s.byID {
		s.remove(id)
	}
	if s.held != 0 {
		t.Fatalf("%d partitions in no session", s.held)
	}
}

// Whose session has to go for whose: Apache Kafka's rules.
func TestWhichSessionGivesWay(t *testing.T) {
	follower := func(partitions ...int32) *kmsg.FetchRequest {
		req := fetchOf(0, 0, 12, partitions...)
		req.ReplicaID = 3
		return req
	}
	consumer := func(partitions ...int32) *kmsg.FetchRequest { return fetchOf(0, 0, 12, partitions...) }
	for name, c := range map[string]struct {
		old   *kmsg.FetchRequest
		age   time.Duration
		comes *kmsg.FetchRequest
		gives bool
	}{
		"a young consumer for a larger one":     {consumer(1), time.Second, consumer(1, 2), false},
		"an old consumer for a larger one":      {consumer(1), sessionIdle + time.Second, consumer(1, 2), true},
		"an old consumer for one of its size":   {consumer(1), sessionIdle + time.Second, consumer(2), false},
		"a young consumer for a follower":       {consumer(1, 2, 3), time.Second, follower(1), true},
		"an old follower for a consumer":        {follower(1), sessionIdle + time.Second, consumer(1, 2), false},
		"a young follower for a larger one":     {follower(1), time.Second, follower(1, 2), false},
		"an old follower for a larger follower": {follower(1), sessionIdle + time.Second, follower(1, 2), true},
	} {
		now := clock.NewManual(time.Unix(0, 0))
		s := NewFetchSessions(now, 1, 0)
		old, _ := s.open(c.old)
		now.Advance(c.age)
		if _, why := s.open(fetchOf(old.sessionID, 1, 12)); why != nil { // in use
			t.Fatal(why)
		}
		if got, _ := s.open(c.comes); (got.sessionID != 0) != c.gives || (s.byID[old.sessionID] == nil) != c.gives {
			t.Errorf("%s: gave way %v", name, got.sessionID != 0)
		}
	}
}

// A client that wants a session looks at how large others are while their clients change them; for the race detector.
func TestFetchSessionsChangeWhileOthersAreMade(t *testing.T) {
	clk := clock.NewManual(time.UnixMilli(0))
	s := NewFetchSessions(clk, 1, 0)
	c, _ := s.open(fetchOf(0, 0, 12, 1))
	clk.Advance(sessionIdle + time.Millisecond)
	if _, refusal := s.open(fetchOf(c.sessionID, 1, 12)); refusal != nil { // old, but in use
		t.Fatal(refusal)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for epoch := int32(2); epoch <= 100; epoch++ {
			if _, refusal := s.open(forget(fetchOf(c.sessionID, epoch, 12, epoch+1, epoch+2), epoch+1)); refusal != nil {
				t.Errorf("epoch %d: %v", epoch, refusal)
				return
			}
		}
	})
	for range 100 {
		if other, _ := s.open(fetchOf(0, 0, 12)); other.session != nil {
			t.Fatal("a session in use had to go for a smaller one")
		}
	}
	done.Wait()
}
