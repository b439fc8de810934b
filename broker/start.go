package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"barnabas/broker/api"
	"barnabas/broker/config"
	"barnabas/coordinator/controller"
	"barnabas/coordinator/group"
	"barnabas/coordinator/store"
	"barnabas/coordinator/store/embedded"
	"barnabas/coordinator/store/zk"
	"barnabas/protocol/record/codec"
	"barnabas/replication"
	"barnabas/replication/cluster"
	"barnabas/storage"
	"barnabas/storage/checkpoint"
)

// embeddedStore is the name of the file in the first log dir that holds the store of a broker alone. Brokers ignore
// plain files there.
const embeddedStore = "coordination-store.db"

// registrationMargin is added to the session timeout when a predecessor's registration is waited for: a server expires
// sessions in steps of its tick time.
const registrationMargin = 5 * time.Second

// start does the steps of the package comment in order. What it has begun, shutDown ends.
func (b *Broker) start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		b.openDirs, b.openStore, b.identify, b.loadSettings, b.bind, b.loadLogs, b.joinCluster,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	b.logs.Start()
	serving, stop := context.WithCancel(b.ctx)
	b.stopServing = stop
	b.listeners.start(serving)
	return nil
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// openDirs locks the log dirs.
func (b *Broker) openDirs(context.Context) (err error) {
	c := b.settings.Broker()
	b.logs, err = storage.OpenDirs(storage.Options{
		FS:              b.fs,
		Clock:           b.clock,
		Logger:          b.log.Named("storage"),
		Dirs:            c.LogDirs,
		RecoveryThreads: c.NumRecoveryThreadsPerDataDir,
		FirstDelay:      milliseconds(c.LogInitialTaskDelayMs),
		RetentionCheck:  milliseconds(c.LogRetentionCheckIntervalMs),
		HighWatermarks:  milliseconds(c.ReplicaHighWatermarkCheckpointMs),
		RecoveryPoints:  milliseconds(c.LogFlushOffsetCheckpointMs),
		LogStarts:       milliseconds(c.LogFlushStartOffsetCheckpointMs),
		ProducerExpiry:  milliseconds(c.ProducerIDExpirationCheckIntervalMs),
		FlushCheck:      flushCheck(c),
		Cleaner:         cleanerConfig(c),
		OnDirFailed:     b.dirFailed,
		OnAllFailed:     func() { b.fail(errors.New("all log dirs have failed")) },
	})
	if err == nil {
		b.settings.OnChange(func(_, c *config.Broker) { b.logs.SetCleaner(cleanerConfig(c)) })
	}
	return err
}

// flushCheck is how often flush.ms is looked at: never, unless somebody has set it.
func flushCheck(c *config.Broker) time.Duration {
	const never = 1<<63 - 1
	if c.LogFlushSchedulerIntervalMs == never {
		return time.Second // topics may have flush.ms of their own; logs without one cost nothing
	}
	return milliseconds(c.LogFlushSchedulerIntervalMs)
}

// bind opens the listeners, which nobody accepts on yet: those of the settings that were changed while the broker ran, where
// there are such.
func (b *Broker) bind(context.Context) error {
	c := b.settings.Broker()
	limits, err := crowdLimitsOf(c)
	if err != nil {
		return err
	}
	b.crowd = newCrowd(b.clock, c.InterBrokerListener, c.QuotaWindowNum, time.Duration(c.QuotaWindowSizeSeconds)*time.Second, limits)
	memory := newRequestMemory(c.QueuedMaxRequestBytes)
	// As with its buffers, the system sizes a socket's backlog better unless the settings say what it is to be.
	backlog := 0
	if _, given := b.settings.Static().Given("socket.listen.backlog.size"); given {
		backlog = c.SocketListenBacklogSize
	}
	lim := b.limits(c)
	b.listeners = &listeners{backlog: backlog, crowd: b.crowd, log: b.log.Named("network"), make: func(l config.Listener, socket net.Listener) *server {
		removal, remove := context.WithCancel(b.ctx)
		return &server{
			listener: l.Name, at: l, socket: socket, crowd: b.crowd, clock: b.clock, log: b.log.Named("network"),
			limits: lim, memory: memory, removal: removal, remove: remove,
		}
	}}
	if err := b.listeners.set(c.Listeners); err != nil {
		if !slices.Equal(c.Listeners, b.settings.Static().Listeners()) {
			err = fmt.Errorf("%w (the settings that were changed while the broker ran, which are kept in the coordination store, count more than the file)", err)
		}
		return err
	}
	b.settings.OnChange(func(_, c *config.Broker) {
		if limits, err := crowdLimitsOf(c); err == nil {
			b.crowd.set(limits)
		} else {
			b.log.Warn("the limits of connections stay as they are", zap.Error(err))
		}
	})
	return nil
}

// limits are what holds for every connection. The system sizes socket buffers itself, and better, unless the settings
// say how large they are to be.
func (b *Broker) limits(c *config.Broker) limits {
	l := limits{requestMaxBytes: c.SocketRequestMaxBytes, idle: milliseconds(max(c.ConnectionsMaxIdleMs, 0))}
	if _, given := b.settings.Static().Given("socket.send.buffer.bytes"); given {
		l.sendBuffer = c.SocketSendBufferBytes
	}
	if _, given := b.settings.Static().Given("socket.receive.buffer.bytes"); given {
		l.receiveBuffer = c.SocketReceiveBufferBytes
	}
	return l
}

// openStore connects to ZooKeeper, or opens the embedded store.
func (b *Broker) openStore(ctx context.Context) error {
	c := b.settings.Broker()
	if !c.Alone() {
		s, err := zk.Connect(ctx, zk.Options{
			Servers:        c.ZooKeeperConnect,
			SessionTimeout: milliseconds(c.ZooKeeperSessionTimeoutMs),
			ConnectTimeout: milliseconds(c.ZooKeeperConnectionTimeoutMs),
			MaxInFlight:    c.ZooKeeperMaxInFlight,
			Logger:         b.log.Named("zookeeper"),
		})
		if err != nil {
			return err
		}
		b.store = s
		b.closers = append(b.closers, s.Close)
		return nil
	}
	db, err := embedded.Open(filepath.Join(c.LogDirs[0], embeddedStore), embedded.Options{Clock: b.clock})
	if errors.Is(err, store.ErrDisk) {
		return fmt.Errorf("the coordination store of a broker alone lies in its first log dir, and the disk of %s refuses writes: make room there (or mend it), and start again: %w",
			c.LogDirs[0], err)
	}
	if err != nil {
		return err
	}
	session := db.NewSession()
	b.store = session
	if b.wrapStore != nil {
		b.store = b.wrapStore(session)
	}
	b.closers = append(b.closers, session.Close, db.Close)
	return nil
}

// identify finds out which broker of which cluster this is, and writes it into the log dirs.
func (b *Broker) identify(ctx context.Context) error {
	c := b.settings.Broker()
	meta, found, err := b.logs.Meta()
	if err != nil {
		return err
	}
	if err := makePaths(ctx, b.store); err != nil {
		return err
	}
	if b.clusterID, err = clusterID(ctx, b.store, meta.ClusterID); err != nil {
		return err
	}
	if meta.ClusterID != "" && meta.ClusterID != b.clusterID {
		return fmt.Errorf("the log dirs belong to cluster %s (meta.properties), but the coordination store is that of cluster %s", meta.ClusterID, b.clusterID)
	}
	switch {
	case c.BrokerID >= 0 && found && meta.BrokerID >= 0 && meta.BrokerID != c.BrokerID:
		return fmt.Errorf("broker.id is %d, but the log dirs are those of broker %d (meta.properties)", c.BrokerID, meta.BrokerID)
	case c.BrokerID >= 0:
		b.self = c.BrokerID
	case found && meta.BrokerID >= 0:
		b.self = meta.BrokerID
	case c.BrokerIDGenerationEnable:
		if b.self, err = nextBrokerID(ctx, b.store, c.ReservedBrokerMaxID); err != nil {
			return err
		}
	default:
		return errors.New("broker.id is not set and broker.id.generation.enable is false")
	}
	b.settings.SetBrokerID(b.self)
	return b.logs.WriteMeta(checkpoint.Meta{BrokerID: b.self, ClusterID: b.clusterID, Rest: meta.Rest})
}

// loadSettings reads the settings that are kept in the store. They are followed once all is there that they act upon.
func (b *Broker) loadSettings(ctx context.Context) error {
	b.topics = newTopics(b.settings)
	watch := newSettingsWatch(b.store, b.clock, b.log.Named("settings"), b.applySettings)
	if err := watch.Load(ctx); err != nil {
		return err
	}
	b.watch = watch
	return nil
}

// applySettings puts an entity's settings into effect.
func (b *Broker) applySettings(kind, name string, settings map[string]string) {
	var errs []error
	switch kind {
	case store.ConfigTopics:
		b.topics.set(name, settings)
		if settings["unclean.leader.election.enable"] == "true" && b.controller != nil {
			b.controller.UncleanElectionAllowed(name)
		}
	case store.ConfigBrokers:
		switch name {
		case store.DefaultEntity:
			errs = b.settings.ApplyDefault(settings)
		case fmt.Sprint(b.self):
			errs = b.settings.ApplyBroker(settings)
		default:
			return
		}
		b.tellOfVain(name, settings)
	case store.ConfigGroups:
		group, err := store.Desanitize(name)
		if err != nil {
			errs = []error{err}
		} else {
			errs = b.settings.ApplyGroup(group, settings)
		}
	}
	for _, err := range errs {
		b.log.Warn("setting ignored", zap.String("type", kind), zap.String("name", name), zap.Error(err))
	}
}

// tellOfVain logs which settings of a broker entity that are new have no effect. Calls come one after the other.
func (b *Broker) tellOfVain(name string, settings map[string]string) {
	fresh := map[string]string{}
	for setting, value := range settings {
		if was, known := b.told[name][setting]; !known || was != value {
			fresh[setting] = value
		}
	}
	if b.told == nil {
		b.told = map[string]map[string]string{}
	}
	b.told[name] = settings
	for _, n := range b.settings.Notices(fresh) {
		level := zap.InfoLevel
		if n.Warn {
			level = zap.WarnLevel
		}
		b.log.Log(level, n.Text, zap.String("changedFor", name))
	}
}

// loadLogs opens what is in the log dirs.
func (b *Broker) loadLogs(ctx context.Context) error {
	return b.logs.Load(ctx, func(topic string) storage.Config { return b.topics.get(topic).Log })
}

// joinCluster registers the broker, stands for election and waits for the controller's first word.
func (b *Broker) joinCluster(ctx context.Context) error {
	if b.settings.Broker().Alone() {
		if err := b.adoptLogs(ctx); err != nil {
			return err
		}
	}
	c := b.settings.Broker()
	b.partitions = replication.NewManager(replication.Options{Self: b.self, Logs: b.logs, Clock: b.clock, Settings: b.topics.get})
	b.topics.follow(b.partitions.SetSettings, b.partitions.Each)
	b.settings.OnCheck(func(next *config.Broker) error { return b.listeners.check(next.Listeners) })
	b.settings.OnChange(b.brokerChanged)
	endpoints, err := b.endpoints(c)
	if err != nil {
		return err
	}
	b.registration = newRegistration(registrationOptions{
		Store: b.store, Clock: b.clock, Log: b.log.Named("registration"), ID: b.self,
		Info:     store.BrokerRegistration{Endpoints: endpoints, Rack: c.Rack, JMXPort: -1},
		Patience: milliseconds(c.ZooKeeperSessionTimeoutMs) + registrationMargin,
	})
	b.images = NewImages(b.self, b.clusterID, b.registration.Epoch, b.partitions, b.log.Named("images"))
	b.images.LearnFrom(b.watch)
	b.admin = controller.NewAdmin(controller.AdminOptions{
		Store: b.store, Self: b.self, Image: b.images.Current, Topics: b.settings, Logger: b.log.Named("admin"),
		Defaults: func() (int32, int16) {
			c := b.settings.Broker()
			return c.NumPartitions, c.DefaultReplicationFactor
		},
	})
	b.startGroups(c)
	b.controller = controller.New(controller.Options{
		Store: b.store, Self: b.self, Clock: b.clock, Pusher: b, Logger: b.log.Named("controller"),
		Settings: b.controllerSettings,
	})
	b.serve(c)
	b.running.Go(func() { _ = b.watch.Run(b.ctx) })
	return b.register(ctx)
}

// settled says whether a topic is known, and every partition that this broker can lead has a leader.
func (b *Broker) settled(t *cluster.Topic) bool {
	return t != nil && !slices.ContainsFunc(t.Partitions, func(p *cluster.Partition) bool {
		return p == nil || p.Leader < 0 && slices.Contains(p.ISR, b.self) && !slices.Contains(p.Offline, b.self)
	})
}

// brokerChanged acts on settings of the broker that changed while it runs, beyond what looks at them anew each time.
func (b *Broker) brokerChanged(old, now *config.Broker) {
	if now.UncleanLeaderElectionEnable && !old.UncleanLeaderElectionEnable {
		b.controller.UncleanElectionAllowed("")
	}
	b.logs.SetRecoveryThreads(now.NumRecoveryThreadsPerDataDir)
	if err := b.listeners.set(now.Listeners); err != nil {
		b.log.Error("listeners are not as the settings want them", zap.Error(err))
	}
	if slices.Equal(old.Advertised, now.Advertised) && slices.Equal(old.Listeners, now.Listeners) {
		return
	}
	endpoints, err := b.endpoints(now)
	if err == nil {
		err = b.registration.Update(b.ctx, endpoints)
	}
	if err != nil {
		b.log.Error("listeners have changed, but the registration has not", zap.Error(err))
	}
}

// endpointsPatience bounds how long a change of settings is not answered because the cluster has not heard of it.
const endpointsPatience = 5 * time.Second

// settingsChanged puts an entity's settings into effect, and waits until the picture of the cluster has the endpoints that
// follow from them: whoever comes in on a new listener is told of this broker there.
func (b *Broker) settingsChanged(ctx context.Context, kind, name string) {
	b.watch.Reread(ctx, kind, configNode(kind, name))
	if kind != store.ConfigBrokers {
		return
	}
	soon, cancel := context.WithTimeout(ctx, endpointsPatience)
	defer cancel()
	want := b.registration.Endpoints()
	_ = b.images.Await(soon, func(img *cluster.Image) bool {
		self := img.Brokers[b.self]
		return self == nil || slices.EqualFunc(self.Endpoints, want, func(a cluster.Endpoint, b store.Endpoint) bool {
			return a == cluster.Endpoint(b)
		})
	})
}

// Push brings what the controller says to this broker, the only one that it can reach.
func (b *Broker) Push(ctx context.Context, broker int32, p cluster.Push) cluster.PushResult {
	if broker != b.self {
		return cluster.PushResult{Err: fmt.Errorf("broker %d cannot be reached from here", broker)}
	}
	return b.images.Push(ctx, p)
}

func (b *Broker) controllerSettings() controller.Settings {
	c := b.settings.Broker()
	s := controller.DefaultSettings()
	s.DeleteTopics, s.UncleanElection = c.DeleteTopicEnable, c.UncleanLeaderElectionEnable
	s.AutoRebalance, s.ImbalancePercent = c.AutoLeaderRebalanceEnable, c.LeaderImbalancePercent
	s.RebalanceInterval = time.Duration(c.LeaderImbalanceCheckSeconds) * time.Second
	return s
}

// register registers the broker and waits until the picture of the cluster has it.
func (b *Broker) register(ctx context.Context) error {
	ready, failed := make(chan struct{}), make(chan error, 1)
	b.running.Go(func() {
		if err := b.registration.Run(b.ctx, func() { close(ready) }); b.ctx.Err() == nil {
			failed <- err
			b.fail(err)
		}
	})
	select {
	case <-ready:
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	b.running.Go(func() { _ = b.controller.Run(b.ctx) })
	if err := b.images.Await(ctx, func(img *cluster.Image) bool { return img.Brokers[b.self] != nil }); err != nil {
		return err
	}
	return b.awaitTopics(ctx)
}

// topicsPatience bounds how long the start waits for the controller to tell of the topics that there are.
const topicsPatience = 30 * time.Second

// awaitTopics waits until the picture has every topic of the store, led where this broker can lead: a client that comes
// back at once after a restart must not be told that its topic is unknown or without a leader.
func (b *Broker) awaitTopics(ctx context.Context) error {
	names, _, err := b.store.Children(ctx, store.TopicsPath)
	if err != nil {
		return err
	}
	doomed, _, err := b.store.Children(ctx, store.DeleteTopicsPath)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(doomed, name) })
	soon, cancel := context.WithTimeout(ctx, topicsPatience)
	defer cancel()
	err = b.images.Await(soon, func(img *cluster.Image) bool {
		for len(names) > 0 && b.settled(img.Topics[names[len(names)-1]]) {
			names = names[:len(names)-1]
		}
		return len(names) == 0
	})
	if err != nil && ctx.Err() == nil {
		b.log.Warn("the controller has not told of all topics yet; serving without", zap.Int("missing", len(names)), zap.String("one", names[0]))
		return nil
	}
	return err
}

// startGroups makes the group coordinator, which leads what the controller makes this broker lead of the offsets topic.
func (b *Broker) startGroups(c *config.Broker) {
	b.groups = group.New(group.Options{
		Clock: b.clock, Logger: b.log.Named("groups"), Partitions: b.offsetsPartitions,
		MinSession: int32(c.GroupMinSessionTimeoutMs), MaxSession: int32(c.GroupMaxSessionTimeoutMs),
		MaxSize: c.GroupMaxSize, InitialDelay: int32(c.GroupInitialRebalanceDelayMs),
		MaxMetadata: c.OffsetMetadataMaxBytes,
		Retention:   time.Duration(c.OffsetsRetentionMinutes) * time.Minute, RetentionCheck: milliseconds(c.OffsetsRetentionCheckIntervalMs),
		CommitTimeout: milliseconds(c.OffsetsCommitTimeoutMs),
		Codec:         codec.Type(c.OffsetsTopicCompressionCodec),
		Consumer:      b.consumerOptions(c), Image: b.images.Current,
	})
	b.images.Listen(func(change Change) {
		for _, r := range change.Roles {
			if r.Partition.Topic != cluster.OffsetsTopic {
				continue
			}
			id, epoch := r.Partition.Partition, r.State.LeaderEpoch
			if r.State.Leader == b.self {
				b.groups.Lead(id, epoch, coordinatorLog{b.partitions.Get(cluster.OffsetsTopic, id)})
			} else {
				b.groups.Resign(id, epoch)
			}
		}
		for _, s := range change.Stopped {
			if s.Topic == cluster.OffsetsTopic {
				b.groups.Resign(s.ID, -1)
			}
		}
		for _, t := range change.Gone {
			gone := make([]cluster.TopicPartition, len(t.Partitions))
			for id := range t.Partitions {
				gone[id] = cluster.TopicPartition{Topic: t.Name, Partition: int32(id)}
			}
			b.groups.PartitionsDeleted(gone)
		}
	})
}

// offsetsPartitions is how many partitions __consumer_offsets has, or will have.
func (b *Broker) offsetsPartitions() int32 {
	if t := b.images.Current().Topics[cluster.OffsetsTopic]; t != nil {
		return int32(len(t.Partitions))
	}
	return b.settings.Broker().OffsetsTopicPartitions
}

// serve makes the table of APIs.
func (b *Broker) serve(c *config.Broker) {
	creator := &topicCreator{b}
	routes := api.NewRoutes(&api.Versions{Images: b.images, Self: b.self},
		&api.Data{Images: b.images, Partitions: b.partitions, Sessions: api.NewFetchSessions(b.clock, c.MaxFetchSessions, c.QueuedMaxRequestBytes), Clock: b.clock, FetchMaxBytes: c.FetchMaxBytes},
		&api.Topology{Images: b.images, Creator: creator, AutoCreate: c.AutoCreateTopicsEnable},
		&api.Topics{Images: b.images, Admin: b.admin, Controller: b.controller, Settings: b.settings, Clock: b.clock},
		&api.Cluster{Images: b.images, Controller: b.controller, PartitionLimit: c.MaxRequestPartitionSizeLimit},
		&api.Replicas{Images: b.images, Partitions: b.partitions, LogDirs: logDirs{b.logs}},
		&api.Security{},
		&api.Producers{MaxTimeout: c.TransactionMaxTimeoutMs, IDs: controller.NewProducerIDs(b.ctx, b.admin.AllocateProducerIDs)},
		&api.Groups{Coordinator: b.groups, Images: b.images, Internal: creator, Legacy: legacyOffsets{b.store}},
		&api.Configs{Settings: b.settings, Loggers: b.loggers, Topics: topicConfigs{b}, Images: b.images, Store: configStore{b.admin}, Changed: b.settingsChanged},
	)
	b.listeners.serve(routes)
}

// dirFailed tells whoever waits on a partition of a failed log dir, and the cluster.
func (b *Broker) dirFailed(dir string, err error) {
	b.log.Error("log dir is offline", zap.String("dir", dir), zap.Error(err))
	<-b.started
	if b.ctx.Err() != nil || b.partitions == nil {
		return
	}
	b.partitions.DiskFailed()
	if _, err := b.store.Create(b.ctx, store.LogDirEventPrefix, store.EncodeLogDirEvent(b.self), store.Sequential); errors.Is(err, store.ErrDisk) {
		b.controller.LogDirFailed(b.self) // alone with the store in the log dir that has failed
	} else if err != nil {
		b.log.Warn("cannot tell the controller of the failed log dir", zap.Error(err))
	}
}

// crowdLimitsOf are the limits of connections that the settings say.
func crowdLimitsOf(c *config.Broker) (crowdLimits, error) {
	overrides, err := perIPOverrides(c)
	return crowdLimits{max: c.MaxConnections, maxPerIP: c.MaxConnectionsPerIP, overrides: overrides,
		rate: c.MaxConnectionCreationRate, listeners: c.ListenerLimits}, err
}

// perIPOverrides resolves the names of max.connections.per.ip.overrides.
func perIPOverrides(c *config.Broker) (map[netip.Addr]int, error) {
	out := map[netip.Addr]int{}
	for host, n := range c.MaxConnectionsPerIPOverrides {
		addrs, err := lookup(host)
		if err != nil {
			return nil, fmt.Errorf("max.connections.per.ip.overrides: %w", err)
		}
		for _, a := range addrs {
			out[a] = n
		}
	}
	return out, nil
}
