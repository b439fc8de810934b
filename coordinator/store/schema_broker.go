package store

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// BrokerRegistration is the content of /brokers/ids/N.
type BrokerRegistration struct {
	// Endpoints are the advertised ones, in the order of advertised.listeners.
	Endpoints []Endpoint
	Rack      *string // nil when the broker has none
	JMXPort   int32   // -1 when there is none
	Timestamp int64   // milliseconds since 1970
	// Features are the ranges of feature levels that the broker supports, {} for a broker in ZooKeeper mode.
	Features map[string]FeatureRange
	// Version is the format: 5 at inter.broker.protocol.version 2.7 and later, 4 from 0.10.0, 2 before. EncodeBroker
	// takes 0 for 5.
	Version int32
}

// Endpoint is a listener's name, its security protocol and where it is reached.
type Endpoint struct {
	Listener string // upper case
	Protocol string // PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
	Host     string
	Port     int32
}

// FeatureRange is what a broker supports of a feature.
type FeatureRange struct {
	Min int16 `json:"min_version"`
	Max int16 `json:"max_version"`
}

// EncodeBroker writes versions 2 to 5. Host and port, for clients that know no endpoints, are those of the first
// PLAINTEXT endpoint.
func EncodeBroker(r BrokerRegistration) []byte {
	if r.Version == 0 {
		r.Version = 5
	}
	b := append([]byte(nil), '{')
	if r.Version >= 5 {
		b = appendField(b, "features")
		b = append(b, '{')
		for _, name := range immutableKeys(r.Features) {
			f := r.Features[name]
			b = append(appendField(b, name), '{')
			b = appendIntField(b, "min_version", int64(f.Min))
			b = appendIntField(b, "max_version", int64(f.Max))
			b = append(b, '}')
		}
		b = append(b, '}')
	}
	if r.Version >= 4 {
		protocols := append([]Endpoint(nil), r.Endpoints...)
		immutableOrder(protocols, func(e Endpoint) string { return e.Listener })
		b = append(appendField(b, "listener_security_protocol_map"), '{')
		for _, e := range protocols {
			b = appendStringField(b, e.Listener, e.Protocol)
		}
		b = append(b, '}')
	}
	b = append(appendField(b, "endpoints"), '[')
	for i, e := range r.Endpoints {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, e.String())
	}
	b = append(b, ']')
	if r.Rack != nil && r.Version >= 3 {
		b = appendStringField(b, "rack", *r.Rack)
	}
	b = appendIntField(b, "jmx_port", int64(r.JMXPort))
	host, port := appendNull, int64(-1)
	for _, e := range r.Endpoints {
		if e.Protocol == "PLAINTEXT" {
			host = func(b []byte) []byte { return appendString(b, e.Host) }
			port = int64(e.Port)
			break
		}
	}
	b = appendIntField(b, "port", port)
	b = host(appendField(b, "host"))
	b = appendIntField(b, "version", int64(r.Version))
	b = appendStringField(b, "timestamp", strconv.FormatInt(r.Timestamp, 10))
	return append(b, '}')
}

func appendNull(b []byte) []byte { return append(b, "null"...) }

// String is the endpoint as the registration lists it: "PLAINTEXT://host:9092", an IPv6 address in brackets.
func (e Endpoint) String() string {
	if e.Host == "" {
		return e.Listener + "://:" + number(e.Port)
	}
	return e.Listener + "://" + net.JoinHostPort(e.Host, number(e.Port))
}

// DecodeBroker reads versions 1 to 5.
func DecodeBroker(data []byte) (BrokerRegistration, error) {
	const what = "broker registration"
	var v struct {
		Version   *int32                  `json:"version"`
		Host      *string                 `json:"host"`
		Port      int32                   `json:"port"`
		JMXPort   *int32                  `json:"jmx_port"`
		Timestamp string                  `json:"timestamp"`
		Endpoints []string                `json:"endpoints"`
		Rack      *string                 `json:"rack"`
		Protocols map[string]string       `json:"listener_security_protocol_map"`
		Features  map[string]FeatureRange `json:"features"`
	}
	if err := decode(what, data, &v); err != nil {
		return BrokerRegistration{}, err
	}
	switch {
	case v.Version == nil:
		return BrokerRegistration{}, missing(what, "version", data)
	case *v.Version < 1:
		return BrokerRegistration{}, fmt.Errorf("%s: version %d is not supported", what, *v.Version)
	case v.JMXPort == nil:
		return BrokerRegistration{}, missing(what, "jmx_port", data)
	}
	r := BrokerRegistration{Version: *v.Version, JMXPort: *v.JMXPort, Rack: v.Rack, Features: v.Features}
	r.Timestamp, _ = strconv.ParseInt(v.Timestamp, 10, 64) // for people only: Kafka does not read it either
	if r.Version == 1 {
		if v.Host == nil {
			return BrokerRegistration{}, missing(what, "host", data)
		}
		r.Endpoints = []Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Host: *v.Host, Port: v.Port}}
		return r, nil
	}
	if v.Endpoints == nil {
		return BrokerRegistration{}, missing(what, "endpoints", data)
	}
	for _, text := range v.Endpoints {
		e, err := parseEndpoint(text)
		if err != nil {
			return BrokerRegistration{}, fmt.Errorf("%s: %w", what, err)
		}
		e.Protocol = e.Listener
		if v.Protocols != nil {
			p, ok := protocolOf(v.Protocols, e.Listener)
			if !ok {
				return BrokerRegistration{}, fmt.Errorf("%s: listener %q has no security protocol", what, e.Listener)
			}
			e.Protocol = p
		}
		r.Endpoints = append(r.Endpoints, e)
	}
	return r, nil
}

func protocolOf(protocols map[string]string, listener string) (string, bool) {
	if p, ok := protocols[listener]; ok {
		return p, true
	}
	for name, p := range protocols {
		if strings.ToUpper(name) == listener {
			return p, true
		}
	}
	return "", false
}

func parseEndpoint(text string) (Endpoint, error) {
	listener, rest, ok := strings.Cut(text, "://")
	colon := strings.LastIndexByte(rest, ':')
	if !ok || colon < 0 {
		return Endpoint{}, fmt.Errorf("endpoint %.100q is not NAME://host:port", text)
	}
	port, err := strconv.ParseInt(rest[colon+1:], 10, 32)
	if err != nil {
		return Endpoint{}, fmt.Errorf("endpoint %.100q is not NAME://host:port", text)
	}
	host := rest[:colon]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return Endpoint{Listener: strings.ToUpper(listener), Host: host, Port: int32(port)}, nil
}
