package broker

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/replication/await"
	"barnabas/replication/cluster"
)

// Partitions are what a push gives roles to.
type Partitions interface {
	// Become makes this broker what the controller says for a partition. It is idempotent by leader epoch.
	Become(tp cluster.TopicPartition, id cluster.TopicID, st cluster.PartitionState) error
	// Stop takes the role from a partition, and with remove its data too.
	Stop(tp cluster.TopicPartition, remove bool) error
}

// TopicSettings are the settings that topics have of their own. When a topic is created, nothing but its node tells of them.
type TopicSettings interface {
	// Learn puts the settings of a topic into effect, before this broker takes a role in it. With fresh the topic has
	// just been created: what is known of an earlier one of that name is void.
	Learn(ctx context.Context, topic string, fresh bool) error
	// Forget drops the settings of a topic that is gone.
	Forget(topic string)
}

// Role is a role that a partition of this broker has taken.
type Role struct {
	Partition cluster.TopicPartition
	TopicID   cluster.TopicID
	State     cluster.PartitionState
}

// Change is what one push has changed.
type Change struct {
	Old, New *cluster.Image
	// Gone are the topics that New has no more, or has under another id, and those that the controller says are deleted
	// though Old did not have them: they went while this broker was away.
	Gone []*cluster.Topic
	// Roles are the roles that were taken, Stopped the partitions that are about to be let go.
	Roles   []Role
	Stopped []cluster.StopPartition
}

// Images is the one door by which the controller tells this broker something. A push is checked, its roles are taken,
// and only then the next picture of the cluster is published, so that whoever reads there of a leader finds it ready;
// partitions are let go after that, so that nobody finds one missing that the picture still shows. Pushes come one after
// the other.
type Images struct {
	self       int32
	epoch      func() int64
	partitions Partitions
	log        *zap.Logger

	mu        sync.Mutex // held while a push is worked in; guards listeners and settings
	listeners []func(Change)
	settings  TopicSettings

	current atomic.Pointer[cluster.Image]
	// version rises with every picture; who waits for one hangs a bell on it.
	version await.Level
}

// NewImages begins with a picture that knows only the cluster's id. epoch gives the broker epoch, the czxid of this
// broker's present registration.
func NewImages(self int32, clusterID string, epoch func() int64, partitions Partitions, log *zap.Logger) *Images {
	im := &Images{self: self, epoch: epoch, partitions: partitions, log: log}
	img := cluster.Empty()
	img.ClusterID = clusterID
	im.current.Store(img)
	return im
}

// Current is the present picture. Take it once for an operation.
func (im *Images) Current() *cluster.Image { return im.current.Load() }

// Await waits until the picture is as cond wants it. The error is the context's.
func (im *Images) Await(ctx context.Context, cond func(*cluster.Image) bool) error {
	bell := await.NewBell()
	for {
		hook := im.version.Hang(bell, im.version.Get()+1)
		if cond(im.Current()) {
			hook.Unhook()
			return nil
		}
		if !bell.Wait(ctx, nil) {
			hook.Unhook()
			return ctx.Err()
		}
	}
}

// Listen has f called after each push, in order, on the goroutine of the push, before the new picture is published and
// the push is answered. f must not wait for a picture.
func (im *Images) Listen(f func(Change)) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.listeners = append(im.listeners, f)
}

// LearnFrom has topics' settings learnt before roles are taken, and forgotten when a topic is gone.
func (im *Images) LearnFrom(s TopicSettings) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.settings = s
}

// Push works in what the controller says. Refusals: STALE_BROKER_EPOCH when it is meant for an earlier registration of
// this broker, STALE_CONTROLLER_EPOCH when it comes from a controller that has been replaced.
func (im *Images) Push(ctx context.Context, p cluster.Push) cluster.PushResult {
	im.mu.Lock()
	defer im.mu.Unlock()
	old := im.Current()
	switch {
	case p.BrokerEpoch >= 0 && p.BrokerEpoch < im.epoch():
		return cluster.PushResult{Err: kerr.StaleBrokerEpoch}
	case p.ControllerEpoch < old.ControllerEpoch:
		im.log.Warn("told something by a former controller", zap.Int32("broker", p.ControllerID), zap.Int32("controllerEpoch", p.ControllerEpoch))
		return cluster.PushResult{Err: kerr.StaleControllerEpoch}
	}
	change := Change{Old: old, Stopped: p.Stop}
	var result cluster.PushResult
	for _, t := range p.Roles {
		im.learn(ctx, old, t)
		im.takeRoles(t, &change, &result)
	}
	if more := len(result.Roles) - mostNotTaken; more > 0 {
		im.log.Warn("more roles not taken", zap.Int("count", more))
	}
	change.New, change.Gone = next(old, p)
	for _, f := range im.listeners {
		f(change)
	}
	im.current.Store(change.New)
	im.version.Advance(im.version.Get() + 1)
	im.stop(p.Stop, &result)
	for _, t := range change.Gone {
		if im.settings != nil && change.New.Topics[t.Name] == nil {
			im.settings.Forget(t.Name)
		}
	}
	return result
}

// learn makes sure that a topic's settings are known before a partition of it is opened with them.
func (im *Images) learn(ctx context.Context, old *cluster.Image, t cluster.TopicStates) {
	known := old.Topics[t.Topic]
	if im.settings == nil || known != nil && known.ID == t.ID {
		return
	}
	fresh := slices.ContainsFunc(t.Partitions, func(st cluster.PartitionState) bool { return st.IsNew })
	if err := im.settings.Learn(ctx, t.Topic, fresh); err != nil {
		im.log.Warn("settings of a topic cannot be read now, those of the broker hold for it meanwhile", zap.String("topic", t.Topic), zap.Error(err))
	}
}

// mostNotTaken is how many roles of a push that cannot be taken have a line of the log each: a failed disk may hold thousands.
const mostNotTaken = 10

// takeRoles gives partitions of a topic their roles.
func (im *Images) takeRoles(t cluster.TopicStates, change *Change, result *cluster.PushResult) {
	for _, st := range t.Partitions {
		tp := cluster.TopicPartition{Topic: t.Topic, Partition: st.ID}
		var err error
		if slices.Contains(st.Replicas, im.self) {
			err = im.partitions.Become(tp, t.ID, st)
		} else {
			err = kerr.UnknownTopicOrPartition
		}
		if err != nil {
			if len(result.Roles) < mostNotTaken {
				im.log.Warn("role not taken", zap.String("topic", tp.Topic), zap.Int32("partition", tp.Partition), zap.Error(err))
			}
			note(&result.Roles, tp, err)
			continue
		}
		change.Roles = append(change.Roles, Role{tp, t.ID, st})
	}
}

// stop lets partitions go.
func (im *Images) stop(stops []cluster.StopPartition, result *cluster.PushResult) {
	for _, s := range stops {
		tp := cluster.TopicPartition{Topic: s.Topic, Partition: s.ID}
		if err := im.partitions.Stop(tp, s.Delete); err != nil {
			im.log.Warn("partition not stopped", zap.String("topic", tp.Topic), zap.Int32("partition", tp.Partition), zap.Error(err))
			note(&result.Stop, tp, err)
		}
	}
}

func note(m *map[cluster.TopicPartition]error, tp cluster.TopicPartition, err error) {
	if *m == nil {
		*m = map[cluster.TopicPartition]error{}
	}
	(*m)[tp] = err
}

// next is the picture after a push, and the topics that it has no more.
func next(old *cluster.Image, p cluster.Push) (*cluster.Image, []*cluster.Topic) {
	if p.Brokers == nil && p.Update == nil {
		img := *old // shares the maps, which nobody edits
		img.ControllerID, img.ControllerEpoch = p.ControllerID, p.ControllerEpoch
		return &img, nil
	}
	img := old.Clone()
	img.ControllerID, img.ControllerEpoch = p.ControllerID, p.ControllerEpoch
	if p.Brokers != nil {
		img.Brokers = make(map[int32]*cluster.Broker, len(p.Brokers))
		for _, b := range p.Brokers {
			img.Brokers[b.ID] = b
		}
	}
	var gone []*cluster.Topic
	for _, states := range p.Update {
		was := old.Topics[states.Topic]
		t := merge(was, states)
		switch {
		case was != nil && (t == nil || t.ID != was.ID):
			gone = append(gone, was)
		case was == nil && t == nil:
			gone = append(gone, unheardOf(states))
		}
		if t == nil {
			img.Remove(states.Topic)
		} else {
			img.Put(t)
		}
	}
	return img, gone
}

// maxPartitionID bounds what a controller can make this broker allocate; no node of the store holds that many partitions.
const maxPartitionID = 1 << 20

// unheardOf is a topic of which nothing is known but that partitions of it are deleted.
func unheardOf(states cluster.TopicStates) *cluster.Topic {
	t := &cluster.Topic{Name: states.Topic, ID: states.ID}
	for _, st := range states.Partitions {
		if st.Leader == cluster.LeaderDeleted && st.ID >= int32(len(t.Partitions)) && st.ID <= maxPartitionID {
			t.Partitions = make([]*cluster.Partition, st.ID+1)
		}
	}
	return t
}

// merge is a topic after an update of some of its partitions; nil when none is left.
func merge(was *cluster.Topic, states cluster.TopicStates) *cluster.Topic {
	t := &cluster.Topic{Name: states.Topic, ID: states.ID}
	if was != nil && (states.ID == was.ID || states.ID == cluster.TopicID{}) {
		t.ID = was.ID
		t.Partitions = slices.Clone(was.Partitions)
	}
	for i := range states.Partitions {
		st := &states.Partitions[i]
		gone := st.Leader == cluster.LeaderDeleted
		if st.ID < 0 || st.ID > maxPartitionID || gone && int(st.ID) >= len(t.Partitions) {
			continue
		}
		if missing := int(st.ID) + 1 - len(t.Partitions); missing > 0 {
			t.Partitions = append(t.Partitions, make([]*cluster.Partition, missing)...)
		}
		if t.Partitions[st.ID] = nil; !gone {
			part := st.Partition
			t.Partitions[st.ID] = &part
		}
	}
	last := len(t.Partitions)
	for last > 0 && t.Partitions[last-1] == nil {
		last--
	}
	if t.Partitions = t.Partitions[:last]; last == 0 {
		return nil
	}
	return t
}
