package group

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/runtime"
	"barnabas/protocol/record"
	"barnabas/replication/cluster"
)

// committed is a committed offset.
type committed struct {
	offset      int64
	leaderEpoch int32 // -1 unknown
	metadata    string
	timestamp   int64 // of the commit, ms since 1970
	expires     int64 // ms since 1970, -1 for the broker's rule (KIP-211)
	at          int64 // offset of the record in __consumer_offsets
}

// commitKind is the header of batches of commits: Kafka gives them a first sequence of 0 even without a producer.
var commitKind = runtime.Kind{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: 0}

// commit stores offsets. Offsets whose metadata are too long are refused one by one; the rest is all or nothing.
func (m *machine) commit(r *CommitRequest, p *runtime.Promise[CommitResult]) {
	g := m.groups[r.Group]
	if g == nil {
		if r.Generation >= 0 {
			p.Resolve(r.allFail(kerr.IllegalGeneration))
			return
		}
		g = m.create(r.Group)
	}
	mb, err := g.checkCommit(r, m.o.image())
	if err != nil {
		p.Resolve(r.allFail(err))
		return
	}
	if mb != nil {
		// A member may commit while the group prepares a rebalance: that is when consumers do.
		m.expect(g, mb, mb.sessionTimeout)
	}
	res, records := m.commitRecords(g, r)
	if err := m.host.Write(commitKind, records...); err != nil {
		p.Resolve(r.allFail(commitError(err)))
		m.dropBare(g)
		return
	}
	p.Resolve(res)
}

// checkCommit says who commits: a member, or (nil) somebody who only keeps offsets here, which an empty group allows.
func (g *group) checkCommit(r *CommitRequest, image *cluster.Image) (*member, *kerr.Error) {
	if g.consumer != nil {
		return nil, g.consumer.checkCommit(r, image)
	}
	if r.Generation < 0 && g.state == Empty {
		return nil, nil
	}
	if r.Generation < 0 && r.Member == "" && r.Instance == nil {
		return nil, kerr.UnknownMemberID
	}
	mb, err := g.check(r.Member, r.Instance)
	switch {
	case err != nil:
		return nil, err
	case r.Generation != g.generation:
		return nil, kerr.IllegalGeneration
	case g.state == CompletingRebalance:
		return nil, kerr.RebalanceInProgress
	}
	return mb, nil
}

// commitRecords makes the records of a commit, but for the offsets whose metadata are too long.
func (m *machine) commitRecords(g *group, r *CommitRequest) (CommitResult, []runtime.Record) {
	now, expires := m.now(), int64(-1)
	if r.Retention != -1 {
		expires = now + r.Retention
	}
	var records []runtime.Record
	res := make(CommitResult, len(r.Topics))
	for i, t := range r.Topics {
		res[i] = make([]*kerr.Error, len(t.Partitions))
		for j, c := range t.Partitions {
			if javaLength(c.Metadata) > m.o.MaxMetadata || tooLong(c.Metadata) {
				res[i][j] = kerr.OffsetMetadataTooLarge
				continue
			}
			at := c.Timestamp
			if at == -1 {
				at = now
			}
			records = append(records, runtime.Record{
				Key: offsetKey(g.id, t.Topic, c.Partition),
				Value: offsetValue(committed{offset: c.Offset, leaderEpoch: c.LeaderEpoch, metadata: c.Metadata,
					timestamp: at, expires: expires}),
			})
		}
	}
	return res, records
}

func (r *CommitRequest) allFail(err *kerr.Error) CommitResult {
	res := make(CommitResult, len(r.Topics))
	for i, t := range r.Topics {
		res[i] = make([]*kerr.Error, len(t.Partitions))
		for j := range res[i] {
			res[i][j] = err
		}
	}
	return res
}

// commitError is what a client is told when its commit cannot be written.
func commitError(err error) *kerr.Error {
	var ke *kerr.Error
	if !errors.As(err, &ke) {
		return kerr.UnknownServerError
	}
	switch ke {
	case kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidFetchSize:
		return kerr.InvalidCommitOffsetSize
	}
	return runtime.Refusal(err)
}
