//go:build integration

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Main classes of Kafka's tools. Most have the same name in both versions; kafka-console-producer and some others moved.
const (
	topicCommand    = "org.apache.kafka.tools.TopicCommand"
	consoleConsumer = "org.apache.kafka.tools.consumer.ConsoleConsumer"
	getOffsets      = "org.apache.kafka.tools.GetOffsetShell"
	deleteRecords   = "org.apache.kafka.tools.DeleteRecordsCommand"
	logDirs         = "org.apache.kafka.tools.LogDirsCommand"
	producerPerf    = "org.apache.kafka.tools.ProducerPerformance"
	consumerPerf    = "org.apache.kafka.tools.ConsumerPerformance"
	endToEnd        = "org.apache.kafka.tools.EndToEndLatency"
	consumerGroups  = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
	verifiableProd  = "org.apache.kafka.tools.VerifiableProducer"
	verifiableCons  = "org.apache.kafka.tools.VerifiableConsumer"
	configCommand   = "kafka.admin.ConfigCommand"
	electLeaders    = "org.apache.kafka.tools.LeaderElectionCommand"
	clusterTool     = "org.apache.kafka.tools.ClusterTool"
	reassign        = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
	groupsCommand   = "org.apache.kafka.tools.GroupsCommand" // 4.x only
)

var moved = map[string]map[string]string{
	"3.9.2": {"console producer": "kafka.tools.ConsoleProducer", "api versions": "kafka.admin.BrokerApiVersionsCommand", "dump log": "kafka.tools.DumpLogSegments", "acls": "kafka.admin.AclCommand"},
	"4.3.1": {"console producer": "org.apache.kafka.tools.ConsoleProducer", "api versions": "org.apache.kafka.tools.BrokerApiVersionsCommand", "dump log": "org.apache.kafka.tools.DumpLogSegments", "acls": "org.apache.kafka.tools.AclCommand"},
}

// A toolbox runs one version's tools against one broker.
type toolbox struct {
	t       testing.TB
	version string
	addr    string
}

// run runs a tool that must exit 0 and returns what it printed on stdout.
func (b toolbox) run(stdin, class string, args ...string) string {
	b.t.Helper()
	out, exit := b.try(stdin, class, args...)
	if exit != 0 {
		b.t.Fatalf("%s %s %s: exit code %d\n%s", b.version, class, strings.Join(args, " "), exit, short(out))
	}
	return out
}

// try runs a tool and returns its output, with stderr at the end when it failed.
func (b toolbox) try(stdin, class string, args ...string) (string, int) {
	b.t.Helper()
	args = append([]string{"--bootstrap-server", b.addr}, args...)
	return b.plain(stdin, class, args...)
}

// plain runs a tool without adding the broker's address.
func (b toolbox) plain(stdin, class string, args ...string) (string, int) {
	b.t.Helper()
	r, err := toolsOf(b.t, b.version).Run(2*time.Minute, stdin, class, args...)
	if err != nil {
		b.t.Fatal(err)
	}
	if r.Exit != 0 {
		return r.Stdout + r.Stderr, r.Exit
	}
	return r.Stdout, 0
}

// shows fails the test unless the output has each of the patterns.
func (b toolbox) shows(out string, patterns ...string) {
	b.t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(out) {
			b.t.Errorf("%s: no %q in\n%s", b.version, p, short(out))
		}
	}
}

// short keeps both ends of a long output.
func short(s string) string {
	if len(s) < 3000 {
		return s
	}
	return s[:1000] + "\n[...]\n" + s[len(s)-2000:]
}

// A toolPart tries some of Kafka's tools on a topic of its own.
type toolPart struct {
	name string
	run  func(b toolbox, topic string)
}

func TestKafkaTools(t *testing.T) {
	tryTools(t, "tool-", []toolPart{{"topics", toolTopics}, {"console", toolConsole}, {"configs", toolConfigs}, {"groups", toolGroups}, {"records", toolRecords}, {"cluster", toolCluster}, {"verifiable and performance", toolLoad}})
}

// tryTools runs the parts with the tools of each version; their topics' names begin with prefix.
func tryTools(t *testing.T, prefix string, parts []toolPart) {
	addr := target(t)
	for _, version := range []string{"3.9.2", "4.3.1"} {
		t.Run(version, func(t *testing.T) {
			for _, part := range parts {
				t.Run(part.name, func(t *testing.T) {
					part.run(toolbox{t, version, addr}, prefix+strings.ReplaceAll(part.name, " ", "-")+"-"+version)
				})
			}
		})
	}
}

func toolTopics(b toolbox, topic string) {
	b.shows(b.run("", topicCommand, "--create", "--topic", topic, "--partitions", "3", "--replication-factor", "1", "--config", "retention.ms=123456"), "Created topic "+topic)
	b.shows(b.run("", topicCommand, "--create", "--topic", topic+"-defaults"), "Created topic")
	out, exit := b.try("", topicCommand, "--create", "--topic", topic)
	if exit == 0 {
		b.t.Error("the second creation succeeded")
	}
	b.shows(out, "already exists")
	b.run("", topicCommand, "--create", "--topic", topic, "--if-not-exists")
	out, _ = b.try("", topicCommand, "--create", "--topic", topic+"-x", "--config", "nonsense=1")
	b.shows(out, "(?i)unknown topic config")
	out, _ = b.try("", topicCommand, "--create", "--topic", topic+"-x", "--replication-factor", "3")
	b.shows(out, "Replication factor: 3 larger than available brokers: 1")
	b.shows(b.run("", topicCommand, "--list"), "(?m)^"+topic+"$", "(?m)^"+topic+"-defaults$")
	b.shows(b.run("", topicCommand, "--describe", "--topic", topic), "PartitionCount: 3", "ReplicationFactor: 1", "Configs: .*retention.ms=123456", "Partition: 2\\s+Leader: 0\\s+Replicas: 0\\s+Isr: 0")
	b.shows(b.run("", topicCommand, "--describe", "--topics-with-overrides"), topic)
	for _, filter := range []string{"--under-replicated-partitions", "--unavailable-partitions", "--under-min-isr-partitions"} {
		if out := b.run("", topicCommand, "--describe", "--topic", topic, filter); strings.Contains(out, "Partition:") {
			b.t.Errorf("%s lists partitions:\n%s", filter, out)
		}
	}
	b.shows(b.run("", topicCommand, "--describe", "--topic", topic, "--at-min-isr-partitions"), "Partition: 0")
	b.run("", topicCommand, "--alter", "--topic", topic, "--partitions", "5")
	out, exit = b.try("", topicCommand, "--alter", "--topic", topic, "--partitions", "2")
	if exit == 0 {
		b.t.Error("partitions were taken away")
	}
	b.shows(out, "higher than the requested 2")
	b.shows(b.run("", topicCommand, "--describe", "--topic", topic), "PartitionCount: 5")
	b.run("", topicCommand, "--create", "--topic", topic+"-assigned", "--replica-assignment", "0,0")
	b.shows(b.run("", topicCommand, "--describe", "--topic", topic+"-assigned"), "PartitionCount: 2")
	b.run("", topicCommand, "--delete", "--topic", topic+".*")
	eventuallyGone(b, topic)
}

func eventuallyGone(b toolbox, topic string) {
	if kind() == "kafka" { // Apache Kafka answers before the deletion is over
		eventually(b.t, "the topics are gone", func() error {
			if out := b.run("", topicCommand, "--list"); strings.Contains(out, topic) {
				return fmt.Errorf("still %s", out)
			}
			return nil
		})
	}
	if out := b.run("", topicCommand, "--list"); strings.Contains(out, topic) {
		b.t.Errorf("after the deletion there is still\n%s", out)
	}
}

func toolConsole(b toolbox, topic string) {
	producer := moved[b.version]["console producer"]
	create(b.t, b.addr, topic, 1)
	for i, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		b.run(fmt.Sprintf("k%d:one-%s\nk%d:two-%s\n", i, codec, i, codec), producer, "--topic", topic, "--compression-codec", codec,
			"--property", "parse.key=true", "--property", "key.separator=:", "--producer-property", "acks=all")
	}
	b.run("h1:v1,h2:v2\tkey\tvalue with headers\n", producer, "--topic", topic, "--property", "parse.key=true", "--property", "parse.headers=true")
	out := b.run("", consoleConsumer, "--topic", topic, "--from-beginning", "--max-messages", "11", "--timeout-ms", "20000",
		"--property", "print.key=true", "--property", "print.offset=true", "--property", "print.headers=true", "--property", "print.partition=true")
	b.shows(out, "Partition:0\tOffset:0\tNO_HEADERS\tk0\tone-none", "Partition:0\tOffset:7\tNO_HEADERS\tk3\ttwo-lz4", "Offset:9\tNO_HEADERS\tk4\ttwo-zstd", "Offset:10\th1:v1,h2:v2\tkey\tvalue with headers")
	group := topic + "-group"
	out = b.run("", consoleConsumer, "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "4", "--timeout-ms", "20000")
	b.shows(out, "^one-none\ntwo-none\none-gzip\ntwo-gzip\n")
	out = b.run("", consoleConsumer, "--topic", topic, "--group", group, "--max-messages", "2", "--timeout-ms", "20000")
	b.shows(out, "^one-snappy\ntwo-snappy\n")
	out = b.run("", consoleConsumer, "--topic", topic, "--partition", "0", "--offset", "6", "--max-messages", "2", "--timeout-ms", "20000")
	b.shows(out, "^one-lz4\ntwo-lz4\n")
	out = b.run("", consoleConsumer, "--topic", topic, "--partition", "0", "--offset", "earliest", "--max-messages", "1", "--isolation-level", "read_committed", "--timeout-ms", "20000")
	b.shows(out, "^one-none\n")
}

func toolConfigs(b toolbox, topic string) {
	create(b.t, b.addr, topic, 1)
	of := []string{"--entity-type", "topics", "--entity-name", topic}
	with := func(args ...string) []string { return append(args, of...) }
	b.run("", configCommand, with("--alter", "--add-config", "retention.ms=777,cleanup.policy=[compact,delete]")...)
	b.shows(b.run("", configCommand, with("--describe")...), "retention.ms=777 sensitive=false synonyms=\\{DYNAMIC_TOPIC_CONFIG:retention.ms=777", "cleanup.policy=compact,delete")
	b.run("", configCommand, with("--alter", "--delete-config", "retention.ms")...)
	if out := b.run("", configCommand, with("--describe")...); strings.Contains(out, "retention.ms=777") {
		b.t.Errorf("a deleted setting is still there:\n%s", out)
	}
	b.shows(b.run("", configCommand, with("--describe", "--all")...), "segment.bytes=1073741824 sensitive=false", "compression.type=producer")
	out, exit := b.try("", configCommand, with("--alter", "--add-config", "retention.ms=x")...)
	if exit == 0 {
		b.t.Error("a bad value was taken")
	}
	b.shows(out, "Invalid value x for configuration retention.ms")
	b.shows(b.run("", configCommand, "--describe", "--entity-type", "topics"), "Dynamic configs for topic "+topic)

	b.shows(b.run("", configCommand, "--describe", "--all", "--entity-type", "brokers", "--entity-name", "0"), "offsets.topic.num.partitions=5 sensitive=false synonyms=\\{STATIC_BROKER_CONFIG:offsets.topic.num.partitions=5", "num.io.threads=8")
	b.run("", configCommand, "--alter", "--entity-type", "brokers", "--entity-name", "0", "--add-config", "log.segment.bytes=200000000")
	b.shows(b.run("", configCommand, "--describe", "--entity-type", "brokers", "--entity-name", "0"), "log.segment.bytes=200000000.*DYNAMIC_BROKER_CONFIG")
	b.shows(b.run("", configCommand, with("--describe", "--all")...), "segment.bytes=200000000 .*DYNAMIC_BROKER_CONFIG:log.segment.bytes=200000000")
	b.run("", configCommand, "--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "log.segment.bytes=300000000")
	b.shows(b.run("", configCommand, "--describe", "--entity-type", "brokers", "--entity-default"), "log.segment.bytes=300000000")
	b.run("", configCommand, "--alter", "--entity-type", "brokers", "--entity-name", "0", "--delete-config", "log.segment.bytes")
	b.run("", configCommand, "--alter", "--entity-type", "brokers", "--entity-default", "--delete-config", "log.segment.bytes")
	out, exit = b.try("", configCommand, "--alter", "--entity-type", "brokers", "--entity-name", "0", "--add-config", "num.partitions=9")
	if exit == 0 {
		b.t.Errorf("a static setting was altered:\n%s", out)
	}
}

func toolGroups(b toolbox, topic string) {
	create(b.t, b.addr, topic, 2)
	const first = int64(1700000000000)
	p := client(b.t, b.addr, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 20 {
		r := &kgo.Record{Partition: int32(i % 2), Value: []byte("v"), Timestamp: time.UnixMilli(first + int64(i/2)*1000)}
		if err := p.ProduceSync(soon(b.t), r).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
	group := topic + "-group"
	c := client(b.t, b.addr, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.InstanceID("instance-1"))
	for n := 0; n < 20; {
		fs := c.PollFetches(soon(b.t))
		if err := fs.Err(); err != nil {
			b.t.Fatal(err)
		}
		n += fs.NumRecords()
	}
	if err := c.CommitUncommittedOffsets(soon(b.t)); err != nil {
		b.t.Fatal(err)
	}
	of := []string{"--group", group}
	with := func(args ...string) []string { return append(args, of...) }
	b.shows(b.run("", consumerGroups, "--list"), "(?m)^"+group+"$")
	b.shows(b.run("", consumerGroups, "--list", "--state", "Stable"), group+"\\s+Stable")
	b.shows(b.run("", consumerGroups, with("--describe")...), topic+"\\s+0\\s+10\\s+10\\s+0\\s+instance-1", topic+"\\s+1\\s+10\\s+10\\s+0")
	b.shows(b.run("", consumerGroups, with("--describe", "--members", "--verbose")...), "instance-1.*127.0.0.1\\s+kgo\\s+2", "\\(0,1\\)|"+topic+":0,1")
	b.shows(b.run("", consumerGroups, with("--describe", "--state")...), "127.0.0.1:\\d+\\s+\\(0\\)\\s+\\S*\\s*Stable\\s+1")
	if out, _ := b.try("", consumerGroups, with("--reset-offsets", "--to-earliest", "--topic", topic, "--execute")...); !strings.Contains(out, "inactive") {
		b.t.Errorf("a reset of a live group said\n%s", out)
	}
	if out, _ := b.try("", consumerGroups, with("--delete")...); !strings.Contains(out, "NonEmpty") && !strings.Contains(out, "not empty") {
		b.t.Errorf("deleting a live group said\n%s", out)
	}
	c.Close()
	b.run("", "org.apache.kafka.tools.VerifiableProducer", "--topic", topic, "--max-messages", "1") // something to be behind of
	if _, err := admin(b.t, b.addr).LeaveGroup(soon(b.t), kadm.LeaveGroup(group).InstanceIDs("instance-1")); err != nil {
		b.t.Fatal(err)
	}
	b.shows(b.run("", consumerGroups, with("--describe", "--state")...), "Empty\\s+0")

	at := func(want string, how ...string) {
		b.t.Helper()
		args := append([]string{"--reset-offsets", "--topic", topic + ":0", "--execute"}, how...)
		b.shows(b.run("", consumerGroups, with(args...)...), group+"\\s+"+topic+"\\s+0\\s+"+want)
	}
	at("0", "--to-earliest")
	at("3", "--shift-by", "3")
	at("3", "--to-current")
	at("7", "--to-offset", "7")
	at("1[01]", "--to-latest")
	at("4", "--to-datetime", time.UnixMilli(first+4000).UTC().Format("2006-01-02T15:04:05.000Z"))
	at("1[01]", "--by-duration", "PT1S")
	plan := b.run("", consumerGroups, with("--reset-offsets", "--topic", topic, "--to-offset", "2", "--export", "--dry-run")...)
	file := filepath.Join(folder(b.t), "plan.csv")
	if err := os.WriteFile(file, []byte(plan), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.shows(b.run("", consumerGroups, with("--reset-offsets", "--from-file", file, "--execute")...), topic+"\\s+0\\s+2", topic+"\\s+1\\s+2")
	b.shows(b.run("", consumerGroups, with("--describe", "--offsets")...), topic+"\\s+1\\s+2\\s+1[01]\\s+[89]")
	b.run("", consumerGroups, with("--delete-offsets", "--topic", topic+":0")...)
	if out := b.run("", consumerGroups, with("--describe")...); regexp.MustCompile(topic + `\s+0\s+\d`).MatchString(out) {
		b.t.Errorf("deleted offsets are still there:\n%s", out)
	}
	b.shows(b.run("", consumerGroups, "--describe", "--all-groups", "--state"), group)
	b.shows(b.run("", consumerGroups, with("--delete")...), "successful")
	if out := b.run("", consumerGroups, "--list"); regexp.MustCompile("(?m)^" + group + "$").MatchString(out) {
		b.t.Errorf("a deleted group is still listed:\n%s", out)
	}
}

func toolRecords(b toolbox, topic string) {
	create(b.t, b.addr, topic, 2)
	b.run(strings.Repeat("x\n", 25), moved[b.version]["console producer"], "--topic", topic, "--property", "parse.key=false")
	total := 0
	for line := range strings.Lines(b.run("", getOffsets, "--topic", topic)) {
		var p, n int
		if _, err := fmt.Sscanf(strings.TrimPrefix(line, topic), ":%d:%d", &p, &n); err != nil {
			b.t.Errorf("kafka-get-offsets: %q: %v", line, err)
		}
		total += n
	}
	if total != 25 {
		b.t.Errorf("kafka-get-offsets counts %d records instead of 25", total)
	}
	b.shows(b.run("", getOffsets, "--topic", topic, "--time", "-2"), topic+":0:0", topic+":1:0")
	b.shows(b.run("", getOffsets, "--topic-partitions", topic+":0-1", "--time", "earliest"), topic+":0:0")
	b.run("", getOffsets, "--topic", topic, "--time", "max-timestamp")
	b.run("", getOffsets, "--topic", topic, "--time", "1700000000000")
	file := filepath.Join(folder(b.t), "delete.json")
	text := fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0,"offset":-1},{"topic":%q,"partition":1,"offset":0}],"version":1}`, topic, topic)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.shows(b.run("", deleteRecords, "--offset-json-file", file), "partition: "+topic+"-0\\s+low_watermark: \\d+", "partition: "+topic+"-1\\s+low_watermark: 0")
	first, last := b.run("", getOffsets, "--topic-partitions", topic+":0", "--time", "-2"), b.run("", getOffsets, "--topic-partitions", topic+":0", "--time", "-1")
	if first != last {
		b.t.Errorf("after deleting all records the partition goes from %s to %s", first, last)
	}
	b.shows(b.run("", logDirs, "--describe", "--topic-list", topic), `"broker":0`, `"partition":"`+topic+`-1","size":`, `"error":null`)
}

func toolCluster(b toolbox, topic string) {
	create(b.t, b.addr, topic, 2)
	b.shows(b.run("", moved[b.version]["api versions"]), "id: 0 rack: null.*-> \\(", "Produce\\(0\\): 0 to \\d+", "Fetch\\(1\\): \\d+ to \\d+", "ApiVersions\\(18\\): 0 to \\d")
	out, exit := b.plain("", clusterTool, "cluster-id", "--bootstrap-server", b.addr)
	if exit != 0 {
		b.t.Error(out)
	}
	b.shows(out, "Cluster ID: \\S{22}")
	b.run("", electLeaders, "--election-type", "preferred", "--topic", topic, "--partition", "0")
	b.run("", electLeaders, "--election-type", "preferred", "--all-topic-partitions")
	b.shows(b.run("", reassign, "--list"), "No partition reassignments found")
	out, _ = b.try("", moved[b.version]["acls"], "--list")
	b.shows(out, "No Authorizer is configured")
	if b.version != "3.9.2" {
		b.run("", groupsCommand, "--list")
	}
}

func toolLoad(b toolbox, topic string) {
	create(b.t, b.addr, topic, 3)
	b.shows(b.run("", verifiableProd, "--topic", topic, "--max-messages", "500", "--throughput", "-1", "--acks", "-1"), `"name":"tool_data".*"sent":500.*"acked":500`)
	out := b.run("", verifiableCons, "--topic", topic, "--group-id", topic+"-v", "--max-messages", "500", "--reset-policy", "earliest", "--enable-autocommit")
	read := 0
	for _, m := range regexp.MustCompile(`"name":"records_consumed"[^\n]*?"count":(\d+)|"count":(\d+)[^\n]*?"name":"records_consumed"`).FindAllStringSubmatch(out, -1) {
		var n int
		_, _ = fmt.Sscan(m[1]+m[2], &n)
		read += n
	}
	if read < 500 {
		b.t.Errorf("the verifiable consumer read %d of 500:\n%s", read, short(out))
	}
	out, exit := b.plain("", producerPerf, "--topic", topic, "--num-records", "20000", "--record-size", "200", "--throughput", "-1", "--producer-props", "bootstrap.servers="+b.addr, "acks=all", "compression.type=lz4")
	if exit != 0 {
		b.t.Fatal(out)
	}
	b.shows(out, "20000 records sent")
	b.shows(b.run("", consumerPerf, "--topic", topic, "--messages", "20000", "--timeout", "30000"), ", 20[0-9]{3}, ")
	if b.version == "3.9.2" {
		if out, exit = b.plain("", endToEnd, b.addr, topic, "200", "all", "100"); exit != 0 {
			b.t.Fatal(out)
		}
		b.shows(out, "Avg latency", "Percentiles: 50th")
	}
}
