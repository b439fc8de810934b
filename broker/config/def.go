package config

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

// Type is the type of a setting, numbered as DescribeConfigs v3+ numbers it.
type Type int8

const (
	Unknown Type = iota
	Boolean
	String
	Int
	Short
	Long
	Double
	List
	Class
	Password
)

var typeNames = [...]string{"UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}

// String is Kafka's name of the type, as its error texts spell it.
func (t Type) String() string {
	if t < 0 || int(t) >= len(typeNames) {
		return typeNames[Unknown]
	}
	return typeNames[t]
}

// Mode says where a setting may be changed.
type Mode uint8

const (
	// ReadOnly settings come from the file and need a restart.
	ReadOnly Mode = iota
	// PerBroker settings may be changed for one broker while it runs.
	PerBroker
	// ClusterWide settings may be changed for all brokers or for one.
	ClusterWide
	// TopicLevel settings belong to topics.
	TopicLevel
	// GroupLevel settings belong to groups.
	GroupLevel
	// Dynamic settings exist only in the store: quotas, throttles, credentials.
	Dynamic
)

var modes = map[string]Mode{"read-only": ReadOnly, "per-broker": PerBroker, "cluster-wide": ClusterWide, "topic": TopicLevel, "dynamic": Dynamic}

// Def is the definition of one setting.
type Def struct {
	Name string
	Type Type
	// Default is the value when nothing is set, nil when there is none.
	Default   *string
	Mode      Mode
	Sensitive bool
	// Importance is HIGH, MEDIUM or LOW.
	Importance string
	// Internal settings are obeyed but not listed by DescribeConfigs unless set.
	Internal bool
	// Valid describes the valid values as Kafka's documentation does, "" for any.
	Valid string
	Doc   string
	// Synonyms are the broker settings that a topic setting falls back on, strongest first. Empty for broker settings;
	// see Synonyms for theirs.
	Synonyms []string

	check check
}

// Defs is a set of definitions, in the order of their names.
type Defs struct {
	ordered []*Def
	byName  map[string]*Def
}

// Get gives the definition of a name, nil when there is none.
func (d *Defs) Get(name string) *Def { return d.byName[name] }

// All gives the definitions in the order of their names. The slice is shared: do not change it.
func (d *Defs) All() []*Def { return d.ordered }

func (d *Defs) add(def *Def) {
	d.ordered = append(d.ordered, def)
	d.byName[def.Name] = def
}

//go:embed kafka-3.9.2.tsv
var tableText string

// table is the embedded table by scope: broker, topic, client, user, ip, broker-quota.
var table = sync.OnceValue(func() map[string]*Defs {
	t, err := parseTable(tableText)
	if err != nil {
		panic("config: the embedded table of settings is broken: " + err.Error())
	}
	consumerDefaults(t["broker"])
	return t
})

// BrokerDefs are the settings of server.properties.
func BrokerDefs() *Defs { return table()["broker"] }

// TopicDefs are the settings of topics.
func TopicDefs() *Defs { return table()["topic"] }

// EntityDefs are the settings that exist only in the store, by entity type: "clients", "users", "ips", and for
// "brokers" the replication throttles. Nil for other types.
func EntityDefs(entityType string) *Defs {
	scope, ok := map[string]string{"clients": "client", "users": "user", "ips": "ip", "brokers": "broker-quota"}[entityType]
	if !ok {
		return nil
	}
	return table()[scope]
}

func parseTable(text string) (map[string]*Defs, error) {
	t := map[string]*Defs{}
	for n, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "scope\t") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 10 {
			return nil, fmt.Errorf("line %d has %d columns, not 10", n+1, len(f))
		}
		def := &Def{Name: f[1], Sensitive: f[5] == "true", Importance: f[6], Internal: f[7] == "true", Doc: f[9]}
		for i, name := range typeNames {
			if name == f[2] {
				def.Type = Type(i)
			}
		}
		mode, known := modes[f[4]]
		if def.Type == Unknown || !known {
			return nil, fmt.Errorf("line %d: type %q, mode %q", n+1, f[2], f[4])
		}
		def.Mode = mode
		if f[3] != "null" {
			value := f[3]
			def.Default = &value
		}
		if f[8] != "-" {
			def.Valid = f[8]
		}
		var err error
		if def.check, err = parseValid(def.Type, def.Valid); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		if f[0] == "topic" {
			def.Synonyms = topicSynonyms[def.Name]
		}
		d := t[f[0]]
		if d == nil {
			d = &Defs{byName: map[string]*Def{}}
			t[f[0]] = d
		}
		d.add(def)
	}
	return t, nil
}
