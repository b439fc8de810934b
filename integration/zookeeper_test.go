//go:build integration

package integration

import (
	"testing"
	"time"

	zookeeper "github.com/go-zookeeper/zk"
)

// keeperSession is a session of the test's own with a ZooKeeper, closed with the test.
func keeperSession(t testing.TB, addr string) *zookeeper.Conn {
	t.Helper()
	c, events, err := zookeeper.Connect([]string{addr}, 10*time.Second, zookeeper.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	// A server says imok a moment before it takes sessions, and a request that meets that moment fails for good.
	for ctx := soon(t); ; {
		select {
		case e := <-events:
			if e.State == zookeeper.StateHasSession {
				return c
			}
		case <-ctx.Done():
			t.Fatal("no session with ZooKeeper")
		}
	}
}
