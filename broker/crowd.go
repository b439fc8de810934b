package broker

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"barnabas/broker/config"
	"barnabas/storage/clock"
)

// crowdLimits are the settings that say who may come in.
type crowdLimits struct {
	max       int                // max.connections
	maxPerIP  int                // max.connections.per.ip
	overrides map[netip.Addr]int // max.connections.per.ip.overrides
	rate      int                // max.connection.creation.rate, connections a second
	listeners map[string]config.ListenerLimits
}

// of are the limits of a listener; those of the broker when the settings do not know it any more.
func (l *crowdLimits) of(listener string) config.ListenerLimits {
	if own, ok := l.listeners[listener]; ok {
		return own
	}
	return config.ListenerLimits{MaxConnections: l.max, MaxConnectionCreationRate: l.rate}
}

// crowd counts the connections of a broker, over all listeners, and says who may come in when, as Kafka's connection quotas
// do: too many, or too many in a short time, hold back the acceptor of their listener; too many of one address are refused.
// The listener that brokers use among themselves is protected, where there is another one: the limits of the broker as a
// whole do not hold for it, and the connections of other listeners make room for its own.
type crowd struct {
	clock       clock.Clock
	interBroker string // the name of the listener between brokers
	windows     int    // quota.window.num, each of which is as long as window
	window      time.Duration

	mu     sync.Mutex // guards all below
	limits crowdLimits
	guests map[*guest]struct{}
	perIP  map[netip.Addr]int
	halls  map[string]*hall
	rate   creationRate  // of all listeners that are not protected
	change chan struct{} // closed when there may be room; nil when nobody waits
}

// hall is what belongs to one listener.
type hall struct {
	now  int
	rate creationRate
}

// guest is a connection that has come in, or wants to.
type guest struct {
	listener string
	from     netip.Addr
	// lastUsed is when something last moved on the connection (Unix nanoseconds), and leave has it end soon. Both are called
	// with crowd.mu held.
	lastUsed func() int64
	leave    func()

	// Guarded by crowd.mu.
	hall    *hall // where it has come in; its listener may have another one by now
	leaving bool
}

// newCrowd is without connections. windows and window are quota.window.num and quota.window.size.seconds.
func newCrowd(c clock.Clock, interBroker string, windows int, window time.Duration, limits crowdLimits) *crowd {
	cr := &crowd{clock: c, interBroker: interBroker, windows: windows, window: window, limits: limits, guests: map[*guest]struct{}{}, perIP: map[netip.Addr]int{}, halls: map[string]*hall{}}
	cr.rate = newCreationRate(windows, window)
	for name := range limits.listeners {
		cr.openHall(name)
	}
	return cr
}

// openHall makes room for the connections of a listener, if there is none yet.
func (c *crowd) openHall(listener string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.halls[listener] == nil {
		c.halls[listener] = &hall{rate: newCreationRate(c.windows, c.window)}
	}
}

// closeHall lets nobody in any more through a listener. Who is in is still counted until they leave, but for a limit of a new
// listener of that name.
func (c *crowd) closeHall(listener string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.halls, listener)
	c.wake()
}

// set changes the limits. Connections that are there stay, unless the broker has more than max.connections now: then those
// that have not been used for longest end, though none of the protected listener.
func (c *crowd) set(limits crowdLimits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = limits
	c.makeRoom()
	c.wake()
}

// errCrowdedAddress is a connection from an address that has enough of them.
var errCrowdedAddress = errors.New("too many connections from this address (max.connections.per.ip)")

// errNoListener is a connection of a listener that was removed before it could come in.
var errNoListener = errors.New("the listener has been removed")

// enter counts a connection in once it may, for which it waits. The error is errCrowdedAddress, errNoListener, or the
// context's when that ends. Who has come in must leave.
func (c *crowd) enter(ctx context.Context, g *guest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.halls[g.listener]
	if h == nil {
		return errNoListener
	}
	now := clock.Millis(c.clock)
	delay := h.rate.record(now, c.limits.of(g.listener).MaxConnectionCreationRate)
	if !c.protected(g.listener) {
		delay = max(delay, c.rate.record(now, c.limits.rate))
	}
	var due <-chan time.Time
	if delay > 0 {
		due = c.clock.After(time.Duration(delay) * time.Millisecond)
	}
	for due != nil || !c.hasRoom(g.listener, h) {
		if c.change == nil {
			c.change = make(chan struct{})
		}
		change := c.change
		c.mu.Unlock()
		select {
		case <-due:
			due = nil
		case <-change:
		case <-ctx.Done():
		}
		c.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	limit, special := c.limits.overrides[g.from]
	if !special {
		limit = c.limits.maxPerIP
	}
	if c.perIP[g.from] >= limit {
		return errCrowdedAddress
	}
	h.now++
	g.hall = h
	c.perIP[g.from]++
	c.guests[g] = struct{}{}
	c.makeRoom()
	return nil
}

// exit counts a connection out that has come in.
func (c *crowd) exit(g *guest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.guests, g)
	g.hall.now--
	if c.perIP[g.from]--; c.perIP[g.from] <= 0 {
		delete(c.perIP, g.from)
	}
	c.wake()
}

// protected says that a listener is the one between brokers, beside others.
func (c *crowd) protected(listener string) bool {
	return listener == c.interBroker && len(c.halls) > 1
}

func (c *crowd) hasRoom(listener string, h *hall) bool {
	if h.now >= c.limits.of(listener).MaxConnections {
		return false
	}
	return c.protected(listener) || len(c.guests) < c.limits.max
}

// makeRoom has connections end that are more than the broker may have: the least recently used of the listeners that are
// not protected.
func (c *crowd) makeRoom() {
	excess := len(c.guests) - c.limits.max
	if excess <= 0 {
		return
	}
	var idle []*guest
	used := map[*guest]int64{}
	for g := range c.guests {
		switch {
		case g.leaving:
			excess--
		case !c.protected(g.listener):
			idle = append(idle, g)
			used[g] = g.lastUsed()
		}
	}
	slices.SortFunc(idle, func(a, b *guest) int { return cmp.Compare(used[a], used[b]) })
	for _, g := range idle[:max(0, min(excess, len(idle)))] {
		g.leaving = true
		g.leave()
	}
}

func (c *crowd) wake() {
	if c.change != nil {
		close(c.change)
		c.change = nil
	}
}
