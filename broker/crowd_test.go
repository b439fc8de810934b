package broker

import (
	"context"
	"errors"
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"barnabas/broker/config"
	"barnabas/storage/clock"
)

// door is a crowd behind two listeners, INSIDE being that of brokers, and a record of who was told to leave.
type door struct {
	*crowd
	t     *testing.T
	clock *clock.Manual
	uses  int64
	gone  []string
	in    map[string]*guest
}

func twoListeners(t *testing.T, most int, rate int, inside, outside config.ListenerLimits) *door {
	d := &door{t: t, clock: clock.NewManual(time.UnixMilli(1_700_000_000_000)), in: map[string]*guest{}}
	d.crowd = newCrowd(d.clock, "INSIDE", 11, time.Second, crowdLimits{max: most, maxPerIP: math.MaxInt32, rate: rate,
		listeners: map[string]config.ListenerLimits{"INSIDE": inside, "OUTSIDE": outside}})
	return d
}

var unlimited = config.ListenerLimits{MaxConnections: math.MaxInt32, MaxConnectionCreationRate: math.MaxInt32}

// knock has somebody enter, in a goroutine; the guest uses the connection as it comes in.
func (d *door) knock(name, listener, from string) {
	d.uses++
	used := d.uses
	g := &guest{listener: listener, from: netip.MustParseAddr(from), lastUsed: func() int64 { return used }}
	g.leave = func() { d.gone = append(d.gone, name) }
	go func() {
		if err := d.enter(d.t.Context(), g); err == nil {
			d.in[name] = g
		}
	}()
	synctest.Wait()
}

func (d *door) leaves(name string) {
	g := d.in[name]
	delete(d.in, name)
	d.exit(g)
	synctest.Wait()
}

func (d *door) advance(by time.Duration) {
	d.clock.Advance(by)
	synctest.Wait()
}

func (d *door) want(names ...string) {
	d.t.Helper()
	if got := slices.Sorted(maps.Keys(d.in)); !slices.Equal(got, names) {
		d.t.Fatalf("inside are %q, want %q", got, names)
	}
}

// A listener's limit holds back its own acceptor and no other's (KIP-402), and holds for the protected listener too.
func TestAListenerHasItsOwnLimitOfConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := config.ListenerLimits{MaxConnections: 1, MaxConnectionCreationRate: math.MaxInt32}
		d := twoListeners(t, 100, math.MaxInt32, one, config.ListenerLimits{MaxConnections: 2, MaxConnectionCreationRate: math.MaxInt32})
		d.knock("a", "OUTSIDE", "10.0.0.1")
		d.knock("b", "OUTSIDE", "10.0.0.1")
		d.knock("c", "OUTSIDE", "10.0.0.1")
		d.want("a", "b")
		d.knock("d", "INSIDE", "10.0.0.1")
		d.knock("e", "INSIDE", "10.0.0.1")
		d.want("a", "b", "d")
		d.leaves("a")
		d.want("b", "c", "d")
		more := d.limits
		more.listeners = map[string]config.ListenerLimits{"INSIDE": unlimited, "OUTSIDE": one}
		d.set(more)
		synctest.Wait()
		d.want("b", "c", "d", "e")
		if len(d.gone) > 0 {
			t.Fatalf("a listener's own limit ends nobody's connection: %q", d.gone)
		}
	})
}

// When the broker is full, newcomers wait, but those of the listener between brokers come in, and whoever of the others has
// not used its connection for longest ends for them.
func TestTheListenerBetweenBrokersIsProtected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := twoListeners(t, 2, math.MaxInt32, unlimited, unlimited)
		d.knock("old", "OUTSIDE", "10.0.0.1")
		d.knock("young", "OUTSIDE", "10.0.0.1")
		d.knock("waits", "OUTSIDE", "10.0.0.1")
		d.knock("broker", "INSIDE", "10.0.0.2")
		d.want("broker", "old", "young")
		if !slices.Equal(d.gone, []string{"old"}) {
			t.Fatalf("%q were told to leave", d.gone)
		}
		d.leaves("old")
		d.want("broker", "young")
		d.leaves("young")
		d.want("broker", "waits")
	})
}

// A max.connections that sinks below what is there ends connections, but none between brokers, unless there is one listener
// only.
func TestALowerLimitEndsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := twoListeners(t, 10, math.MaxInt32, unlimited, unlimited)
		d.knock("broker 1", "INSIDE", "10.0.0.2")
		d.knock("a", "OUTSIDE", "10.0.0.1")
		d.knock("b", "OUTSIDE", "10.0.0.1")
		d.knock("c", "OUTSIDE", "10.0.0.1")
		less := d.limits
		less.max = 2
		d.set(less)
		d.set(less) // those that leave already count
		if !slices.Equal(d.gone, []string{"a", "b"}) {
			t.Fatalf("%q were told to leave", d.gone)
		}
		less.max = 0
		d.set(less)
		if !slices.Equal(d.gone, []string{"a", "b", "c"}) {
			t.Fatalf("%q were told to leave", d.gone)
		}
		single := newCrowd(d.clock, "INSIDE", 11, time.Second, crowdLimits{listeners: map[string]config.ListenerLimits{"INSIDE": unlimited}})
		if single.protected("INSIDE") {
			t.Fatal("a single listener is protected from itself")
		}
	})
}

// Who waits for room gives up with the broker, and leaves nothing behind. An address that has enough is refused.
func TestWhoDoesNotComeInIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := twoListeners(t, 1, math.MaxInt32, unlimited, unlimited)
		d.limits.overrides = map[netip.Addr]int{netip.MustParseAddr("10.0.0.9"): 0}
		if err := d.enter(t.Context(), &guest{listener: "OUTSIDE", from: netip.MustParseAddr("10.0.0.9")}); err != errCrowdedAddress {
			t.Fatal(err)
		}
		d.knock("a", "OUTSIDE", "10.0.0.1")
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- d.enter(ctx, &guest{listener: "OUTSIDE", from: netip.MustParseAddr("10.0.0.3")}) }()
		synctest.Wait()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		d.leaves("a")
		if len(d.guests) != 0 || len(d.perIP) != 0 || d.halls["OUTSIDE"].now != 0 {
			t.Fatalf("%d connections, %v, %+v are left", len(d.guests), d.perIP, d.halls["OUTSIDE"])
		}
	})
}

// Too many connections in a short time wait (KIP-612); the broker's limit is not that of the listener between brokers.
func TestNewConnectionsWaitForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := twoListeners(t, 100, 1, unlimited, unlimited)
		// Ten windows are taken as passed: one a second allows ten at once.
		for i := range 10 {
			d.knock(string(rune('a'+i)), "OUTSIDE", "10.0.0.1")
		}
		ten := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
		d.want(ten...)
		d.knock("k", "OUTSIDE", "10.0.0.1")
		d.knock("broker", "INSIDE", "10.0.0.2")
		d.want("a", "b", "broker", "c", "d", "e", "f", "g", "h", "i", "j")
		d.leaves("broker")
		d.advance(999 * time.Millisecond)
		d.want(ten...)
		d.advance(time.Millisecond)
		d.want(append(ten, "k")...)
	})
}

// A listener's own rate holds for it, protected or not, and a change holds for who comes next.
func TestAListenerHasItsOwnRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := config.ListenerLimits{MaxConnections: math.MaxInt32, MaxConnectionCreationRate: 0}
		d := twoListeners(t, 100, math.MaxInt32, slow, unlimited)
		d.knock("a", "INSIDE", "10.0.0.1")
		d.knock("b", "OUTSIDE", "10.0.0.1")
		d.want("b")
		d.advance(time.Second)
		d.want("a", "b")
		fast := d.limits
		fast.listeners = map[string]config.ListenerLimits{"INSIDE": unlimited, "OUTSIDE": slow}
		d.set(fast)
		d.knock("c", "INSIDE", "10.0.0.1")
		d.knock("d", "OUTSIDE", "10.0.0.1")
		d.want("a", "b", "c")
	})
}

// The measure is Kafka's: samples of a window, the last of them, as if all but one had passed; a delay is one window at most.
func TestCreationRateIsMeasuredAsKafkaDoes(t *testing.T) {
	r := newCreationRate(2, time.Second)
	for _, step := range []struct {
		at    int64
		limit int
		delay int64
	}{
		{0, 2, 0},       // 1 in 1 s
		{0, 2, 0},       // 2
		{0, 2, 500},     // 3: (3-2)/2 of 1 s
		{500, 2, 500},   // 4 in 1.5 s: (2.67-2)/2 of 1.5 s
		{1000, 3, 667},  // 5 in 1 s, the first window being complete: (5-3)/3
		{1900, 100, 0},  // 6 in 1.9 s
		{1999, 1, 1000}, // never more than a window
		{2400, 5, 0},    // 8 in 2.4 s: the oldest window overlaps what is measured
		{2500, 1, 1000}, // the window of 0 is too old from here on
		{9000, 1, 0},    // all are
		{9000, 0, 1000}, // a limit of 0 is one a window
		{9000, 1e9, 0},  // and a large one none
		{20000, 1, 0},
	} {
		if got := r.record(step.at, step.limit); got != step.delay {
			t.Errorf("at %d with a limit of %d: a delay of %d ms, want %d", step.at, step.limit, got, step.delay)
		}
	}
	if len(r.samples) > 3 {
		t.Errorf("%d samples are kept of 2 windows", len(r.samples))
	}
}

// socket.listen.backlog.size reaches the socket; without it the system's own stays.
func TestBacklog(t *testing.T) {
	backlogOf := func(want int) uint32 {
		socket, err := listen("127.0.0.1", 0, want)
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		raw, err := socket.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var info *unix.TCPInfo
		if ctl := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); ctl != nil || err != nil {
			t.Fatal(ctl, err)
		}
		return info.Sacked // of a socket that listens: how many may wait
	}
	if got := backlogOf(7); got != 7 {
		t.Errorf("a backlog of 7 is %d", got)
	}
	if got := backlogOf(0); got <= 50 {
		t.Errorf("the system's own backlog is %d", got)
	}
}
