package store

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dump is testdata/zk-three-brokers.json.gz: the tree of a cluster of three Apache Kafka 3.9.2 brokers, at twenty stages
// of its life.
type dump []struct {
	Stage string
	Nodes []struct {
		Path string
		Data *string
	}
}

func readDump(t *testing.T) dump {
	t.Helper()
	f, err := os.Open("testdata/zk-three-brokers.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var d dump
	if err := json.NewDecoder(z).Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// again decodes and encodes.
func again[T any](dec func([]byte) (T, error), enc func(T) []byte) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		v, err := dec(b)
		if err != nil {
			return nil, err
		}
		return enc(v), nil
	}
}

func TestWhatKafkaWroteSurvivesByteForByte(t *testing.T) {
	kinds := []struct {
		path  string
		again func([]byte) ([]byte, error)
	}{
		{`^/brokers/ids/\d+$`, again(DecodeBroker, EncodeBroker)},
		{`^/brokers/topics/[^/]+$`, again(DecodeTopic, EncodeTopic)},
		{`^/brokers/topics/[^/]+/partitions/\d+/state$`, again(DecodePartitionState, EncodePartitionState)},
		{`^/cluster/id$`, again(DecodeClusterID, EncodeClusterID)},
		{`^/controller$`, again(DecodeController, EncodeController)},
		{`^/controller_epoch$`, again(DecodeControllerEpoch, EncodeControllerEpoch)},
		{`^/feature$`, again(DecodeFeatures, EncodeFeatures)},
		{`^/latest_producer_id_block$`, again(DecodeProducerIDBlock, EncodeProducerIDBlock)},
		{`^/config/changes/config_change_\d{10}$`, func(b []byte) ([]byte, error) {
			kind, name, err := DecodeConfigChange(b)
			return EncodeConfigChange(kind, name), err
		}},
		{`^/config/(topics|clients|users|brokers|ips)/.+$`, again(DecodeConfig, EncodeConfig)},
		{`^/log_dir_event_notification/log_dir_event_\d{10}$`, again(DecodeLogDirEvent, EncodeLogDirEvent)},
	}
	seen := make([]int, len(kinds))
	for _, stage := range readDump(t) {
		for _, n := range stage.Nodes {
			if n.Data == nil || strings.HasPrefix(n.Path, "/kafka-acl") {
				continue
			}
			i := slices.IndexFunc(kinds, func(k struct {
				path  string
				again func([]byte) ([]byte, error)
			}) bool {
				return regexp.MustCompile(k.path).MatchString(n.Path)
			})
			if i < 0 {
				t.Errorf("%s: %s: no codec for %q", stage.Stage, n.Path, *n.Data)
				continue
			}
			seen[i]++
			got, err := kinds[i].again([]byte(*n.Data))
			if err != nil {
				t.Errorf("%s: %s: %v", stage.Stage, n.Path, err)
			} else if string(got) != *n.Data {
				t.Errorf("%s: %s:\nkafka %s\nours  %s", stage.Stage, n.Path, *n.Data, got)
			}
		}
	}
	for i, k := range kinds[:10] { // no log dir failed there
		if seen[i] == 0 {
			t.Errorf("nothing in the dump matches %s", k.path)
		}
	}
}

// The fixed key orders of our encoders are what the hash tables give.
func TestKeyOrders(t *testing.T) {
	name := func(s string) string { return s }
	state := []string{"version", "leader", "leader_epoch", "controller_epoch", "isr"}
	immutableOrder(state, name)
	if want := []string{"controller_epoch", "leader", "version", "leader_epoch", "isr"}; !slices.Equal(state, want) {
		t.Errorf("partition state: %v, want %v", state, want)
	}
	state = append(state, "leader_recovery_state")
	immutableOrder(state, name)
	text := string(EncodePartitionState(PartitionState{Recovering: true}))
	if got := keysOf(t, text); !slices.Equal(got, state) {
		t.Errorf("recovering partition state %v, want %v", got, state)
	}
	broker := []string{"version", "host", "port", "endpoints", "jmx_port", "timestamp", "rack", "listener_security_protocol_map", "features"}
	mutableOrder(broker, name)
	rack := "r"
	if got := keysOf(t, string(EncodeBroker(BrokerRegistration{Rack: &rack}))); !slices.Equal(got, broker) {
		t.Errorf("broker %v, want %v", got, broker)
	}
}

func keysOf(t *testing.T, text string) (keys []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	depth := 0
	for {
		tok, err := d.Token()
		if err != nil {
			return keys
		}
		switch tok := tok.(type) {
		case json.Delim:
			if tok == '{' || tok == '[' {
				depth++
			} else {
				depth--
			}
		case string:
			if depth == 1 && !slices.Contains(keys, tok) && strings.Contains(text, `"`+tok+`":`) {
				keys = append(keys, tok)
			}
		}
	}
}

func TestMorePartitionsThanTheFirstTableHolds(t *testing.T) {
	// With 12 keys the table has 32 buckets; '0'..'9' hash to 48..57 and "10", "11" to 1567, 1568: buckets 31 and 0.
	p := map[int32][]int32{}
	for i := range int32(12) {
		p[i] = []int32{1}
	}
	want := `{"partitions":{"11":[1],"0":[1],"1":[1],"2":[1],"3":[1],"4":[1],"5":[1],"6":[1],"7":[1],"8":[1],"9":[1],"10":[1]},` +
		`"adding_replicas":{},"removing_replicas":{},"version":3}`
	if got := string(EncodeTopic(Topic{Partitions: p})); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

func TestOldForms(t *testing.T) {
	topic, err := DecodeTopic([]byte(`{"version":1,"partitions":{"1":[2,3],"0":[1]},"else":null}`))
	want := Topic{Partitions: map[int32][]int32{0: {1}, 1: {2, 3}}, Adding: map[int32][]int32{}, Removing: map[int32][]int32{}}
	if d := cmp.Diff(want, topic); err != nil || d != "" {
		t.Error(err, d)
	}
	b, err := DecodeBroker([]byte(`{"jmx_port":9999,"timestamp":"1","host":"h","version":1,"port":9092}`))
	if d := cmp.Diff(BrokerRegistration{Version: 1, JMXPort: 9999, Timestamp: 1, Endpoints: []Endpoint{{"PLAINTEXT", "PLAINTEXT", "h", 9092}}}, b); err != nil || d != "" {
		t.Error(err, d)
	}
	b, err = DecodeBroker([]byte(`{"jmx_port":-1,"timestamp":"1","host":null,"version":3,"port":-1,"endpoints":["SSL://[::1]:9093"],"rack":null}`))
	if d := cmp.Diff(BrokerRegistration{Version: 3, JMXPort: -1, Timestamp: 1, Endpoints: []Endpoint{{"SSL", "SSL", "::1", 9093}}}, b); err != nil || d != "" {
		t.Error(err, d)
	}
	kind, name, err := DecodeConfigChange([]byte(`{"version":1,"entity_type":"topics","entity_name":"T"}`))
	if kind != ConfigTopics || name != "T" || err != nil {
		t.Error(kind, name, err)
	}
	block, err := DecodeProducerIDBlock(nil)
	if block.Last+1 != 0 || err != nil {
		t.Error(block, err)
	}
	f, err := DecodeFeatures([]byte(`{"features":{"a":{"min_version_level":1,"max_version_level":3}},"version":1,"status":0}`))
	if d := cmp.Diff(Features{Version: 1, Levels: map[string]int16{"a": 3}}, f); err != nil || d != "" {
		t.Error(err, d)
	}
}

func TestRegistrationWithoutPlaintext(t *testing.T) {
	r := BrokerRegistration{
		Endpoints: []Endpoint{{"INTERNAL", "SSL", "::1", 9093}, {"OUTSIDE", "SASL_SSL", "", 9094}},
		JMXPort:   -1, Timestamp: 1731000000000,
	}
	want := `{"features":{},"listener_security_protocol_map":{"INTERNAL":"SSL","OUTSIDE":"SASL_SSL"},` +
		`"endpoints":["INTERNAL://[::1]:9093","OUTSIDE://:9094"],"jmx_port":-1,"port":-1,"host":null,"version":5,"timestamp":"1731000000000"}`
	if got := string(EncodeBroker(r)); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	r.Version = 4
	if got := string(EncodeBroker(r)); got != strings.Replace(strings.Replace(want, `"features":{},`, "", 1), `"version":5`, `"version":4`, 1) {
		t.Errorf("version 4: %s", got)
	}
	back, err := DecodeBroker([]byte(want))
	r.Version, r.Features = 5, map[string]FeatureRange{}
	if d := cmp.Diff(r, back); err != nil || d != "" {
		t.Error(err, d)
	}
}

func TestStringsAsJacksonWritesThem(t *testing.T) {
	got := string(EncodeConfig(map[string]string{"k": "a\"\\\b\t\n\f\r\x01\x1f\x7f/<>&é😀\u2028"}))
	want := "{\"version\":1,\"config\":{\"k\":\"a\\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001F\x7f/<>&é😀\u2028\"}}"
	if got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	back, err := DecodeConfig([]byte(got))
	if err != nil || back["k"] != "a\"\\\b\t\n\f\r\x01\x1f\x7f/<>&é😀\u2028" {
		t.Error(err, back)
	}
}

func TestSanitize(t *testing.T) {
	for name, want := range map[string]string{
		"cli 1*": "cli%201%2A", "CN=a b+c,O=x/y": "CN%3Da%20b%2Bc%2CO%3Dx%2Fy", "a.b-c_d~é": "a.b-c_d%7E%C3%A9", "": "",
		".": "%2E", "..": "%2E%2E", "...": "...", // no node is called as the first two are
	} {
		if got := Sanitize(name); got != want {
			t.Errorf("Sanitize(%q) = %q, want %q", name, got, want)
		}
		if back, err := Desanitize(want); back != name || err != nil {
			t.Errorf("Desanitize(%q) = %q, %v", want, back, err)
		}
	}
	if _, err := Desanitize("%zz"); err == nil {
		t.Error("no error for a bad escape")
	}
}

func TestPartitionLists(t *testing.T) {
	list := []TopicPartition{{"t", 1}, {"u", 0}}
	text := EncodePartitions(list)
	if want := `{"version":1,"partitions":[{"topic":"t","partition":1},{"topic":"u","partition":0}]}`; string(text) != want {
		t.Errorf("%s", text)
	}
	back, err := DecodePartitions(text)
	if d := cmp.Diff(list, back); err != nil || d != "" {
		t.Error(err, d)
	}
	target := map[TopicPartition][]int32{{"u", 0}: {1}, {"t", 0}: {1, 2}}
	text = EncodeReassignment(target)
	if want := `{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2]},{"topic":"u","partition":0,"replicas":[1]}]}`; string(text) != want {
		t.Errorf("%s", text)
	}
	again, err := DecodeReassignment(text)
	if d := cmp.Diff(target, again); err != nil || d != "" {
		t.Error(err, d)
	}
}

// What is broken is an error that shows what was there, for each codec, and never a panic.
func TestBrokenContent(t *testing.T) {
	decoders := map[string]func([]byte) error{
		"broker":      func(b []byte) error { _, err := DecodeBroker(b); return err },
		"topic":       func(b []byte) error { _, err := DecodeTopic(b); return err },
		"state":       func(b []byte) error { _, err := DecodePartitionState(b); return err },
		"cluster":     func(b []byte) error { _, err := DecodeClusterID(b); return err },
		"controller":  func(b []byte) error { _, err := DecodeController(b); return err },
		"epoch":       func(b []byte) error { _, err := DecodeControllerEpoch(b); return err },
		"block":       func(b []byte) error { _, err := DecodeProducerIDBlock(b); return err },
		"feature":     func(b []byte) error { _, err := DecodeFeatures(b); return err },
		"change":      func(b []byte) error { _, _, err := DecodeConfigChange(b); return err },
		"logdir":      func(b []byte) error { _, err := DecodeLogDirEvent(b); return err },
		"partitions":  func(b []byte) error { _, err := DecodePartitions(b); return err },
		"reassign":    func(b []byte) error { _, err := DecodeReassignment(b); return err },
		"offset":      func(b []byte) error { _, err := DecodeConsumerOffset(b); return err },
		"config":      func(b []byte) error { _, err := DecodeConfig(b); return err },
		"desanitized": func(b []byte) error { _, err := Desanitize(string(b) + "%"); return err },
	}
	lenient := map[string][]string{ // an object without the key is an empty list there
		"partitions": {`{}`}, "reassign": {`{}`}, "config": {`{}`}, "topic": {`{}`},
	}
	for name, decode := range decoders {
		for _, text := range []string{"", "{", "[]", "x", `{}`, `{"partitions":[{}],"config":3}`, `{"version":9}`, `{"version":1,"broker":"x"}`} {
			err := decode([]byte(text))
			if (err != nil) == slices.Contains(lenient[name], text) && text != `{"version":9}` && text != `{"version":1,"broker":"x"}` {
				t.Errorf("%s of %q: %v", name, text, err)
			}
		}
	}
	for _, text := range []string{
		`{"version":5,"jmx_port":-1,"endpoints":["nonsense"]}`,
		`{"version":5,"jmx_port":-1,"endpoints":["A://h:x"]}`,
		`{"version":5,"jmx_port":-1,"endpoints":["A://h:1"],"listener_security_protocol_map":{"B":"SSL"}}`,
		`{"version":0,"jmx_port":-1}`, `{"version":1,"jmx_port":-1}`, `{"version":2,"jmx_port":-1}`,
	} {
		if _, err := DecodeBroker([]byte(text)); err == nil {
			t.Errorf("no error for %s", text)
		}
	}
	for _, text := range []string{`{"partitions":{"x":[1]}}`, `{"partitions":{"-1":[1]}}`, `{"topic_id":"short"}`} {
		if _, err := DecodeTopic([]byte(text)); err == nil {
			t.Errorf("no error for %s", text)
		}
	}
}

func TestTopicIDs(t *testing.T) {
	for range 1000 {
		id := NewTopicID()
		text := TopicIDText(id)
		if back, err := ParseTopicID(text); len(text) != 22 || text[0] == '-' || err != nil || back != id {
			t.Fatalf("%q: %v", text, err)
		}
	}
}

func TestPaths(t *testing.T) {
	for path, ok := range map[string]bool{
		"/": true, "/a": true, "/a/b.c": true, "/<default>": true, "": false, "a": false, "/a/": false, "//": false,
		"/a//b": false, "/a/./b": false, "/..": false, "/a\x00": false, "/a\x7f": false, "/\uf000": false, "/é": true,
		"/\xff": false, "/😀": false,
	} {
		if err := CheckPath(path); (err == nil) != ok {
			t.Errorf("CheckPath(%q) = %v", path, err)
		}
	}
	if Parent("/a/b") != "/a" || Parent("/a") != "/" || Name("/a/b") != "b" {
		t.Error("Parent or Name")
	}
	if n, ok := SequenceOf("config_change_0000000042"); n != 42 || !ok {
		t.Error(n, ok)
	}
	if _, ok := SequenceOf("x"); ok {
		t.Error("a name without a sequence has one")
	}
	if got := PartitionStatePath("t", 3); got != "/brokers/topics/t/partitions/3/state" {
		t.Error(got)
	}
	if got := ConsumerOffsetPath("g", "t", 3); got != "/consumers/g/offsets/t/3" {
		t.Error(got)
	}
}
