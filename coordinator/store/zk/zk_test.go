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
