package zk

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"barnabas/coordinator/store"
	"barnabas/storage/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseServers(t *testing.T) {
	for _, c := range []struct {
		connect string
		servers []string
		chroot  string
	}{
		{"h", []string{"h:2181"}, ""},
		{"h1:1, h2:2,", []string{"h1:1", "h2:2"}, ""},
		{"h1,h2:2/a/b", []string{"h1:2181", "h2:2"}, "/a/b"},
		{"h:1/", []string{"h:1"}, ""},
		{"[::1]:2/x", []string{"[::1]:2"}, "/x"},
		{"::1", []string{"[::1]:2181"}, ""},
	} {
		servers, chroot, err := ParseServers(c.connect)
		if err != nil || !slices.Equal(servers, c.servers) || chroot != c.chroot {
			t.Errorf("%s: %q, %q, %v", c.connect, servers, chroot, err)
		}
	}
	for _, connect := range []string{"", ",", "/a", "h:1//a", "h:1/a/../b", ":1", "h:"} {
		if servers, chroot, err := ParseServers(connect); err == nil || !strings.Contains(err.Error(), "zookeeper.connect") {
			t.Errorf("%s: %q, %q, %v", connect, servers, chroot, err)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, err = Connect(t.Context(), Options{Servers: addr + "/x", ConnectTimeout: 10 * time.Millisecond})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	for _, part := range []string{"zookeeper.connect=" + addr + "/x", "no ZooKeeper answered within 10ms", "zookeeper.connection.timeout.ms", "connection refused"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %q", part, err)
		}
	}
}

// A server that takes the connection and says nothing must not hold us longer than the connect timeout.
func TestAServerThatHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Connect(t.Context(), Options{Servers: l.Addr().String(), ConnectTimeout: 10 * time.Millisecond})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}

type deadlines struct {
	net.Conn
	last time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.last = t
	return nil
}

// A ZooKeeper that had just been restarted took a connection and never greeted: for the whole time of the session nobody
// tried again, and the session was lost with the registration in it.
func TestTheGreetingIsNotWaitedForAsLongAsTheSession(t *testing.T) {
	d := &deadlines{}
	c := &conn{Conn: d, greeting: time.Minute, patience: time.Hour}
	within := func(limit time.Duration) {
		t.Helper()
		before := clock.Real.Now()
		if err := c.SetReadDeadline(before.Add(24 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		if after := clock.Real.Now(); d.last.Before(before.Add(limit)) || d.last.After(after.Add(limit)) {
			t.Errorf("the deadline is in %v, want %v", d.last.Sub(before), limit)
		}
	}
	within(time.Minute)
	if err := c.SetReadDeadline(time.Time{}); err != nil || !d.last.IsZero() {
		t.Errorf("%v, %v", d.last, err)
	}
	within(time.Hour)
}

func TestHostsPauseAfterEachVainRound(t *testing.T) {
	h := &hosts{}
	if err := h.Init([]string{"a", "b", "c"}); err != nil || h.Len() != 3 {
		t.Fatal(err)
	}
	pauses := ""
	for i := range 9 {
		if i == 7 {
			h.Connected() // what follows is a new round
		}
		_, pause := h.Next()
		if pause {
			pauses += "p"
		} else {
			pauses += "."
		}
	}
	if want := "...p..p.."; pauses != want {
		t.Errorf("%s, want %s", pauses, want)
	}
	seen := map[string]bool{}
	for range 3 {
		s, _ := h.Next()
		seen[s] = true
	}
	if len(seen) != 3 {
		t.Error(seen)
	}
}

func TestErrorsHaveTheStoresNames(t *testing.T) {
	if err := storeError(nil); err != nil {
		t.Error(err)
	}
	other := errors.New("other")
	if err := storeError(other); err != other {
		t.Error(err)
	}
}
