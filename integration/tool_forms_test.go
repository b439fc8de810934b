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

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKafkaToolForms has the tools' less usual forms, which ask for other versions and fields of the APIs than the usual ones.
func TestKafkaToolForms(t *testing.T) {
	tryTools(t, "forms-", []toolPart{{"topics", formsOfTopics}, {"console", formsOfConsole}, {"configs", formsOfConfigs}, {"resets", formsOfResets}, {"groups", formsOfGroups}, {"records", formsOfRecords}, {"load", formsOfLoad}})
}

// fails runs a tool that must not exit with 0, and looks for the patterns in what it says.
func (b toolbox) fails(stdin, class string, args []string, patterns ...string) {
	b.t.Helper()
	out, exit := b.try(stdin, class, args...)
	if exit == 0 {
		b.t.Errorf("%s %s %s: exit code 0\n%s", b.version, class, strings.Join(args, " "), short(out))
	}
	b.shows(out, patterns...)
}

// lacks fails the test if the output has the pattern.
func (b toolbox) lacks(out, pattern string) {
	b.t.Helper()
	if regexp.MustCompile(pattern).MatchString(out) {
		b.t.Errorf("%s: %q is in\n%s", b.version, pattern, short(out))
	}
}

// of is the option for a file of client settings: 4.x has another name for it.
func (b toolbox) of(old, now string) string {
	if b.version == "3.9.2" {
		return old
	}
	return now
}

// file writes a file of the test's own.
func file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(folder(t), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func formsOfTopics(b toolbox, topic string) {
	b.run("", topicCommand, "--create", "--topic", topic, "--partitions", "2")
	described := b.run("", topicCommand, "--describe", "--topic", topic)
	id := regexp.MustCompile(`TopicId: (\S{22})`).FindStringSubmatch(described)
	if id == nil {
		b.t.Fatalf("no topic id in\n%s", described)
	}
	elr := regexp.MustCompile(`\s+Elr:.*`) // 4.x asks another API when it has an id, which does not know of them
	if byID := b.run("", topicCommand, "--describe", "--topic-id", id[1]); elr.ReplaceAllString(byID, "") != elr.ReplaceAllString(described, "") {
		b.t.Errorf("by id\n%s\nby name\n%s", byID, described)
	}
	b.fails("", topicCommand, []string{"--describe", "--topic-id", "AAAAAAAAAAAAAAAAAAAAGw"}, "does not exist")
	b.fails("", topicCommand, []string{"--describe", "--topic", topic + "-none"}, "does not exist as expected")
	b.run("", topicCommand, "--describe", "--topic", topic+"-none", "--if-exists")
	b.shows(b.run("", topicCommand, "--describe", "--topic", topic, "--partition-size-limit-per-response", "1"), "Partition: 0", "Partition: 1")
	b.shows(b.run("", topicCommand, "--list", "--topic", topic), "^"+topic+"\n$")
	createOffsets(b)
	b.shows(b.run("", topicCommand, "--list"), "(?m)^__consumer_offsets$")
	b.lacks(b.run("", topicCommand, "--list", "--exclude-internal"), "__consumer_offsets")
	b.lacks(b.run("", topicCommand, "--describe", "--exclude-internal"), "__consumer_offsets")
	b.shows(b.run("", topicCommand, "--describe"), "__consumer_offsets.*cleanup.policy=compact", "Topic: "+topic)
	b.run("", topicCommand, "--alter", "--topic", topic, "--partitions", "4", "--replica-assignment", "0,0,0,0")
	b.shows(b.run("", topicCommand, "--describe", "--topic", topic), "PartitionCount: 4")
	b.run("", topicCommand, "--alter", "--topic", topic+"-none", "--partitions", "4", "--if-exists")
	b.fails("", topicCommand, []string{"--alter", "--topic", topic + "-none", "--partitions", "4"}, "does not exist as expected")
	b.fails("", topicCommand, []string{"--create", "--topic", topic + "-x", "--replica-assignment", "0:0"}, "(?i)duplicate")
	b.fails("", topicCommand, []string{"--create", "--topic", topic + "-x", "--partitions", "0"}, "(?i)partitions")
	b.fails("", topicCommand, []string{"--create", "--topic", "a b"}, "(?i)invalid")
	b.fails("", topicCommand, []string{"--delete", "--topic", topic + "-none"}, "does not exist as expected")
	b.run("", topicCommand, "--delete", "--topic", topic+"-none", "--if-exists")
	b.run("", topicCommand, "--delete", "--topic", topic)
	eventuallyGone(b, topic)
}

// createOffsets has the broker make __consumer_offsets.
func createOffsets(b toolbox) {
	b.t.Helper()
	eventually(b.t, "there is a coordinator", func() error {
		_, err := admin(b.t, b.addr).FetchOffsets(soon(b.t), "nobody")
		return err
	})
}

func formsOfConsole(b toolbox, topic string) {
	producer := moved[b.version]["console producer"]
	create(b.t, b.addr, topic, 1)
	settings := file(b.t, "producer.properties", "acks=1\ncompression.type=zstd\nenable.idempotence=false\n")
	b.run("a\nb\n", producer, "--topic", topic, b.of("--producer.config", "--command-config"), settings)
	b.run("c\n", producer, "--topic", topic, "--sync", b.of("--request-required-acks", "--request-required-acks"), "0")
	b.run("d\n", producer, "--topic", topic, "--batch-size", "1", "--timeout", "10", "--message-send-max-retries", "1", "--max-block-ms", "10000")
	out := b.run("", consoleConsumer, "--include", regexp.QuoteMeta(topic), "--from-beginning", "--max-messages", "4", "--timeout-ms", "20000", "--property", "print.timestamp=true", "--property", "print.value=true")
	b.shows(out, "CreateTime:\\d{13}\ta\n", "\tb\n", "\tc\n", "\td\n")
	out, _ = b.try("", consoleConsumer, "--topic", topic, "--partition", "0", "--offset", "latest", "--timeout-ms", "1500")
	b.lacks(out, "(?m)^[abcd]$")
	settings = file(b.t, "consumer.properties", "auto.offset.reset=earliest\ngroup.id="+topic+"-in-file\ngroup.instance.id=one\nfetch.min.bytes=1\nisolation.level=read_committed\n")
	for range 2 { // the second comes back as the same static member
		out, _ = b.try("", consoleConsumer, "--topic", topic, b.of("--consumer.config", "--command-config"), settings, b.of("--consumer-property", "--command-property"), "enable.auto.commit=false", "--max-messages", "4", "--timeout-ms", "20000")
		b.shows(out, "a\nb\nc\nd\n")
	}
	out, _ = b.try("", consoleConsumer, "--topic", topic+"-none", "--timeout-ms", "2000")
	b.lacks(out, "Exception in thread")
	createOffsets(b)
	if _, err := admin(b.t, b.addr).FetchOffsets(soon(b.t), topic+"-group"); err != nil {
		b.t.Fatal(err)
	}
	b.run("", consoleConsumer, "--topic", topic, "--group", topic+"-group", "--from-beginning", "--max-messages", "4", "--timeout-ms", "20000")
	formatter := b.of("kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter", "org.apache.kafka.tools.consumer.OffsetsMessageFormatter")
	if b.version == "3.9.2" {
		formatter = "org.apache.kafka.tools.consumer.OffsetsMessageFormatter"
	}
	out, _ = b.try("", consoleConsumer, "--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", "3000", "--formatter", formatter)
	b.shows(out, topic+"-group.*"+regexp.QuoteMeta(topic), `4`)
}

func formsOfConfigs(b toolbox, topic string) {
	create(b.t, b.addr, topic, 1)
	b.run("", configCommand, "--alter", "--topic", topic, "--add-config-file", file(b.t, "topic.properties", "retention.ms=5555\nsegment.bytes=2000000\n"))
	b.shows(b.run("", configCommand, "--describe", "--topic", topic), "retention.ms=5555", "segment.bytes=2000000")
	b.run("", configCommand, "--alter", "--topic", topic, "--add-config", "retention.ms=6666", "--delete-config", "segment.bytes")
	out := b.run("", configCommand, "--describe", "--topic", topic)
	b.shows(out, "retention.ms=6666")
	b.lacks(out, "segment.bytes=2000000")
	if b.version == "3.9.2" { // 4.x does not look first
		b.fails("", configCommand, []string{"--alter", "--topic", topic, "--delete-config", "segment.bytes"}, "(?i)invalid config")
	} else {
		b.run("", configCommand, "--alter", "--topic", topic, "--delete-config", "segment.bytes")
	}
	b.fails("", configCommand, []string{"--alter", "--topic", topic, "--add-config", "no.such.thing=1"}, "(?i)unknown topic config")
	b.fails("", configCommand, []string{"--alter", "--topic", topic + "-none", "--add-config", "retention.ms=1"}, "(?i)unknown|exist")
	b.run("", configCommand, "--alter", "--broker", "0", "--add-config", "log.cleaner.threads=2")
	b.shows(b.run("", configCommand, "--describe", "--broker", "0"), "log.cleaner.threads=2")
	b.run("", configCommand, "--alter", "--broker", "0", "--delete-config", "log.cleaner.threads")
	b.run("", configCommand, "--alter", "--broker-defaults", "--add-config", "log.cleaner.threads=2")
	if kind() != "kafka" { // which hears of its own settings a little later
		b.shows(b.run("", configCommand, "--describe", "--broker-defaults"), "log.cleaner.threads=2")
	}
	b.run("", configCommand, "--alter", "--broker-defaults", "--delete-config", "log.cleaner.threads")
	b.shows(b.run("", configCommand, "--describe", "--entity-type", "brokers"), "Dynamic configs for broker 0", "Default configs for brokers")
	b.fails("", configCommand, []string{"--alter", "--broker", "0", "--add-config", "log.cleaner.threads=0"}, "(?i)log.cleaner.threads|cleaner|/ by zero")
	loggers := b.run("", configCommand, "--describe", "--broker-logger", "0")
	logger := regexp.MustCompile(`(?m)^\s+(\S+)=(INFO|DEBUG|WARN|ERROR|TRACE|FATAL) `).FindStringSubmatch(loggers)
	if logger == nil {
		b.t.Fatalf("no loggers in\n%s", loggers)
	}
	b.run("", configCommand, "--alter", "--broker-logger", "0", "--add-config", logger[1]+"=ERROR")
	b.shows(b.run("", configCommand, "--describe", "--broker-logger", "0"), regexp.QuoteMeta(logger[1])+"=ERROR")
	b.run("", configCommand, "--alter", "--broker-logger", "0", "--delete-config", logger[1])
	b.fails("", configCommand, []string{"--alter", "--broker-logger", "0", "--add-config", logger[1] + "=LOUD"}, "(?i)LOUD|log level|invalid")
	if kind() != "kafka" { // quotas and SCRAM are not built: the tool says which API is missing
		for _, of := range [][]string{{"--user", "u"}, {"--client", "c"}, {"--ip", "127.0.0.1"}} {
			b.fails("", configCommand, append([]string{"--describe"}, of...), "UnsupportedVersionException")
		}
	}
}

// formsOfResets tries each target of kafka-consumer-groups --reset-offsets in each of its modes.
func formsOfResets(b toolbox, topic string) {
	const first = int64(1_700_000_000_000)
	create(b.t, b.addr, topic, 2)
	create(b.t, b.addr, topic+"-other", 1)
	p := client(b.t, b.addr, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 20 {
		at := time.UnixMilli(first + int64(i/2)*1000)
		rs := []*kgo.Record{{Topic: topic, Partition: int32(i % 2), Value: []byte("v"), Timestamp: at}, {Topic: topic + "-other", Value: []byte("v"), Timestamp: at}}
		if err := p.ProduceSync(soon(b.t), rs...).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
	createOffsets(b)
	group, second := topic+"-group", topic+"-second"
	row := func(group, topic string, partition int, offset string) string {
		return fmt.Sprintf(`(?m)(^|\s)%s\s+%s\s+%d\s+%s(\s|$)`, // 3.9 forgets to end its lines
			regexp.QuoteMeta(group), regexp.QuoteMeta(topic), partition, offset)
	}
	reset := func(more ...string) string {
		b.t.Helper()
		return b.run("", consumerGroups, append([]string{"--reset-offsets", "--group", group}, more...)...)
	}
	committed := func(want map[string]string) { // topic:partition to offset
		b.t.Helper()
		out := b.run("", consumerGroups, "--describe", "--group", group)
		for where, offset := range want {
			t, partition, _ := strings.Cut(where, ":")
			b.shows(out, fmt.Sprintf(`%s\s+%s\s+%s\s`, regexp.QuoteMeta(t), partition, offset))
		}
	}
	// Without a mode, and with --dry-run, it only tells.
	b.shows(reset("--topic", topic, "--to-earliest", "--dry-run"), row(group, topic, 0, "0"), row(group, topic, 1, "0"))
	if _, err := admin(b.t, b.addr).FetchOffsets(soon(b.t), group); err != nil {
		b.t.Fatal(err)
	}
	if out, _ := b.try("", consumerGroups, "--describe", "--group", group); regexp.MustCompile(topic + `\s+0\s+0\s`).MatchString(out) {
		b.t.Errorf("a dry run committed:\n%s", out)
	}
	for _, c := range []struct {
		how  []string
		want string
	}{
		{[]string{"--to-latest"}, "10"},
		{[]string{"--to-earliest"}, "0"},
		{[]string{"--to-offset", "6"}, "6"},
		{[]string{"--to-current"}, "6"},
		{[]string{"--shift-by", "2"}, "8"},
		{[]string{"--shift-by", "-3"}, "5"},
		{[]string{"--shift-by", "100"}, "10"},
		{[]string{"--shift-by", "-100"}, "0"},
		{[]string{"--to-offset", "1000"}, "10"},
		{[]string{"--to-datetime", time.UnixMilli(first + 3000).UTC().Format("2006-01-02T15:04:05.000")}, "3"},
		{[]string{"--to-datetime", time.UnixMilli(first + 4000).UTC().Format("2006-01-02T15:04:05.000Z")}, "4"},
		{[]string{"--to-datetime", time.UnixMilli(first + 5000).UTC().Format("2006-01-02T15:04:05.000+00:00")}, "5"},
		{[]string{"--to-datetime", "2000-01-01T00:00:00.000"}, "0"},
		{[]string{"--to-datetime", "2999-01-01T00:00:00.000"}, "10"},
		{[]string{"--by-duration", "P9000D"}, "0"},
		{[]string{"--by-duration", "PT1M"}, "10"},
	} {
		b.shows(reset(append([]string{"--topic", topic, "--execute"}, c.how...)...), row(group, topic, 0, c.want), row(group, topic, 1, c.want))
		committed(map[string]string{topic + ":0": c.want, topic + ":1": c.want})
	}
	// Some partitions, several topics, all topics.
	reset("--topic", topic+":1", "--to-offset", "3", "--execute")
	committed(map[string]string{topic + ":0": "10", topic + ":1": "3"})
	reset("--topic", topic+":0", "--topic", topic+"-other", "--to-offset", "2", "--execute")
	committed(map[string]string{topic + ":0": "2", topic + ":1": "3", topic + "-other:0": "2"})
	b.shows(reset("--all-topics", "--to-latest", "--execute"), row(group, topic, 0, "10"), row(group, topic+"-other", 0, "20"))
	committed(map[string]string{topic + ":0": "10", topic + ":1": "10", topic + "-other:0": "20"})
	// A plan by --export, of one group and of two, goes back in by --from-file.
	one := reset("--topic", topic, "--to-offset", "4", "--export", "--dry-run")
	b.shows(one, `(?m)^"?`+regexp.QuoteMeta(topic)+`"?,0,4$`)
	reset("--from-file", file(b.t, "one.csv", one), "--execute")
	committed(map[string]string{topic + ":0": "4", topic + ":1": "4"})
	both := []string{"--reset-offsets", "--group", group, "--group", second, "--topic", topic}
	two := b.run("", consumerGroups, append(both, "--to-offset", "5", "--export", "--dry-run")...)
	b.shows(two, regexp.QuoteMeta(group)+`"?,"?`+regexp.QuoteMeta(topic)+`"?,0,5`, regexp.QuoteMeta(second)+`"?,"?`+regexp.QuoteMeta(topic)+`"?,1,5`)
	b.run("", consumerGroups, "--reset-offsets", "--group", group, "--group", second, "--from-file", file(b.t, "two.csv", two), "--execute")
	committed(map[string]string{topic + ":0": "5", topic + ":1": "5"})
	b.shows(b.run("", consumerGroups, "--describe", "--group", second), topic+`\s+1\s+5\s`)
	// What cannot be.
	if out, _ := b.try("", consumerGroups, "--reset-offsets", "--group", group, "--topic", topic+":9", "--to-latest", "--execute"); !regexp.MustCompile("(?i)error|exist|invalid").MatchString(out) {
		b.t.Errorf("a partition that is not there:\n%s", out)
	}
	if out, _ := b.try("", consumerGroups, "--reset-offsets", "--group", group, "--topic", topic+"-none", "--to-latest", "--execute"); !regexp.MustCompile("(?i)error|exist|unknown").MatchString(out) {
		b.t.Errorf("a topic that is not there:\n%s", out)
	}
	b.run("", consumerGroups, "--delete", "--group", group, "--group", second)
}

func formsOfGroups(b toolbox, topic string) {
	create(b.t, b.addr, topic, 2)
	group := topic + "-group"
	c := client(b.t, b.addr, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	p := client(b.t, b.addr, kgo.DefaultProduceTopic(topic))
	if err := p.ProduceSync(soon(b.t), &kgo.Record{Value: []byte("v")}).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
	if err := c.PollFetches(soon(b.t)).Err(); err != nil {
		b.t.Fatal(err)
	}
	if err := c.CommitUncommittedOffsets(soon(b.t)); err != nil {
		b.t.Fatal(err)
	}
	b.shows(b.run("", consumerGroups, "--list", "--state"), "GROUP\\s+.*STATE", group+".*Stable")
	b.lacks(b.run("", consumerGroups, "--list", "--state", "Empty,Dead"), group)
	b.shows(b.run("", consumerGroups, "--list", "--type", "classic"), group)
	b.lacks(b.run("", consumerGroups, "--list", "--type", "consumer"), group)
	b.shows(b.run("", consumerGroups, "--list", "--type", "--state"), group+".*(?i)classic")
	b.shows(b.run("", consumerGroups, "--describe", "--group", group, "--offsets", "--verbose", "--timeout", "20000"), topic)
	b.shows(b.run("", consumerGroups, "--describe", "--group", group, "--members"), group+".*kgo-?\\S*.*127.0.0.1.*\\s2")
	b.shows(b.run("", consumerGroups, "--describe", "--group", group, "--state", "--verbose"), "Stable")
	b.shows(b.run("", consumerGroups, "--describe", "--all-groups", "--members"), group)
	b.shows(b.run("", consumerGroups, "--describe", "--all-groups"), group)
	out, _ := b.try("", consumerGroups, "--delete-offsets", "--group", group, "--topic", topic)
	b.shows(out, "(?i)error|subscribed|Not successful")
	out, _ = b.try("", consumerGroups, "--describe", "--group", topic+"-none")
	b.shows(out, "(?i)does not exist|not found")
	out, _ = b.try("", consumerGroups, "--delete", "--group", topic+"-none")
	b.shows(out, "(?i)GroupIdNotFound|could not be deleted|not exist")
	c.Close()
	b.run("", consumerGroups, "--delete-offsets", "--group", group, "--topic", topic)
	out, _ = b.try("", consumerGroups, "--delete", "--group", group, "--timeout", "20000") // it went with its last offset
	b.shows(out, "(?i)GroupIdNotFound|does not exist")
}

func formsOfRecords(b toolbox, topic string) {
	create(b.t, b.addr, topic, 3)
	p := client(b.t, b.addr, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 10 {
		if err := p.ProduceSync(soon(b.t), &kgo.Record{Topic: topic, Partition: int32(i % 2), Value: []byte("v"), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i))}).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
	for at, want := range map[string]string{"-1": ":1:5", "latest": ":1:5", "-2": ":1:0", "earliest": ":1:0", "-3": ":1:4", "max-timestamp": ":1:4", "-4": ":1:0", "earliest-local": ":1:0", "1700000000004": ":1:2"} {
		b.shows(b.run("", getOffsets, "--topic-partitions", topic+":1", "--time", at), "^"+topic+want+"\n$")
	}
	b.run("", getOffsets, "--topic", topic, "--time", "latest-tiered") // nothing is tiered
	b.shows(b.run("", getOffsets, "--topic", topic, "--partitions", "0,2"), "^"+topic+":0:5\n"+topic+":2:0\n$")
	b.shows(b.run("", getOffsets, "--topic-partitions", topic+":0,"+topic+":2-3"), "^"+topic+":0:5\n"+topic+":2:0\n$")
	createOffsets(b)
	b.shows(b.run("", getOffsets), "__consumer_offsets:0:\\d", topic+":1:5")
	b.lacks(b.run("", getOffsets, "--exclude-internal-topics"), "__consumer_offsets")
	b.fails("", getOffsets, []string{"--topic", topic + "-none"}, "(?i)could not match")
	remove := func(name, partitions string) string {
		out, _ := b.try("", deleteRecords, "--offset-json-file", file(b.t, name, `{"partitions":[`+partitions+`],"version":1}`))
		return out
	}
	b.shows(remove("beyond.json", fmt.Sprintf(`{"topic":%q,"partition":0,"offset":6}`, topic)), "(?i)out ?of ?range")
	b.shows(remove("some.json", fmt.Sprintf(`{"topic":%q,"partition":0,"offset":2},{"topic":%q,"partition":1,"offset":-1}`, topic, topic)), topic+"-0\\s+low_watermark: 2", topic+"-1\\s+low_watermark: 5")
	b.shows(b.run("", getOffsets, "--topic", topic, "--time", "-2"), topic+":0:2\n"+topic+":1:5\n")
	b.shows(b.run("", logDirs, "--describe", "--broker-list", "0"), `"broker":0`, `"partition":"`+topic+`-1"`)
	b.shows(b.run("", logDirs, "--describe"), `"broker":0`, `"partition":"`+topic+`-2"`)
	b.fails("", logDirs, []string{"--describe", "--broker-list", "0,77"}, "77")
	b.shows(b.run("", logDirs, "--describe", "--topic-list", topic+"-none"), `"partitions":\[\]`)
}

func formsOfLoad(b toolbox, topic string) {
	create(b.t, b.addr, topic, 2)
	b.shows(b.run("", verifiableProd, "--topic", topic, "--max-messages", "50", "--throughput", "100000", "--acks", "1", "--value-prefix", "7", "--repeating-keys", "3", "--message-create-time", "1700000000000"), `"acked":50`)
	out := b.run("", consoleConsumer, "--topic", topic, "--from-beginning", "--max-messages", "50", "--timeout-ms", "20000", "--property", "print.key=true", "--property", "print.timestamp=true")
	b.shows(out, "CreateTime:17000000\\d+\t[012]\t7\\.\\d+")
	strategies := []string{"org.apache.kafka.clients.consumer.RangeAssignor", "org.apache.kafka.clients.consumer.RoundRobinAssignor", "org.apache.kafka.clients.consumer.StickyAssignor", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"}
	for i, strategy := range strategies {
		out := b.run("", verifiableCons, "--topic", topic, "--group-id", fmt.Sprint(topic, "-", i), "--group-instance-id", "one", "--session-timeout", "10000", "--max-messages", "50", "--reset-policy", "earliest", "--assignment-strategy", strategy, "--verbose")
		b.shows(out, `"name":"partitions_assigned"`, `"name":"offsets_committed".*"success":true|"success":true.*"name":"offsets_committed"`)
		if n := strings.Count(out, `"name":"record_data"`); n < 50 {
			b.t.Errorf("%s: %d of 50 records", strategy, n)
		}
	}
	perf := func(more ...string) string {
		b.t.Helper()
		out, exit := b.plain("", producerPerf, append([]string{"--topic", topic, "--num-records", "2000", "--throughput", "-1"}, more...)...)
		if exit != 0 {
			b.t.Fatalf("producer-perf %v: %s", more, out)
		}
		return out
	}
	settings := file(b.t, "perf.properties", "bootstrap.servers="+b.addr+"\nacks=all\nenable.idempotence=true\n")
	config := b.of("--producer.config", "--command-config")
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		b.shows(perf("--record-size", "100", config, settings, b.of("--producer-props", "--command-property"), "compression.type="+codec), "2000 records sent")
	}
	b.shows(perf("--payload-file", file(b.t, "payload", "one\ntwo\nthree\n"), config, settings), "2000 records sent")
	b.shows(perf("--payload-monotonic", config, settings, "--print-metrics"), "2000 records sent", "producer-metrics:record-send-total")
	count := b.of("--messages", "--num-records")
	b.shows(b.run("", consumerPerf, "--topic", topic, count, "10000", "--timeout", "30000", "--group", topic+"-perf", "--show-detailed-stats", "--reporting-interval", "100", "--print-metrics", "--fetch-size", "65536"), "consumer-fetch-manager-metrics:records-consumed-total")
	b.shows(b.run("", consumerPerf, "--topic", topic, count, "10000", "--timeout", "30000", "--hide-header"), ", 1[0-9]{4}, ")
}
