package config

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The security protocols of listeners.
const (
	Plaintext     = "PLAINTEXT"
	SSL           = "SSL"
	SASLPlaintext = "SASL_PLAINTEXT"
	SASLSSL       = "SASL_SSL"
)

var protocols = []string{Plaintext, SSL, SASLPlaintext, SASLSSL}

// Listener is one entry of listeners or advertised.listeners.
type Listener struct {
	// Name in upper case.
	Name string
	// Protocol is what the security map says of the name.
	Protocol string
	// Host without brackets. Empty binds every interface; in an advertised listener it stands for the canonical name of
	// this host, which whoever registers the broker fills in.
	Host string
	// Port is 0 to 65535; 0 asks for any free one.
	Port int
}

// String is the listener as the settings write it.
func (l Listener) String() string {
	host := l.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return l.Name + "://" + host + ":" + strconv.Itoa(l.Port)
}

var endpointPattern = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// parseListeners reads a list of NAME://host:port. distinctPorts holds it to what a bind needs: a port may be shared
// only by one IPv4 and one IPv6 address. The texts are Kafka's.
func parseListeners(text string, protocolOf map[string]string, distinctPorts bool) ([]Listener, error) {
	var list []Listener
	for _, entry := range splitList(strings.TrimSpace(text)) {
		if entry == "" {
			continue
		}
		l, err := parseListener(entry, protocolOf)
		if err != nil {
			return nil, kafkaSays("Error creating broker listeners from '%s': %v", text, err)
		}
		if slices.ContainsFunc(list, func(o Listener) bool { return o.Name == l.Name }) {
			return nil, kafkaRequires("Each listener must have a different name, listeners: %s", text)
		}
		list = append(list, l)
	}
	if distinctPorts {
		return list, checkPorts(list, text)
	}
	return list, nil
}

func parseListener(entry string, protocolOf map[string]string) (Listener, error) {
	m := endpointPattern.FindStringSubmatch(entry)
	if m == nil {
		return Listener{}, kafkaSays("Unable to parse %s to a broker endpoint", entry)
	}
	l := Listener{Name: strings.ToUpper(m[1]), Host: m[2]}
	port, err := strconv.Atoi(m[3])
	if err != nil || port < 0 || port > 65535 {
		return Listener{}, fmt.Errorf("port %s of %s is not between 0 and 65535", m[3], entry)
	}
	l.Port = port
	protocol, ok := protocolOf[l.Name]
	if !ok {
		return Listener{}, kafkaSays("No security protocol defined for listener %s", l.Name)
	}
	l.Protocol = protocol
	return l, nil
}

func checkPorts(list []Listener, text string) error {
	byPort := map[int][]Listener{}
	for _, l := range list {
		if l.Port != 0 {
			byPort[l.Port] = append(byPort[l.Port], l)
		}
	}
	for _, port := range slices.Sorted(maps.Keys(byPort)) {
		same := byPort[port]
		if len(same) < 2 {
			continue
		}
		v4, v6 := 0, 0
		for _, l := range same {
			if a, err := netip.ParseAddr(l.Host); err == nil {
				if a.Is4() {
					v4++
				} else {
					v6++
				}
			}
		}
		switch {
		case v4 == 1 && v6 == 1 && len(same) == 2:
		case v4+v6 == 0 || v4+v6 == 1:
			return kafkaRequires("Each listener must have a different port, listeners: %s", text)
		case v4+v6 == 2:
			return kafkaRequires("If you have two listeners on the same port then one needs to be IPv4 and the other IPv6, listeners: %s, port: %d", text, port)
		default:
			return kafkaRequires("Each listener must have a different port unless exactly one listener has an IPv4 address and the other IPv6 address, listeners: %s, port: %d", text, port)
		}
	}
	return nil
}

// parseProtocolMap reads NAME:PROTOCOL pairs.
func parseProtocolMap(text string) (map[string]string, error) {
	m := map[string]string{}
	for _, pair := range splitList(strings.TrimSpace(text)) {
		at := strings.LastIndexByte(pair, ':')
		if at < 0 {
			return nil, kafkaSays("Error parsing configuration property 'listener.security.protocol.map': %q is not NAME:PROTOCOL", pair)
		}
		name, protocol := strings.TrimSpace(pair[:at]), strings.TrimSpace(pair[at+1:])
		if !slices.Contains(protocols, strings.ToUpper(protocol)) {
			return nil, kafkaSays("Invalid security protocol `%s` defined in listener.security.protocol.map (valid: %s)", protocol, strings.Join(protocols, ", "))
		}
		m[strings.ToUpper(name)] = strings.ToUpper(protocol)
	}
	return m, nil
}

var hostPattern = regexp.MustCompile(`^[0-9a-zA-Z\-%._:]*$`)

// parseIPLimits reads max.connections.per.ip.overrides: host:limit pairs, where the host may be an IPv6 address.
func parseIPLimits(text string) (map[string]int, error) {
	m := map[string]int{}
	for _, pair := range splitList(strings.TrimSpace(text)) {
		at := strings.LastIndexByte(pair, ':')
		if at < 0 {
			return nil, kafkaSays("Error parsing configuration property 'max.connections.per.ip.overrides': %q is not host:limit", pair)
		}
		host := strings.TrimSpace(pair[:at])
		n, err := strconv.ParseInt(strings.TrimSpace(pair[at+1:]), 10, 32)
		if err != nil {
			return nil, kafkaSays("Error parsing configuration property 'max.connections.per.ip.overrides': limit of %q is not a number", pair)
		}
		if !hostPattern.MatchString(host) {
			return nil, fmt.Errorf("max.connections.per.ip.overrides contains invalid addresses : %s", host)
		}
		m[host] = int(n)
	}
	return m, nil
}
