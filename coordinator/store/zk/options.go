package zk

import (
	"fmt"
	"net"
	"strings"
	"time"

	"go.uber.org/zap"

	"barnabas/coordinator/store"
)

// Options say which ZooKeeper to use and how. Zero values are Kafka's defaults.
type Options struct {
	// Servers is zookeeper.connect: "h1:2181,h2:2181/chroot". A port left out is 2181. The chroot is made if missing.
	Servers string
	// SessionTimeout is zookeeper.session.timeout.ms: how long the cluster waits for us before it takes us for dead. The
	// server may set another within its bounds. 0 is 18 s.
	SessionTimeout time.Duration
	// ConnectTimeout is zookeeper.connection.timeout.ms: how long Connect waits for the first session. 0 is
	// SessionTimeout.
	ConnectTimeout time.Duration
	// MaxInFlight is zookeeper.max.in.flight.requests: how many operations are under way at once. 0 is 10.
	MaxInFlight int
	// Logger hears of connections and sessions; nil is silence.
	Logger *zap.Logger
}

const (
	defaultSessionTimeout = 18 * time.Second
	defaultMaxInFlight    = 10
	defaultPort           = "2181"
)

// ParseServers splits a zookeeper.connect into the servers' addresses, each with a port, and the chroot, which is "" or
// starts with a slash.
func ParseServers(connect string) (servers []string, chroot string, err error) {
	list := connect
	if i := strings.IndexByte(connect, '/'); i >= 0 {
		list, chroot = connect[:i], strings.TrimSuffix(connect[i:], "/")
		if chroot != "" && store.CheckPath(chroot) != nil {
			return nil, "", fmt.Errorf("zookeeper.connect=%s: %q is no path", connect, chroot)
		}
	}
	for server := range strings.SplitSeq(list, ",") {
		server = strings.TrimSpace(server)
		if server == "" {
			continue
		}
		host, port, err := net.SplitHostPort(server)
		if err != nil { // no port, or an IPv6 address without brackets
			host, port = strings.Trim(server, "[]"), defaultPort
		}
		if host == "" || port == "" {
			return nil, "", fmt.Errorf("zookeeper.connect=%s: %q is not host:port", connect, server)
		}
		servers = append(servers, net.JoinHostPort(host, port))
	}
	if len(servers) == 0 {
		return nil, "", fmt.Errorf("zookeeper.connect=%s: names no server", connect)
	}
	return servers, chroot, nil
}
