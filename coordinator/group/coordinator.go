package group

import (
	"context"
	"encoding/base64"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/runtime"
	"barnabas/protocol/record/codec"
	"barnabas/replication/cluster"
	"barnabas/storage/clock"
)

// Options are the settings of a coordinator. Defaults has Kafka's; Clock, Logger and Partitions must be set.
type Options struct {
	Clock  clock.Clock
	Logger *zap.Logger
	// Partitions is how many partitions __consumer_offsets has, or will have.
	Partitions func() int32

	MinSession, MaxSession int32 // ms: group.min.session.timeout.ms, group.max.session.timeout.ms
	MaxSize                int   // members: group.max.size
	InitialDelay           int32 // ms: group.initial.rebalance.delay.ms

	MaxMetadata    int           // UTF-16 units: offset.metadata.max.bytes
	Retention      time.Duration // offsets.retention.minutes
	RetentionCheck time.Duration // offsets.retention.check.interval.ms; 0 never looks
	CommitTimeout  time.Duration // offsets.commit.timeout.ms
	LoadBytes      int           // offsets.load.buffer.size
	Codec          codec.Type    // offsets.topic.compression.codec

	// Consumer are the settings of the consumer protocol, Image the picture of the cluster in which its topics are looked up; nil is
	// an empty one.
	Consumer ConsumerOptions
	Image    func() *cluster.Image

	// NewMemberID makes an id that nobody has, beginning with a client id or instance id. nil is prefix-uuid.
	NewMemberID func(prefix string) string
}

// Defaults are Kafka's settings.
func Defaults() Options {
	return Options{
		MinSession: 6000, MaxSession: 1800000, MaxSize: math.MaxInt32, InitialDelay: 3000,
		MaxMetadata: 4096, Retention: 7 * 24 * time.Hour, RetentionCheck: 10 * time.Minute,
		CommitTimeout: 5 * time.Second, LoadBytes: 5 << 20, Consumer: ConsumerDefaults(),
	}
}

// Coordinator coordinates the groups whose partition of __consumer_offsets this broker leads. Its methods may be called from any
// goroutine; they post the request and return a promise. Requests must not alias buffers that are used again.
//
// The errors of a promise, besides the context's: INVALID_GROUP_ID, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR,
// COORDINATOR_NOT_AVAILABLE (too few in-sync replicas), REQUEST_TIMED_OUT (not replicated in time).
type Coordinator struct {
	o  Options
	rt *runtime.Runtime
}

// New makes a coordinator that leads nothing yet.
func New(o Options) *Coordinator {
	if o.NewMemberID == nil {
		o.NewMemberID = func(prefix string) string { return prefix + "-" + uuid.NewString() }
	}
	if len(o.Consumer.Assignors) == 0 {
		o.Consumer.Assignors = ConsumerDefaults().Assignors
	}
	c := &Coordinator{o: o}
	c.rt = runtime.New(runtime.Options{
		Topic: cluster.OffsetsTopic, Clock: o.Clock, Logger: o.Logger, CommitTimeout: o.CommitTimeout, LoadBytes: o.LoadBytes,
		Codec: o.Codec, New: func(s *runtime.Scope) runtime.Machine { return newMachine(&c.o, s) },
	})
	return c
}

// Lead begins to coordinate the groups of a partition, whose log is loaded in the background; see runtime.Runtime.Lead.
func (c *Coordinator) Lead(partition, epoch int32, log runtime.Log) { c.rt.Lead(partition, epoch, log) }

// Resign ends that; epoch -1 in any case.
func (c *Coordinator) Resign(partition, epoch int32) { c.rt.Resign(partition, epoch) }

// Close resigns from everything and waits for the shards to end.
func (c *Coordinator) Close() { c.rt.Close() }

// PartitionFor is the partition that a group belongs to.
func (c *Coordinator) PartitionFor(group string) int32 { return PartitionFor(group, c.o.Partitions()) }

// MaxMetadata is the longest metadata of a commit, in UTF-16 units.
func (c *Coordinator) MaxMetadata() int { return c.o.MaxMetadata }

// named refuses ids that no record can hold, and, for conversations of members, the empty one.
func named(group string, emptyToo bool) error {
	if group == "" && !emptyToo || tooLong(group) {
		return kerr.InvalidGroupID
	}
	return nil
}

// Join asks for membership. The answer may take as long as a rebalance.
func (c *Coordinator) Join(r JoinRequest) *runtime.Promise[JoinResult] {
	if err := named(r.Group, false); err != nil {
		return runtime.Refused[JoinResult](err)
	}
	if !r.storable() {
		return runtime.Refused[JoinResult](kerr.UnknownServerError)
	}
	return runtime.Do(c.rt, c.PartitionFor(r.Group), func(m *machine, p joinPromise) { m.join(&r, p) })
}

// storable says whether the records of the group could hold what the member says of itself.
func (r *JoinRequest) storable() bool {
	const idSuffix = 37 // "-" and a UUID
	if tooLong(r.ProtocolType, r.Client.Host) || len(r.Client.ID)+idSuffix > math.MaxInt16 ||
		r.Instance != nil && len(*r.Instance)+idSuffix > math.MaxInt16 {
		return false
	}
	for _, p := range r.Protocols {
		if tooLong(p.Name) {
			return false
		}
	}
	return true
}

// Sync asks for the member's assignment. While the partition is loading the rebalance that it belongs to is lost, so the
// member is told to join again (older clients do not expect COORDINATOR_LOAD_IN_PROGRESS here).
func (c *Coordinator) Sync(r SyncRequest) *runtime.Promise[SyncResult] {
	if err := named(r.Group, false); err != nil {
		return runtime.Refused[SyncResult](err)
	}
	p := runtime.Do(c.rt, c.PartitionFor(r.Group), func(m *machine, p *runtime.Promise[SyncResult]) { m.sync(&r, p) })
	if p.Refusal() == kerr.CoordinatorLoadInProgress {
		return runtime.Refused[SyncResult](kerr.RebalanceInProgress)
	}
	return p
}

// Heartbeat keeps a member alive; the reply is nil or why not. While the partition is loading all is well: sessions begin anew
// when it is loaded.
func (c *Coordinator) Heartbeat(r HeartbeatRequest) *runtime.Promise[*kerr.Error] {
	if err := named(r.Group, false); err != nil {
		return runtime.Refused[*kerr.Error](err)
	}
	p := runtime.Read(c.rt, c.PartitionFor(r.Group), func(m *machine, p *runtime.Promise[*kerr.Error]) { m.heartbeat(&r, p) })
	if p.Refusal() == kerr.CoordinatorLoadInProgress {
		return runtime.Refused[*kerr.Error](nil)
	}
	return p
}

// ConsumerHeartbeat is the conversation of members of the consumer protocol. UNSUPPORTED_VERSION says that it is not served.
func (c *Coordinator) ConsumerHeartbeat(r ConsumerHeartbeatRequest) *runtime.Promise[ConsumerHeartbeatResult] {
	if !c.o.Consumer.Enabled {
		return runtime.Refused[ConsumerHeartbeatResult](kerr.UnsupportedVersion)
	}
	if bad := r.valid(c.o.Consumer.Assignors); bad != nil {
		return runtime.Answered(ConsumerHeartbeatResult{Err: bad.err, Message: bad.message})
	}
	if err := named(r.Group, false); err != nil {
		return runtime.Refused[ConsumerHeartbeatResult](err)
	}
	if !r.storable() {
		return runtime.Refused[ConsumerHeartbeatResult](kerr.InvalidRequest)
	}
	if r.Member == "" {
		id := uuid.New()
		r.Member = base64.RawURLEncoding.EncodeToString(id[:])
	}
	return runtime.Do(c.rt, c.PartitionFor(r.Group), func(m *machine, p *runtime.Promise[ConsumerHeartbeatResult]) {
		m.consumerHeartbeat(&r, p)
	})
}

// DescribeConsumer shows a group of the consumer protocol. UNSUPPORTED_VERSION says that it is not served, *Larger that it has more
// than so many members, eight partitions of one counting as another.
func (c *Coordinator) DescribeConsumer(group string, most int) *runtime.Promise[ConsumerDescriptionResult] {
	if !c.o.Consumer.Enabled {
		return runtime.Refused[ConsumerDescriptionResult](kerr.UnsupportedVersion)
	}
	if err := named(group, true); err != nil {
		return runtime.Refused[ConsumerDescriptionResult](err)
	}
	return runtime.Read(c.rt, c.PartitionFor(group), func(m *machine, p *runtime.Promise[ConsumerDescriptionResult]) {
		m.describeConsumer(group, most, p)
	})
}

// Leave removes members; the reply has an error (or nil) for each.
func (c *Coordinator) Leave(group string, leaving []Leaving) *runtime.Promise[[]*kerr.Error] {
	if err := named(group, false); err != nil {
		return runtime.Refused[[]*kerr.Error](err)
	}
	return runtime.Do(c.rt, c.PartitionFor(group), func(m *machine, p *runtime.Promise[[]*kerr.Error]) {
		m.leave(group, leaving, p)
	})
}

// Commit stores offsets.
func (c *Coordinator) Commit(r CommitRequest) *runtime.Promise[CommitResult] {
	if err := named(r.Group, true); err != nil {
		return runtime.Refused[CommitResult](err)
	}
	return runtime.Do(c.rt, c.PartitionFor(r.Group), func(m *machine, p *runtime.Promise[CommitResult]) { m.commit(&r, p) })
}

// FetchAs is Fetch for a member of a consumer group, in its epoch (version 9): UNKNOWN_MEMBER_ID and STALE_MEMBER_EPOCH
// (ILLEGAL_GENERATION for a member of the classic protocol) if it is not. Without a member id and with a negative epoch, and in
// groups of the classic protocol, anybody may ask.
func (c *Coordinator) FetchAs(group string, member *string, epoch int32, partitions []TopicPartition, stable bool, most int) *runtime.Promise[[]Offset] {
	if err := named(group, true); err != nil {
		return runtime.Refused[[]Offset](err)
	}
	return runtime.Read(c.rt, c.PartitionFor(group), func(m *machine, p *runtime.Promise[[]Offset]) {
		if err := m.mayFetch(group, member, epoch); err != nil {
			p.Fail(err)
			return
		}
		m.fetch(group, partitions, stable, most, p)
	})
}

// Fetch gives committed offsets, in the order of partitions; nil asks for all. *Larger says that they are more than most.
func (c *Coordinator) Fetch(group string, partitions []TopicPartition, stable bool, most int) *runtime.Promise[[]Offset] {
	if err := named(group, true); err != nil {
		return runtime.Refused[[]Offset](err)
	}
	return runtime.Read(c.rt, c.PartitionFor(group), func(m *machine, p *runtime.Promise[[]Offset]) {
		m.fetch(group, partitions, stable, most, p)
	})
}

// Describe shows a group, nil if it does not exist. *Larger says that it has more than so many members.
func (c *Coordinator) Describe(group string, most int) *runtime.Promise[*Description] {
	if err := named(group, true); err != nil {
		return runtime.Refused[*Description](err)
	}
	return runtime.Read(c.rt, c.PartitionFor(group), func(m *machine, p *runtime.Promise[*Description]) {
		m.describe(group, most, p)
	})
}

// Size is how many groups there are in the led partitions. The error is the context's.
func (c *Coordinator) Size(ctx context.Context) (n int, err error) {
	sizes, err := everywhere(ctx, c, func(m *machine, p *runtime.Promise[int]) { p.Resolve(len(m.groups)) })
	for _, some := range sizes {
		n += some
	}
	return n, ctx.Err()
}

// List shows the groups of all led partitions. The error is COORDINATOR_LOAD_IN_PROGRESS, with what is loaded, while a partition
// is loading; the context's, with nothing.
func (c *Coordinator) List(ctx context.Context, states, types []string) ([]Overview, error) {
	lists, err := everywhere(ctx, c, func(m *machine, p *runtime.Promise[[]Overview]) { m.list(states, types, p) })
	return slices.Concat(lists...), err
}

// everywhere asks all led partitions. The error is as that of List.
func everywhere[R any](ctx context.Context, c *Coordinator, f func(*machine, *runtime.Promise[R])) (answers []R, err error) {
	var waits []*runtime.Promise[R]
	for _, partition := range c.rt.Partitions() {
		waits = append(waits, runtime.Read(c.rt, partition, f))
	}
	var incomplete error
	for _, p := range waits {
		some, err := p.Await(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, kerr.NotCoordinator): // resigned meanwhile: another broker has them
		case err != nil:
			incomplete = kerr.CoordinatorLoadInProgress
		default:
			answers = append(answers, some)
		}
	}
	return answers, incomplete
}

// Delete removes a group without members; the reply is nil or why not.
func (c *Coordinator) Delete(group string) *runtime.Promise[*kerr.Error] {
	if err := named(group, true); err != nil {
		return runtime.Refused[*kerr.Error](err)
	}
	return runtime.Do(c.rt, c.PartitionFor(group), func(m *machine, p *runtime.Promise[*kerr.Error]) { m.delete(group, p) })
}

// DeleteOffsets removes committed offsets.
func (c *Coordinator) DeleteOffsets(group string, partitions []TopicPartition) *runtime.Promise[DeletedOffsets] {
	if err := named(group, false); err != nil {
		return runtime.Refused[DeletedOffsets](err)
	}
	return runtime.Do(c.rt, c.PartitionFor(group), func(m *machine, p *runtime.Promise[DeletedOffsets]) {
		m.deleteOffsets(group, partitions, p)
	})
}

// PartitionsDeleted erases what all groups here have committed of deleted partitions. It does not wait; a partition that is still
// loading sees to it when it is loaded.
func (c *Coordinator) PartitionsDeleted(deleted []cluster.TopicPartition) {
	if len(deleted) == 0 {
		return
	}
	gone := make(map[TopicPartition]bool, len(deleted))
	for _, tp := range deleted {
		gone[TopicPartition{tp.Topic, tp.Partition}] = true
	}
	for _, partition := range c.rt.Partitions() {
		runtime.Post(c.rt, partition, func(m *machine) { m.topicsGone(gone) })
	}
}
