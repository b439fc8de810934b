package config

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The counts are those of the running 3.9.2 classes and of what DescribeConfigs of a live broker lists.
func TestTableIsComplete(t *testing.T) {
	internal, listed := 0, 0
	for _, def := range BrokerDefs().All() {
		if def.Internal {
			internal++
		} else {
			listed++
		}
		if def.Doc == "" && !def.Internal {
			t.Errorf("%s has no documentation", def.Name)
		}
	}
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"broker settings", len(BrokerDefs().All()), 329},
		{"internal ones", internal, 14},
		{"listed ones", listed, 315},
		{"topic settings", len(TopicDefs().All()), 36},
		{"client quota settings", len(EntityDefs("clients").All()), 4},
		{"user settings", len(EntityDefs("users").All()), 6},
		{"ip settings", len(EntityDefs("ips").All()), 1},
		{"broker throttles", len(EntityDefs("brokers").All()), 3},
	} {
		if c.got != c.want {
			t.Errorf("%d %s, want %d", c.got, c.what, c.want)
		}
	}
	if EntityDefs("nodes") != nil {
		t.Error("definitions for an entity type that does not exist")
	}
}

func TestTableAgreesWithTheSynonyms(t *testing.T) {
	withoutSynonym := map[string]bool{
		"leader.replication.throttled.replicas": true, "follower.replication.throttled.replicas": true,
		"remote.storage.enable": true, "remote.log.copy.disable": true, "remote.log.delete.on.disable": true,
	}
	for _, def := range TopicDefs().All() {
		if len(def.Synonyms) == 0 != withoutSynonym[def.Name] {
			t.Errorf("%s has synonyms %v", def.Name, def.Synonyms)
		}
		for _, s := range def.Synonyms {
			if BrokerDefs().Get(s) == nil {
				t.Errorf("%s falls back on %s, which does not exist", def.Name, s)
			}
		}
		// What a topic has by default is what its broker has by default.
		text := view{}.topicDefault(def.Name)
		if rendered(def, text) == nil || *rendered(def, text) != *def.Default {
			t.Errorf("%s: default %v, defined as %s", def.Name, rendered(def, text), *def.Default)
		}
	}
}

func TestDefaultsAreValid(t *testing.T) {
	for _, defs := range table() {
		for _, def := range defs.All() {
			if def.Default == nil {
				continue
			}
			v, err := def.Parse(*def.Default)
			if err != nil {
				t.Errorf("default of %s: %v", def.Name, err)
			} else if v.String() != *def.Default {
				t.Errorf("default of %s: %q is rendered %q", def.Name, *def.Default, v)
			}
		}
	}
}

func TestTableRefusesWhatItDoesNotUnderstand(t *testing.T) {
	good := strings.Join([]string{"broker", "a.b", "INT", "1", "read-only", "false", "HIGH", "false", "[1,...]", "doc"}, "\t")
	if _, err := parseTable(good); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		strings.Replace(good, "INT", "INTEGER", 1),
		strings.Replace(good, "read-only", "sometimes", 1),
		strings.Replace(good, "[1,...]", "a prime number", 1),
		strings.Replace(good, "[1,...]", "[x,...,1.2.3]", 1) + "\textra",
		"broker\ta.b",
	} {
		if _, err := parseTable(bad); err == nil {
			t.Errorf("no complaint about %q", bad)
		}
	}
}

func TestValues(t *testing.T) {
	def := func(name string) *Def {
		if d := BrokerDefs().Get(name); d != nil {
			return d
		}
		return TopicDefs().Get(name)
	}
	for _, c := range []struct{ name, text, want string }{ // want is the rendering, or the error's text after "!"
		{"num.partitions", " 7 ", "7"},
		{"num.partitions", "+7", "7"},
		{"num.partitions", "0", "!Invalid value 0 for configuration num.partitions: Value must be at least 1"},
		{"num.io.threads", "abc", "!Invalid value abc for configuration num.io.threads: Not a number of type INT"},
		{"num.io.threads", "2147483648", "!Invalid value 2147483648 for configuration num.io.threads: Not a number of type INT"},
		{"offsets.topic.replication.factor", "40000", "!Invalid value 40000 for configuration offsets.topic.replication.factor: Not a number of type SHORT"},
		{"log.retention.ms", "1_000", "!Invalid value 1_000 for configuration log.retention.ms: Not a number of type LONG"},
		{"log.cleaner.min.cleanable.ratio", "1.01", "!Invalid value 1.01 for configuration log.cleaner.min.cleanable.ratio: Value must be no more than 1"},
		{"log.cleaner.min.cleanable.ratio", ".25", "0.25"},
		{"log.cleaner.min.cleanable.ratio", "half", "!Invalid value half for configuration log.cleaner.min.cleanable.ratio: Not a number of type DOUBLE"},
		{"log.cleaner.io.max.bytes.per.second", "1e9", "1.0E9"},
		{"log.cleaner.io.max.bytes.per.second", "12345678", "1.2345678E7"},
		{"log.cleaner.io.max.bytes.per.second", "0.00025", "2.5E-4"},
		{"log.cleaner.io.max.bytes.per.second", "9999999", "9999999.0"},
		{"log.cleaner.io.max.bytes.per.second", "Infinity", "Infinity"},
		{"log.cleaner.io.max.bytes.per.second", "inf", "!Invalid value inf for configuration log.cleaner.io.max.bytes.per.second: Not a number of type DOUBLE"},
		{"auto.create.topics.enable", "TRUE", "true"},
		{"auto.create.topics.enable", "yes", "!Invalid value yes for configuration auto.create.topics.enable: Expected value to be either true or false"},
		{"log.cleanup.policy", "compact , delete", "compact,delete"},
		{"log.cleanup.policy", "compact,shred", "!Invalid value shred for configuration log.cleanup.policy: String must be one of: compact, delete"},
		{"log.cleanup.policy", "", ""},
		{"compression.type", "brotli", "!Invalid value brotli for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"},
		{"compression.gzip.level", "-1", "-1"},
		{"compression.gzip.level", "0", "!Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"},
		{"compression.zstd.level", "-131072", "-131072"},
		{"compression.zstd.level", "23", "!Invalid value 23 for configuration compression.zstd.level: Value must be no more than 22"},
		{"inter.broker.protocol.version", "3.9", "3.9"},
		{"inter.broker.protocol.version", "0.10.2", "0.10.2"},
		{"inter.broker.protocol.version", "2.8.1", "2.8.1"},
		{"inter.broker.protocol.version", "9.9", "!Invalid value 9.9 for configuration inter.broker.protocol.version: Version 9.9 is not a valid version"},
		{"group.consumer.migration.policy", "Upgrade", "Upgrade"},
		{"group.consumer.migration.policy", "x", "!Invalid value x for configuration group.consumer.migration.policy: String must be one of (case insensitive): DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL"},
		{"remote.log.manager.copier.thread.pool.size", "0", "!Invalid value 0 for configuration remote.log.manager.copier.thread.pool.size: Value can be -1 or greater than 0"},
		{"remote.log.metadata.manager.impl.prefix", "", "!Invalid value  for configuration remote.log.metadata.manager.impl.prefix: String must be non-empty"},
		{"leader.replication.throttled.replicas", "*", "*"},
		{"leader.replication.throttled.replicas", "0:1,12:3", "0:1,12:3"},
		{"leader.replication.throttled.replicas", "0:1,x", "!Invalid value [0:1, x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."},
		{"ssl.key.password", " s3cret ", "s3cret"},
	} {
		v, err := def(c.name).Parse(c.text)
		got := v.String()
		if err != nil {
			got = "!" + err.Error()
		}
		if got != c.want {
			t.Errorf("%s=%q\n got %s\nwant %s", c.name, c.text, got, c.want)
		}
	}
}

// Every setting of the table is either obeyed or named in the log when somebody sets it; the first kind must exist.
func TestEffectiveSettingsExist(t *testing.T) {
	n := 0
	for name := range effectiveSettings() {
		if BrokerDefs().Get(name) == nil {
			t.Errorf("%s is obeyed but does not exist", name)
		}
		n++
	}
	if n == 0 || Effective("kafka.metrics.reporters") || !Effective("log.retention.hours") || !Effective("log.dir") {
		t.Errorf("%d settings have an effect", n)
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"num.partitons":               "num.partitions",
		"num_partitions":              "num.partitions",
		"log.retention.hour":          "log.retention.hours",
		"zookeper.connect":            "zookeeper.connect",
		"advertised.listener":         "advertised.listeners",
		"auto.craete.topics.enable":   "auto.create.topics.enable",
		"offset.topic.num.partitions": "offsets.topic.num.partitions",
		"my.plugin.setting":           "",
		"x":                           "",
	} {
		if got := Nearest(name, BrokerDefs()); got != want {
			t.Errorf("%s: did you mean %q, want %q", name, got, want)
		}
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := t.TempDir() + "/server.properties"
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("num.partitions=3\nbroken=\\u12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("broken file: %v", err)
	}
	if err := os.WriteFile(path, []byte("num.partitions=3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(path, []string{"num.partitions=4", " num.partitions = 5"})
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Broker().NumPartitions; n != 5 {
		t.Errorf("num.partitions is %d: the last override counts", n)
	}
	if _, err := Load("", []string{"num.partitions"}); err == nil {
		t.Error("an override without a value was taken")
	}
}

// A setting without the mark inert is one that somebody reads: the log must not promise an effect that no code has.
// Whoever writes the code takes the mark away; whoever removes it puts the mark back.
func TestEffectiveSettingsAreRead(t *testing.T) {
	read := map[string]bool{}
	for _, room := range []string{"broker", "coordinator", "replication", "storage", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", "..", room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() && d.Name() == "config" && room == "broker" {
				return cmp.Or(err, fs.SkipDir)
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					read[s.Sel.Name] = true
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, of := range []reflect.Type{reflect.TypeFor[Broker](), reflect.TypeFor[Topic]()} {
		for i := range of.NumField() {
			f := of.Field(i)
			inert := f.Tag == "" || strings.HasSuffix(f.Tag.Get("config"), ",inert")
			if !inert && !read[f.Name] && f.Name != "TimestampDifferenceMaxMs" { // it counts within two others
				t.Errorf("nothing reads %s.%s: mark it inert", of.Name(), f.Name)
			}
		}
	}
}
