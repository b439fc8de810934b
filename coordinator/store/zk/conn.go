package zk

import (
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"barnabas/storage/clock"
)

// conn is a connection to a server whose reads never wait longer than patience, nor the one for the server's greeting,
// which is the first, longer than greeting.
type conn struct {
	net.Conn
	greeting, patience time.Duration
	greeted            bool // only its reader sets deadlines
}

func (c *conn) SetReadDeadline(t time.Time) error {
	limit := c.patience
	if !c.greeted {
		limit = c.greeting
	}
	if t.IsZero() { // the library takes the deadline back when the greeting is there
		c.greeted = true
	} else if latest := clock.Real.Now().Add(limit); t.After(latest) {
		t = latest
	}
	return c.Conn.SetReadDeadline(t)
}

// libraryLog is where the library writes. What matters to people we say ourselves, once and not at every attempt.
type libraryLog struct{ log *zap.Logger }

func (l libraryLog) Printf(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }
