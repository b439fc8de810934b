package api

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication"
	"barnabas/storage/clock"
)

// Epochs of a fetch session with a meaning of their own (KIP-227).
const (
	sessionless  int32 = -1
	newSession   int32 = 0
	sessionIdle        = 120 * time.Second // after that a session may be evicted for a new one
	sessionFirst int32 = 1
)

// fetchPartition is a partition as a fetch asks for it.
type fetchPartition struct {
	topic     string
	id        [16]byte
	byID      bool
	partition int32
	offset    int64
	maxBytes  int32
	epoch     int32
	lastEpoch int32

	// What the session told the client last; it is told again only when it changes.
	toldWatermark, toldStart int64
	served                   bool // by the response that is being made
}

func (p *fetchPartition) sameTopic(q *fetchPartition) bool {
	return p.byID == q.byID && p.id == q.id && (p.byID || p.topic == q.topic)
}

// fetchKey names a partition within a session.
type fetchKey struct {
	topic     string
	id        [16]byte
	partition int32
}

// fetchContext is what one request fetches, and the session that it belongs to, if any.
type fetchContext struct {
	parts       []*fetchPartition
	session     *fetchSession
	sessionID   int32
	incremental bool
}

// fetchSession remembers what a client fetches so that it need not say it again. Requests of one session come one
// after the other; the lock is for the odd client that does otherwise.
type fetchSession struct {
	mu         sync.Mutex
	id         int32
	epoch      int32 // the next request's
	byID       bool
	privileged bool // a follower's
	created    time.Time
	used       time.Time
	counted    int // in FetchSessions.held
	order      []*fetchPartition
	index      map[fetchKey]*fetchPartition
	size       atomic.Int32 // of order, for those who do not hold mu
}

// FetchSessions is the cache of sessions (max.incremental.fetch.session.cache.slots).
type FetchSessions struct {
	clock clock.Clock
	slots int
	most  int // partitions

	mu   sync.Mutex // guards the rest, and the sessions' created, used and counted; comes after a session's own lock
	byID map[int32]*fetchSession
	held int // partitions, in all sessions
}

// sessionPartition is about what a partition takes in a session, in bytes.
const sessionPartition = 250

// NewFetchSessions holds at most slots sessions; further clients fetch without. All together hold so many bytes, about, if that is
// positive, which Apache Kafka does not bound.
func NewFetchSessions(c clock.Clock, slots int, bytes int64) *FetchSessions {
	s := &FetchSessions{clock: c, slots: slots, most: math.MaxInt, byID: map[int32]*fetchSession{}}
	if bytes > 0 {
		s.most = int(bytes / sessionPartition)
	}
	return s
}

// open finds or makes the context that a request asks for.
func (s *FetchSessions) open(req *kmsg.FetchRequest) (*fetchContext, *kerr.Error) {
	switch req.SessionEpoch {
	case sessionless, newSession:
		if req.SessionID != 0 {
			s.remove(req.SessionID)
		}
		c := &fetchContext{parts: requested(req)}
		if req.SessionEpoch == newSession && req.Version >= 7 {
			c.session = s.create(req, c)
		}
		return c, nil
	}
	return s.resume(req)
}

// requested are the partitions that a request itself names.
func requested(req *kmsg.FetchRequest) []*fetchPartition {
	topics := merged(req.Topics,
		func(t *kmsg.FetchRequestTopic) byName { return byName{t.Topic, t.TopicID} },
		func(t *kmsg.FetchRequestTopic) *[]kmsg.FetchRequestTopicPartition { return &t.Partitions },
		func(p *kmsg.FetchRequestTopicPartition) int32 { return p.Partition })
	n := 0
	for i := range topics {
		n += len(topics[i].Partitions)
	}
	all := make([]fetchPartition, n)
	parts := make([]*fetchPartition, n)
	n = 0
	for i := range topics {
		t := &topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			all[n] = fetchPartition{topic: t.Topic, id: t.TopicID, byID: req.Version >= 13, partition: p.Partition, offset: p.FetchOffset,
				maxBytes: p.PartitionMaxBytes, epoch: p.CurrentLeaderEpoch, lastEpoch: p.LastFetchedEpoch, toldWatermark: -1, toldStart: -1}
			if req.Version < 9 || p.CurrentLeaderEpoch < 0 {
				all[n].epoch = replication.NoEpoch
			}
			if req.Version < 12 || p.LastFetchedEpoch < 0 {
				all[n].lastEpoch = replication.NoEpoch
			}
			parts[n] = &all[n]
			n++
		}
	}
	return parts
}

func (p *fetchPartition) key() fetchKey {
	if p.byID {
		return fetchKey{id: p.id, partition: p.partition}
	}
	return fetchKey{topic: p.topic, partition: p.partition}
}

// create makes room for a session and puts the context's partitions into it; nil when there is no room.
func (s *FetchSessions) create(req *kmsg.FetchRequest, c *fetchContext) *fetchSession {
	if len(c.parts) > s.most {
		return nil
	}
	now := s.clock.Now()
	n := &fetchSession{epoch: sessionFirst, byID: req.Version >= 13, created: now, used: now,
		privileged: req.ReplicaID >= 0 || req.Version >= 15 && req.ReplicaState.ID >= 0,
		index:      make(map[fetchKey]*fetchPartition, len(c.parts))}
	n.add(c.parts)
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.byID) >= s.slots || s.held+len(n.order) > s.most {
		if !s.evictLocked(n, now) {
			return nil
		}
	}
	for n.id == 0 || s.byID[n.id] != nil {
		n.id = rand.Int32N(math.MaxInt32-1) + 1
	}
	s.byID[n.id] = n
	s.countLocked(n)
	c.sessionID = n.id
	return n
}

// evictLocked drops a session for a new one: the one idle for longest if that is too long, else the one that is worth least
// of those that may go, if it is worth less than the new one. A session may go when it has had its time; for a follower's a
// consumer's may at any time.
func (s *FetchSessions) evictLocked(n *fetchSession, now time.Time) bool {
	var oldest, smallest *fetchSession
	for _, e := range s.byID {
		if oldest == nil || e.used.Before(oldest.used) {
			oldest = e
		}
		mayGo := now.Sub(e.created) > sessionIdle || n.privileged && !e.privileged
		if mayGo && e.less(n) && (smallest == nil || e.less(smallest)) {
			smallest = e
		}
	}
	switch {
	case oldest != nil && now.Sub(oldest.used) > sessionIdle:
		s.removeLocked(oldest)
	case smallest != nil:
		s.removeLocked(smallest)
	default:
		return false
	}
	return true
}

func (f *fetchSession) less(g *fetchSession) bool {
	if f.privileged != g.privileged {
		return !f.privileged
	}
	return f.size.Load() < g.size.Load()
}

func (s *FetchSessions) remove(id int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.byID[id]; f != nil {
		s.removeLocked(f)
	}
}

func (s *FetchSessions) removeLocked(f *fetchSession) {
	delete(s.byID, f.id)
	s.held -= f.counted
	f.counted = 0
}

// countLocked takes note of how many partitions a session has now. False says that it is gone.
func (s *FetchSessions) countLocked(f *fetchSession) bool {
	if s.byID[f.id] != f {
		return false
	}
	n := int(f.size.Load())
	s.held += n - f.counted
	f.counted = n
	return true
}

// resume takes up a session where the client left it.
func (s *FetchSessions) resume(req *kmsg.FetchRequest) (*fetchContext, *kerr.Error) {
	s.mu.Lock()
	f := s.byID[req.SessionID]
	s.mu.Unlock()
	if f == nil || req.SessionID == 0 {
		return nil, kerr.FetchSessionIDNotFound
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.epoch != req.SessionEpoch {
		return nil, kerr.InvalidFetchSessionEpoch
	}
	if f.byID != (req.Version >= 13) {
		return nil, kerr.FetchSessionTopicIDError
	}
	f.epoch = nextEpoch(f.epoch)
	f.add(requested(req))
	f.forget(req)
	if !s.touch(f) {
		return nil, kerr.FetchSessionIDNotFound
	}
	if len(f.order) == 0 {
		s.remove(f.id)
		return &fetchContext{incremental: true}, nil
	}
	// The request works on copies: a late answer must not see what the next request asks for.
	parts := make([]*fetchPartition, len(f.order))
	copies := make([]fetchPartition, len(f.order))
	for i, p := range f.order {
		copies[i] = *p
		parts[i] = &copies[i]
	}
	return &fetchContext{parts: parts, session: f, sessionID: f.id, incremental: true}, nil
}

// touch notes that a session is in use, and what it holds; a request that is refused does not keep it. False says that it has come to
// hold more than there is room for, and is gone: its client asks for another.
func (s *FetchSessions) touch(f *fetchSession) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.used = s.clock.Now()
	if s.countLocked(f) && s.held > s.most {
		s.removeLocked(f)
		return false
	}
	return true
}

func nextEpoch(e int32) int32 {
	if e == math.MaxInt32 {
		return sessionFirst
	}
	return e + 1
}

func (f *fetchSession) add(parts []*fetchPartition) {
	for _, p := range parts {
		if old := f.index[p.key()]; old != nil {
			p.toldWatermark, p.toldStart = old.toldWatermark, old.toldStart
			*old = *p
			continue
		}
		q := *p
		f.index[q.key()] = &q
		f.order = append(f.order, &q)
	}
	f.size.Store(int32(len(f.order)))
}

func (f *fetchSession) forget(req *kmsg.FetchRequest) {
	dropped := false
	for _, t := range req.ForgottenTopics {
		for _, id := range t.Partitions {
			k := (&fetchPartition{topic: t.Topic, id: t.TopicID, byID: f.byID, partition: id}).key()
			if f.index[k] != nil {
				delete(f.index, k)
				dropped = true
			}
		}
	}
	if !dropped {
		return
	}
	kept := f.order[:0]
	for _, p := range f.order {
		if f.index[p.key()] == p {
			kept = append(kept, p)
		}
	}
	clear(f.order[len(kept):])
	f.order = kept
	f.size.Store(int32(len(f.order)))
}

// news says whether a response has to tell of a partition, which the session then remembers: an incremental one leaves out
// what the client knows.
func (c *fetchContext) news(a *fetchedPartition) bool {
	f := c.session
	if f == nil {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.index[a.source.key()]
	news := a.size() > 0 || a.code != 0 || a.divergingEnd >= 0
	if p == nil {
		return news || !c.incremental
	}
	if p.toldWatermark != a.highWatermark || p.toldStart != a.logStart {
		p.toldWatermark, p.toldStart = a.highWatermark, a.logStart
		news = true
	}
	if a.code != 0 {
		// An error is told until it is over, and what follows it is news.
		p.toldWatermark = -1
	}
	p.served = a.size() > 0
	return news || !c.incremental
}

// close ends a response: partitions that it serves go to the end of the line.
func (c *fetchContext) close(r *fetchResponse) {
	r.session = c.sessionID
	f := c.session
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var back []*fetchPartition
	front := f.order[:0]
	for _, p := range f.order {
		if p.served {
			p.served = false
			back = append(back, p)
		} else {
			front = append(front, p)
		}
	}
	f.order = append(front, back...)
}
