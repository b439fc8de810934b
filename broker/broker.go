// Package broker is the process: it opens the log dirs, joins or opens the coordination store, and wires the rooms
// together behind the listeners. It is the only place that knows them all.
//
// It owns the order of start and stop, connections, this broker's registration and its picture of the cluster (Images).
// It must never decide what a room decides: who leads, what is committed, how a group assigns.
//
// Order of start: log dirs are locked, the store is opened and tells the cluster's id and the settings, the listeners are
// bound, since they may be among those settings, the logs are loaded, the broker registers and hears from the controller, and
// only then are requests answered. The order of stop is the reverse; the store's
// session ends last, when the logs are closed.
//
// Locks: settingsWatch.mu -> config's -> listeners.mu -> crowd.mu, server.mu; Images.mu -> Partition.mu; Images.mu -> settingsWatch.mu -> topics.changes -> the partitions' own; crowd.mu,
// requestMemory.mu, topics.mu, answerMemory.mu and logKinds.mu are leaves; conn.mu is held over the last two only.
//
// Non-obvious:
//   - A Broker is a value: several run in one process, nothing is global.
//   - A reply that waits was promised by a handler that has returned: whatever it still uses of the request must have been
//     copied, or the route must not be InPlace.
//   - A reply that waits is always run, even when its connection has ended: an append may still owe its flush.
//   - Memory of requests (queued.max.request.bytes) is never held while an answer is waited for, nor while one is written:
//     what is waited for may need it, and a client that does not read must not keep it. Answers have a bound of their own, at
//     which nobody waits: the connections end that have held theirs for longest.
//   - Nothing but bytes is held while a response is written: it is encoded, and let go of, before the socket may take no more.
//   - The reader of a connection writes a response itself only while the writer owes none, or answers would overtake each
//     other.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	"go.uber.org/zap"

	"barnabas/broker/api"
	"barnabas/broker/config"
	"barnabas/coordinator/controller"
	"barnabas/coordinator/group"
	"barnabas/coordinator/store"
	"barnabas/replication"
	"barnabas/storage"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// Options of Start.
type Options struct {
	// Config is what the broker starts with; see config.Load and Alone.
	Config *config.Static
	// Logger gets what the broker has to say; nil is silence.
	Logger *zap.Logger
	// Clock and FS are for tests; nil is the machine's. The embedded store uses the machine's file system always.
	Clock clock.Clock
	FS    vfs.FS

	// wrapStore, where it is not nil, stands before the embedded store: the disks that fail in tests are not its own.
	wrapStore func(store.Store) store.Store
}

// Alone is the config of a broker by itself: no ZooKeeper, its data in folder, listening on address ("127.0.0.1:0" for
// any free port). Groups assemble at once, without waiting for more members to come.
func Alone(address, folder string) (*config.Static, error) {
	return config.NewStatic(map[string]string{
		"listeners":                        "PLAINTEXT://" + address,
		"log.dirs":                         folder,
		"group.initial.rebalance.delay.ms": "0",
	})
}

// Broker is a running broker.
type Broker struct {
	settings *config.Settings
	clock    clock.Clock
	fs       vfs.FS
	log      *zap.Logger
	loggers  *config.Loggers
	// wrapStore is Options.wrapStore.
	wrapStore func(store.Store) store.Store

	self      int32
	clusterID string
	logs      *storage.Manager
	store     store.Store
	closers   []func() error // of the store, in the order of closing

	topics       *topics
	watch        *settingsWatch
	told         map[string]map[string]string // settings of broker entities by name, as applied last; guarded by settingsWatch.mu
	partitions   *replication.Manager
	images       *Images
	registration *registration
	controller   *controller.Controller
	admin        *controller.Admin
	groups       *group.Coordinator
	crowd        *crowd
	listeners    *listeners

	ctx    context.Context // ends when the broker stops
	cancel context.CancelFunc
	// serving ends before ctx: no connection is served any more.
	stopServing context.CancelFunc
	running     sync.WaitGroup // registration, controller, watch of the settings

	// started is closed when start has returned: what it makes is not touched from elsewhere before. giveUp ends a start
	// that goes on.
	started chan struct{}
	giveUp  context.CancelCauseFunc

	stop sync.Once
	done chan struct{}
	err  error // why it stopped by itself; set before done is closed
}

// Start starts a broker and returns when it answers requests. The context bounds the start only.
func Start(ctx context.Context, o Options) (*Broker, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Clock == nil {
		o.Clock = clock.Real
	}
	b := &Broker{settings: config.NewSettings(o.Config, -1), clock: o.Clock, fs: o.FS, wrapStore: o.wrapStore,
		started: make(chan struct{}), done: make(chan struct{})}
	b.loggers, b.log = config.LoggersOf(o.Logger)
	b.log = limitLog(b.log, o.Clock)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	starting, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	b.giveUp = giveUp
	err := b.start(starting)
	close(b.started)
	if err != nil {
		if cause := context.Cause(starting); errors.Is(err, context.Canceled) && cause != nil {
			err = cause
		}
		_ = b.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return b, nil
}

// Addr is the address of the first listener, as "127.0.0.1:9092"; "" when none is bound.
func (b *Broker) Addr() string {
	servers := b.listeners.all()
	if len(servers) == 0 {
		return "" // of those that there are to be, none could be bound when they changed
	}
	socket, _ := servers[0].listening()
	a := socket.Addr().(*net.TCPAddr)
	host := a.IP.String()
	if a.IP.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(a.Port))
}

// NodeID is the broker's id, ClusterID its cluster's.
func (b *Broker) NodeID() int32     { return b.self }
func (b *Broker) ClusterID() string { return b.clusterID }

// Listeners are the addresses listened on, as PLAINTEXT://127.0.0.1:9092, and Folders the log dirs.
func (b *Broker) Listeners() []string {
	servers := b.listeners.all()
	out := make([]string, len(servers))
	for i, s := range servers {
		socket, _ := s.listening()
		out[i] = s.listener + "://" + socket.Addr().String()
	}
	return out
}

func (b *Broker) Folders() []string { return b.settings.Broker().LogDirs }

// Done is closed when the broker has stopped, by Close or by itself; Err tells then why it stopped by itself.
func (b *Broker) Done() <-chan struct{} { return b.done }

func (b *Broker) Err() error {
	<-b.done
	return b.err
}

// fail stops the broker for a reason that it cannot live with. While it starts, that fails first.
func (b *Broker) fail(why error) {
	if b.ctx.Err() != nil {
		return
	}
	b.log.Error("the broker cannot go on", zap.Error(why))
	b.giveUp(why)
	go func() {
		<-b.started
		b.shutdown(context.Background(), why)
	}()
}

// Close stops the broker cleanly: what is written is made durable, and the next start needs no recovery.
func (b *Broker) Close(ctx context.Context) error {
	b.shutdown(ctx, nil)
	<-b.done
	return b.err
}

func (b *Broker) shutdown(ctx context.Context, why error) {
	b.stop.Do(func() {
		b.err = errors.Join(why, b.shutDown(ctx))
		close(b.done)
	})
}

func (b *Broker) shutDown(ctx context.Context) error {
	var errs []error
	if b.stopServing != nil {
		b.stopServing()
	}
	if b.listeners != nil {
		b.listeners.close()
	}
	if b.groups != nil {
		b.groups.Close()
	}
	b.cancel()
	b.running.Wait()
	if b.logs != nil {
		if err := b.logs.Close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("closing the logs: %w", err))
		}
	}
	for _, c := range b.closers {
		if err := c(); err != nil {
			errs = append(errs, fmt.Errorf("closing the store: %w", err))
		}
	}
	return errors.Join(errs...)
}

var _ api.Images = (*Images)(nil)
