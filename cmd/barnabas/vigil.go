package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// vigil is a hook of the client that tells people when a broker is lost in the middle of long work, once, and when it is
// back. Before begin it is silent: what a first connection fails at is an error of its own.
type vigil struct {
	w     io.Writer
	mu    sync.Mutex
	begun bool
	lost  map[string]bool // addresses that do not answer
}

var _ kgo.HookBrokerConnect = (*vigil)(nil)

func (v *vigil) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begun, v.lost = true, map[string]bool{}
}

// OnBrokerConnect is told of every attempt to connect.
func (v *vigil) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	addr := net.JoinHostPort(meta.Host, fmt.Sprint(meta.Port))
	same := (err != nil) == v.lost[addr]
	known := err != nil && meta.NodeID < 0 && len(v.lost) > 0 // an address to ask first is most likely that of the broker that is lost
	if !v.begun || same || known || errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	start := ""
	if isTerminal(v.w) {
		start = "\r\x1b[K" // over the progress line
	}
	if err != nil {
		v.lost[addr] = true
		fmt.Fprintf(v.w, "%sbarnabas: broker %s is not reachable (%s): trying again\n", start, addr, reason(err))
		return
	}
	delete(v.lost, addr)
	fmt.Fprintf(v.w, "%sbarnabas: broker %s is reachable again\n", start, addr)
}

// reason is the innermost part of a network error: "connection refused".
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
