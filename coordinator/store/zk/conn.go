package zk

import (
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"barnabas/storage/clock"
)

// conn is a connection to a server whose reads never wait longer than patience.
type conn struct {
	net.Conn
	patience time.Duration
}

func (c *conn) SetReadDeadline(t time.Time) error {
	if latest := clock.Real.Now().Add(c.patience); t.After(latest) {
		t = latest
	}
	return c.Conn.SetReadDeadline(t)
}

// libraryLog is where the library writes. What matters to people we say ourselves, once and not at every attempt.
type libraryLog struct{ log *zap.Logger }

func (l libraryLog) Printf(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }
