package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Conflict says that settings, each valid by itself, do not go together. Its text is Kafka's.
type Conflict struct {
	// Names are the settings involved.
	Names []string
	Text  string
	// plain conflicts are Kafka's ConfigExceptions; the others are failed requirements, which Kafka's answers to clients
	// introduce as such.
	plain bool
}

func (c *Conflict) Error() string { return c.Text }

// Unwrap makes a conflict an INVALID_CONFIG for whoever answers a client with it.
func (c *Conflict) Unwrap() error { return kerr.InvalidConfig }

// kafkaSays is an error with a text of Kafka's, capitals, full stops and all: clients show it, and people search for it.
func kafkaSays(format string, args ...any) error { return text(fmt.Sprintf(format, args...)) }

type text string

func (t text) Error() string { return string(t) }

// kafkaRequires is kafkaSays for what Kafka makes a requirement of.
func kafkaRequires(format string, args ...any) error {
	return requirement(fmt.Sprintf(format, args...))
}

type requirement string

func (r requirement) Error() string { return string(r) }

// message is the text of a Java exception with this conflict.
func (c *Conflict) message() string {
	if c.plain {
		return c.Text
	}
	return "requirement failed: " + c.Text
}

// checker collects conflicts.
type checker struct {
	view
	found []*Conflict
}

func (c *checker) require(ok bool, names []string, format string, args ...any) {
	if !ok {
		c.found = append(c.found, &Conflict{Names: names, Text: fmt.Sprintf(format, args...)})
	}
}

func (c *checker) refuse(names []string, err error) {
	if err != nil {
		required := requirement("")
		c.found = append(c.found, &Conflict{Names: names, Text: err.Error(), plain: !errors.As(err, &required)})
	}
}

// crossCheck finds what the settings in effect say against each other, and makes the Broker when it is nothing.
func crossCheck(v view) (*Broker, []*Conflict) {
	c := &checker{view: v}
	b := &Broker{}
	bind(b, BrokerDefs(), v.text)
	c.identity(b)
	c.storage(b)
	c.replication()
	c.listeners(b)
	c.sockets(b)
	c.listenerLimits(b)
	c.topics()
	c.consumerProtocol(b)
	if len(c.found) > 0 {
		return nil, c.found
	}
	b.TopicDefaults = v.topic(nil)
	return b, nil
}

// topics checks that what the broker's settings make of topics' defaults is valid for a topic: some settings of brokers
// have a wider range than those of topics.
func (c *checker) topics() {
	for _, def := range TopicDefs().All() {
		text := c.topicDefault(def.Name)
		if text == nil {
			continue
		}
		if _, err := def.Parse(*text); err != nil {
			c.refuse(topicSynonyms[def.Name], err)
		}
	}
}

func (c *checker) identity(b *Broker) {
	if c.must("node.id") != c.must("broker.id") {
		c.refuse([]string{"node.id", "broker.id"}, kafkaSays("You must set `node.id` to the same value as `broker.id`."))
	}
	if b.BrokerIDGenerationEnable {
		c.require(b.BrokerID >= -1 && b.BrokerID <= b.ReservedBrokerMaxID, []string{"broker.id", "reserved.broker.max.id"},
			"broker.id must be greater than or equal to -1 and not greater than reserved.broker.max.id")
	} else {
		c.require(b.BrokerID >= 0, []string{"broker.id"}, "broker.id must be greater than or equal to 0")
	}
	b.ZooKeeperConnectionTimeoutMs = b.ZooKeeperSessionTimeoutMs
	if n, ok := c.num("zookeeper.connection.timeout.ms"); ok {
		b.ZooKeeperConnectionTimeoutMs = n
	}
}

func (c *checker) storage(b *Broker) {
	c.require(c.rollMs() >= 1, []string{"log.roll.ms", "log.roll.hours"}, "log.roll.ms must be greater than or equal to 1")
	c.require(c.rollJitterMs() >= 0, []string{"log.roll.jitter.ms", "log.roll.jitter.hours"}, "log.roll.jitter.ms must be greater than or equal to 0")
	retention := c.retentionMs()
	c.require(retention >= 1 || retention == -1, []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
		"log.retention.ms must be unlimited (-1) or, greater than or equal to 1")
	dirs := c.word("log.dirs")
	if dirs == "" {
		dirs = c.word("log.dir")
	}
	for _, dir := range splitList(dirs) {
		if dir == "" {
			continue
		}
		// Clients are shown folders as absolute paths, and a later change of the working directory must not move them.
		if path, err := filepath.Abs(dir); err == nil {
			dir = path
		}
		b.LogDirs = append(b.LogDirs, dir)
	}
	c.require(len(b.LogDirs) > 0, []string{"log.dirs", "log.dir"}, "At least one log directory must be defined via log.dirs or log.dir.")
	threads := c.must("log.cleaner.threads")
	if threads < 1 {
		c.refuse([]string{"log.cleaner.threads"}, kafkaSays("Log cleaner threads should be at least 1"))
	}
	c.require(c.must("log.cleaner.dedupe.buffer.size")/max(threads, 1) > 1<<20, []string{"log.cleaner.dedupe.buffer.size", "log.cleaner.threads"},
		"log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.")
	c.require(c.must("log.cleaner.min.compaction.lag.ms") <= c.must("log.cleaner.max.compaction.lag.ms"),
		[]string{"log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"},
		"log.cleaner.min.compaction.lag.ms must not be greater than log.cleaner.max.compaction.lag.ms")
	if codec := c.must("offsets.topic.compression.codec"); codec < 0 || codec > 4 {
		c.refuse([]string{"offsets.topic.compression.codec"}, kafkaSays("Unknown compression type id: %d", codec))
	}
}

func (c *checker) replication() {
	wait := c.must("replica.fetch.wait.max.ms")
	c.require(wait <= c.must("replica.socket.timeout.ms"), []string{"replica.fetch.wait.max.ms", "replica.socket.timeout.ms"},
		"replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary socket timeouts")
	c.require(wait <= c.must("replica.lag.time.max.ms"), []string{"replica.fetch.wait.max.ms", "replica.lag.time.max.ms"},
		"replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent frequent changes in ISR")
}

func (c *checker) listeners(b *Broker) {
	protocolOf, err := parseProtocolMap(c.word("listener.security.protocol.map"))
	c.refuse([]string{"listener.security.protocol.map"}, err)
	if err != nil {
		return
	}
	if b.Listeners, err = parseListeners(c.listenerText(b, "listeners"), protocolOf, true); err != nil {
		c.refuse([]string{"listeners", "listener.security.protocol.map"}, err)
		return
	}
	b.Advertised = b.Listeners
	if c.text("advertised.listeners") != nil {
		if b.Advertised, err = parseListeners(c.listenerText(b, "advertised.listeners"), protocolOf, false); err != nil {
			c.refuse([]string{"advertised.listeners", "listener.security.protocol.map"}, err)
			return
		}
	}
	names, advertised := listenerNames(b.Listeners), listenerNames(b.Advertised)
	c.require(len(b.Advertised) > 0, []string{"listeners", "advertised.listeners"}, "There must be at least one broker advertised listener.")
	c.interBroker(b, protocolOf, advertised)
	for _, name := range advertised {
		if !slices.Contains(names, name) {
			c.require(false, []string{"advertised.listeners", "listeners"},
				"advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. Found %s. The valid options based on the current configuration are %s",
				strings.Join(advertised, ","), strings.Join(names, ","))
			break
		}
	}
	c.require(!slices.ContainsFunc(b.Advertised, func(l Listener) bool { return l.Host == "0.0.0.0" }), []string{"advertised.listeners", "listeners"},
		"advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address.")
	if name := c.word("control.plane.listener.name"); name != "" {
		b.ControlPlaneListener = strings.ToUpper(name)
		c.require(slices.Contains(advertised, b.ControlPlaneListener), []string{"control.plane.listener.name", "advertised.listeners"},
			"control.plane.listener.name must be a listener name defined in advertised.listeners. The valid options based on currently configured listeners are %s",
			strings.Join(advertised, ","))
		c.require(b.ControlPlaneListener != b.InterBrokerListener, []string{"control.plane.listener.name", "inter.broker.listener.name"},
			"control.plane.listener.name, when defined, should have a different value from the inter broker listener name. Currently they both have the value %s",
			b.ControlPlaneListener)
	}
	if !b.Alone() {
		c.require(c.word("controller.listener.names") == "", []string{"controller.listener.names"},
			"controller.listener.names must be empty when not running in KRaft mode: [%s]", c.word("controller.listener.names"))
	}
}

// listenerText is a list of listeners. Alone, the entries of a KRaft controller in a file written for Kafka 4 are left
// out, so that such a file starts a broker: there is no controller quorum to talk to.
func (c *checker) listenerText(b *Broker, name string) string {
	text := c.word(name)
	controllers := splitList(strings.ToUpper(c.word("controller.listener.names")))
	if !b.Alone() || len(controllers) == 0 {
		return text
	}
	return strings.Join(slices.DeleteFunc(splitList(text), func(entry string) bool {
		name, _, _ := strings.Cut(entry, ":")
		return slices.Contains(controllers, strings.ToUpper(name))
	}), ",")
}

func (c *checker) interBroker(b *Broker, protocolOf map[string]string, advertised []string) {
	protocol := c.word("security.inter.broker.protocol")
	b.InterBrokerListener = protocol
	if name := c.word("inter.broker.listener.name"); name != "" {
		if c.isSet("security.inter.broker.protocol") {
			c.refuse([]string{"inter.broker.listener.name", "security.inter.broker.protocol"},
				kafkaSays("Only one of inter.broker.listener.name and security.inter.broker.protocol should be set."))
		}
		b.InterBrokerListener = strings.ToUpper(name)
		var ok bool
		if protocol, ok = protocolOf[b.InterBrokerListener]; !ok {
			c.refuse([]string{"inter.broker.listener.name"},
				kafkaSays("Listener with name %s defined in inter.broker.listener.name not found in listener.security.protocol.map.", b.InterBrokerListener))
		}
	}
	// A cluster of one talks to nobody: a single listener of another name needs no inter-broker listener beside it.
	if b.Alone() && !c.isSet("inter.broker.listener.name") && !c.isSet("security.inter.broker.protocol") &&
		!slices.Contains(advertised, b.InterBrokerListener) && len(advertised) > 0 {
		b.InterBrokerListener = advertised[0]
		protocol = protocolOf[advertised[0]]
	}
	if !slices.Contains(advertised, b.InterBrokerListener) {
		c.found = append(c.found, interBrokerMissing(advertised))
	}
	if protocol == SASLPlaintext || protocol == SASLSSL {
		enabled := c.word("sasl.enabled.mechanisms")
		if own, ok := c.props["listener.name."+strings.ToLower(b.InterBrokerListener)+".sasl.enabled.mechanisms"]; ok {
			enabled = own
		}
		c.require(slices.Contains(splitList(enabled), c.word("sasl.mechanism.inter.broker.protocol")),
			[]string{"sasl.mechanism.inter.broker.protocol", "sasl.enabled.mechanisms"},
			"sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms when SASL is used for inter-broker communication")
	}
}

func interBrokerMissing(advertised []string) *Conflict {
	return &Conflict{Names: []string{"inter.broker.listener.name", "security.inter.broker.protocol", "advertised.listeners"},
		Text: "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options based on currently configured listeners are " +
			strings.Join(advertised, ",")}
}

func (c *checker) sockets(b *Broker) {
	queued := c.must("queued.max.request.bytes")
	c.require(queued <= 0 || queued >= int64(b.SocketRequestMaxBytes), []string{"queued.max.request.bytes", "socket.request.max.bytes"},
		"queued.max.request.bytes must be larger or equal to socket.request.max.bytes")
	limits, err := parseIPLimits(c.word("max.connections.per.ip.overrides"))
	c.refuse([]string{"max.connections.per.ip.overrides"}, err)
	b.MaxConnectionsPerIPOverrides = limits
	c.require(b.MaxConnectionsPerIP != 0 || len(limits) > 0, []string{"max.connections.per.ip", "max.connections.per.ip.overrides"},
		"max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.")
	if delay := c.must("connection.failed.authentication.delay.ms"); b.ConnectionsMaxIdleMs >= 0 {
		c.require(delay < b.ConnectionsMaxIdleMs, []string{"connection.failed.authentication.delay.ms", "connections.max.idle.ms"},
			"connection.failed.authentication.delay.ms=%d should always be less than connections.max.idle.ms=%d to prevent failed authentication responses from timing out",
			delay, b.ConnectionsMaxIdleMs)
	}
}

// listenerLimits reads what each listener may have of its own.
func (c *checker) listenerLimits(b *Broker) {
	b.ListenerLimits = make(map[string]ListenerLimits, len(b.Listeners))
	for _, l := range b.Listeners {
		connections, _ := c.ofListener(l.Name, "max.connections")
		rate, _ := c.ofListener(l.Name, "max.connection.creation.rate")
		b.ListenerLimits[l.Name] = ListenerLimits{MaxConnections: int(connections), MaxConnectionCreationRate: int(rate)}
	}
}

func listenerNames(list []Listener) []string {
	names := make([]string, len(list))
	for i, l := range list {
		names[i] = l.Name
	}
	return names
}
