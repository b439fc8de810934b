package api

// Fetch (key 1)
//
//	v1  throttle time (KIP-13)
//	v2  message format 1 (KIP-32)
//	v3  max bytes; partitions are served in the order of the request, the first batch whole (KIP-74)
//	v4  isolation level, last stable offset, aborted transactions; message format 2 (KIP-98)
//	v5  log start offset (KIP-107)
//	v7  fetch sessions (KIP-227)
//	v9  the leader epoch that the client knows (KIP-320)
//	v10 zstd (KIP-110)
//	v11 rack and preferred read replica (KIP-392)
//	v12 tagged fields; last fetched epoch and diverging epoch (KIP-482, KIP-595)
//	v13 topic ids (KIP-516)
//	v15 replica id and epoch as a tagged field (KIP-903)
//	v16 endpoints of the current leader (KIP-951)
//	v17 the follower's directory (KIP-853)
//	v18 the follower's high watermark (KIP-1166)

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication"
	"barnabas/replication/await"
	"barnabas/replication/cluster"
)

// fetch is one request while it is answered.
type fetch struct {
	data      *Data
	version   int16
	listener  string
	isolation replication.Isolation
	replica   int32
	minBytes  int
	maxBytes  int
	maxWait   time.Duration
	context   *fetchContext
	converts  conversions
}

// Fetch resolves the session at once and answers when there is enough, something to tell, or the time is up.
func (d *Data) Fetch(c *Call, req *fetchRequest) Reply {
	defer req.free()
	f := &fetch{
		data:      d,
		version:   req.Version,
		listener:  c.Listener,
		isolation: isolation(req.IsolationLevel),
		replica:   req.ReplicaID,
		maxBytes:  min(int(req.MaxBytes), d.FetchMaxBytes),
		maxWait:   time.Duration(req.MaxWaitMillis) * time.Millisecond,
		converts:  conversions{turn: c.turn()},
	}
	if req.Version >= 15 {
		f.replica = req.ReplicaState.ID
	}
	if f.replica < -1 {
		f.isolation = replication.Everything
	}
	if req.Version < 3 {
		f.maxBytes = d.FetchMaxBytes
	}
	f.minBytes = min(int(req.MinBytes), f.maxBytes)
	var refusal *kerr.Error
	if f.context, refusal = d.Sessions.open(&req.FetchRequest); refusal != nil {
		return Done(&fetchResponse{version: req.Version, code: refusal.Code})
	}
	if unknownIsolation(req.IsolationLevel) && f.finds() {
		return Done(refusedFetch(&req.FetchRequest, kerr.UnknownServerError))
	}
	if len(f.context.parts) == 0 || f.maxWait <= 0 || f.ready() {
		return Done(f.respond())
	}
	if f.context.incremental {
		return Later(f.wait).Holding(len(f.context.parts) * sessionPartition)
	}
	return Later(f.wait)
}

// unknownIsolation says that Kafka stumbles over an isolation level, once it gets to reading.
func unknownIsolation(level int8) bool { return level != 0 && level != 1 }

// finds says whether there is anything to read from.
func (f *fetch) finds() bool {
	img := f.data.Images.Current()
	for _, fp := range f.context.parts {
		switch _, refusal := f.find(img, fp); refusal {
		case kerr.UnknownTopicID, kerr.UnknownTopicOrPartition:
		default:
			return true
		}
	}
	return false
}

// refusedFetch answers a whole request with an error: by itself where there is room for that, before version 13 also in
// each partition that the request names.
func refusedFetch(req *kmsg.FetchRequest, why *kerr.Error) *fetchResponse {
	resp := &fetchResponse{version: req.Version, code: why.Code, session: req.SessionID}
	if req.Version < 13 {
		for _, fp := range requested(req) {
			resp.parts = append(resp.parts, refused(fp, why))
		}
	}
	return resp
}

func isolation(level int8) replication.Isolation {
	if level == 1 {
		return replication.Committed
	}
	return replication.Uncommitted
}

// wait is the sleep between looks.
func (f *fetch) wait(ctx context.Context) Response {
	bell := await.NewBell()
	deadline := f.data.Clock.After(f.maxWait)
	hooks := make([]await.Hook, len(f.context.parts))
	for {
		for i, fp := range f.context.parts {
			if p := f.data.Partitions.Get(fp.topic, fp.partition); p != nil {
				level := p.Level(f.isolation)
				level.HangOn(&hooks[i], bell, max(level.Get(), fp.offset)+1)
			}
		}
		done := f.ready() || !bell.Wait(ctx, deadline)
		for i := range hooks {
			hooks[i].Unhook()
		}
		if ctx.Err() != nil {
			return nil
		}
		if done {
			return f.respond()
		}
	}
}

// ready says whether the answer need not be waited for: enough bytes, or something that the client must hear at once.
// It touches no disk.
func (f *fetch) ready() bool {
	img := f.data.Images.Current()
	sum := 0
	for _, fp := range f.context.parts {
		p, refusal := f.find(img, fp)
		if refusal != nil {
			return true
		}
		if p.Position(fp.offset) != nil || f.diverges(p, fp) {
			return true
		}
		limit := int(fp.maxBytes)
		if limit < 0 && p.Bound(f.isolation) > fp.offset {
			return true
		}
		if sum == 0 && f.version >= 3 {
			limit = max(limit, 1) // the first batch comes whole, whatever the limit
		}
		sum += p.Available(fp.offset, f.isolation, limit)
		if sum >= f.minBytes {
			return true
		}
	}
	return false
}

// find gives the partition to read from, or the error that stands in its place.
func (f *fetch) find(img *cluster.Image, fp *fetchPartition) (*replication.Partition, *kerr.Error) {
	if fp.byID {
		t := img.ByID[fp.id]
		if t == nil {
			return nil, kerr.UnknownTopicID
		}
		fp.topic = t.Name
	}
	p, known := f.data.partition(img, fp.topic, fp.partition)
	if !known {
		return nil, kerr.UnknownTopicOrPartition
	}
	if p == nil {
		return nil, kerr.NotLeaderForPartition
	}
	if err := p.CheckLeader(fp.epoch); err != nil {
		return nil, asKafka(err)
	}
	if f.replica >= 0 {
		// Replicas are served only to brokers that hold one, and this broker has no followers yet.
		return nil, kerr.NotLeaderForPartition
	}
	if s := p.Settings(); s.ZstdOnly && f.version < 10 {
		return nil, kerr.UnsupportedCompressionType
	} else if f.version < 4 && !s.Downconvert {
		return nil, kerr.UnsupportedVersion
	}
	return p, nil
}

// diverges says whether the reader's last epoch is not one that this log went through up to the fetch offset.
func (f *fetch) diverges(p *replication.Partition, fp *fetchPartition) bool {
	if fp.lastEpoch < 0 {
		return false
	}
	epoch, end := p.Log().EpochEnd(fp.lastEpoch)
	return epoch < fp.lastEpoch || end < fp.offset
}

// respond reads what is there now.
func (f *fetch) respond() Response {
	img := f.data.Images.Current()
	resp := &fetchResponse{version: f.version}
	if !f.context.incremental {
		resp.parts = make([]fetchedPartition, 0, len(f.context.parts))
	}
	left, first := f.maxBytes, f.version >= 3
	for _, fp := range f.context.parts {
		a := f.read(img, fp, left, first)
		n := a.size()
		left, first = max(left-n, 0), first && n == 0
		if !f.context.news(&a) {
			continue // which has no records
		}
		resp.parts = append(resp.parts, a)
		if f.version >= 16 && (a.code == kerr.NotLeaderForPartition.Code || a.code == kerr.FencedLeaderEpoch.Code) {
			r := &resp.parts[len(resp.parts)-1]
			resp.brokers = tellLeader(img, f.listener, fp.topic, fp.partition, &r.leaderID, &r.leaderEpoch, resp.brokers)
		}
	}
	f.context.close(resp)
	return resp
}

// read answers for one partition.
func (f *fetch) read(img *cluster.Image, fp *fetchPartition, left int, whole bool) fetchedPartition {
	a := fetchedPartition{source: fp, highWatermark: -1, lastStable: -1, logStart: -1, leaderID: -1, leaderEpoch: -1,
		divergingEpoch: -1, divergingEnd: -1}
	p, refusal := f.find(img, fp)
	if refusal != nil {
		switch refusal {
		case kerr.UnsupportedCompressionType, kerr.UnsupportedVersion:
			return refused(fp, refusal)
		case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID:
			a.aborted = []replication.AbortedTxn{}
		}
		return a.failed(refusal)
	}
	log := p.Log()
	// The log start is read before the watermark: what DeleteRecords raises past it between the two is then at most as
	// high as the watermark that the client sees.
	a.logStart = log.Start()
	a.lastStable = p.LastStable().Get() // first, as it is never above the watermark
	a.highWatermark = p.HighWatermark().Get()
	if f.diverges(p, fp) {
		if latest, ok := log.LatestEpoch(); !ok || fp.lastEpoch > latest || fp.offset < a.logStart {
			return a.failed(kerr.OffsetOutOfRange)
		}
		a.divergingEpoch, a.divergingEnd = log.EpochEnd(fp.lastEpoch)
		return a
	}
	limit := min(int(fp.maxBytes), left)
	slice, err := p.Read(fp.offset, f.isolation, max(limit, 0), whole)
	switch {
	case err != nil:
		return a.failed(asKafka(err))
	case limit < 0 && fp.offset < p.Bound(f.isolation):
		slice.Release()
		return a.failed(kerr.UnknownServerError) // what Kafka makes of it when it gets to the segment
	case slice.Cut && f.version >= 3:
		// Part of a batch is of no use: there is room for it in another response. Older clients learn from it that they
		// must ask for more.
		slice.Release()
		slice = noRecords
	}
	a.records = slice
	if f.isolation == replication.Committed {
		// A list without entries is not null: the reader learns that nothing is to be left out. It covers what was read, which
		// may be more than the last stable offset of a moment ago, and is mostly far less than all the log.
		a.aborted = append([]replication.AbortedTxn{}, log.Aborted(fp.offset, slice.Below)...)
	}
	if f.version < 4 && slice.Len() > 0 {
		return f.convert(a, fp)
	}
	return a
}
