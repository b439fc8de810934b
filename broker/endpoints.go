package broker

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"

	"barnabas/broker/config"
	"barnabas/coordinator/store"
)

// endpoints are what this broker registers under: the advertised listeners, an empty host replaced by the canonical name
// of this host, port 0 by the port that was bound.
func (b *Broker) endpoints(c *config.Broker) ([]store.Endpoint, error) {
	out := make([]store.Endpoint, 0, len(c.Advertised))
	for _, l := range c.Advertised {
		e := store.Endpoint{Listener: l.Name, Protocol: l.Protocol, Host: l.Host, Port: int32(l.Port)}
		if e.Host == "" {
			host, err := canonicalHost()
			if err != nil {
				return nil, err
			}
			e.Host = host
		}
		if e.Port == 0 {
			e.Port = int32(b.listeners.port(l.Name))
		}
		out = append(out, e)
	}
	return out, nil
}

// canonicalHost is the name of this host as others may know it: its full name where it has one that resolves, else the
// plain one.
func canonicalHost() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", err
	}
	full, err := net.LookupCNAME(name)
	if full = strings.TrimSuffix(full, "."); err != nil || full == "" {
		return name, nil
	}
	return full, nil
}

// lookup finds the addresses of a host, which may be one itself.
func lookup(host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, err
}
