package api

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap/zapcore"

	"barnabas/broker/config"
	"barnabas/coordinator/controller"
)

// fakeConfigs keeps configs in memory, as the store does, for topics and brokers alike.
type fakeConfigs struct {
	configs map[string]map[string]string // by "type/name"
	writes  []string
	fail    error
	version int32
	// before is called before a write, once.
	before func()
}

func (s *fakeConfigs) TopicConfig(topic string) (map[string]string, bool) {
	c, ok := s.configs["topics/"+topic]
	return c, ok
}

func (s *fakeConfigs) EntityConfig(_ context.Context, entityType, name string) (map[string]string, int32, error) {
	return s.configs[entityType+"/"+name], s.version, nil
}

func (s *fakeConfigs) SetConfigs(_ context.Context, entityType, name string, settings map[string]string, version int32) error {
	if f := s.before; f != nil {
		s.before = nil
		f()
	}
	switch {
	case s.fail != nil:
		return s.fail
	case version != controller.AnyConfig && version != s.version:
		return controller.ErrConfigChanged
	}
	s.version++
	s.configs[entityType+"/"+name] = settings
	s.writes = append(s.writes, entityType+"/"+name+" "+listed(settings))
	return nil
}

func listed(settings map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		parts = append(parts, k+"="+settings[k])
	}
	return strings.Join(parts, " ")
}

func newConfigs(t *testing.T, props map[string]string, stored map[string]map[string]string) (*Configs, *fakeConfigs) {
	t.Helper()
	static, err := config.NewStatic(props)
	if err != nil {
		t.Fatal(err)
	}
	store := &fakeConfigs{configs: stored}
	settings := config.NewSettings(static, 2)
	return &Configs{
		Settings: settings, Loggers: config.NewLoggers(zapcore.InfoLevel), Topics: store, Store: store,
		Changed: func(_ context.Context, entityType, name string) {
			c := store.configs[entityType+"/"+name]
			if entityType == "brokers" && name == "<default>" {
				settings.ApplyDefault(c)
			} else if entityType == "brokers" {
				settings.ApplyBroker(c)
			} else if entityType == "groups" {
				settings.ApplyGroup(name, c)
			}
		},
	}, store
}

// The answers that a 3.9.2 broker gave to unmodified Java clients, byte for byte once the rows are in the same order
// (Java's is that of its hash map).
func TestConfigsAnswerAsKafkaDid(t *testing.T) {
	overrides := map[string]string{"retention.ms": "-1"}
	f, store := newConfigs(t, map[string]string{"log.segment.delete.delay.ms": "1000"},
		map[string]map[string]string{"topics/java-39": overrides, "topics/java-43": maps.Clone(overrides)})
	file, err := os.Open("testdata/configs-3.9.2.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	var reply Reply
	pairs := 0
	for lines.Scan() {
		field := strings.Fields(lines.Text())
		frame, err := hex.DecodeString(field[4])
		if err != nil {
			t.Fatal(err)
		}
		what := strings.Join(field[:4], " ")
		if field[1] == ">" {
			body := frame[10+int(frame[9])+1:] // key, version, correlation, client id, no tags
			if field[2] == "32" {
				req := kmsg.NewPtrDescribeConfigsRequest()
				decodeConfigs(t, what, req, req.MaxVersion(), body)
				reply = f.DescribeConfigs(&Call{Version: req.Version}, req)
			} else {
				req := kmsg.NewPtrIncrementalAlterConfigsRequest()
				decodeConfigs(t, what, req, req.MaxVersion(), body)
				reply = f.IncrementalAlterConfigs(&Call{Version: req.Version}, req)
			}
			continue
		}
		pairs++
		got := reply.Await(t.Context())
		want := frame[5:] // correlation, no tags
		if d, ok := got.(*kmsg.DescribeConfigsResponse); ok {
			theirs := kmsg.NewPtrDescribeConfigsResponse()
			decodeConfigs(t, what, theirs, theirs.MaxVersion(), want)
			for _, r := range [][]kmsg.DescribeConfigsResponseResourceConfig{theirs.Resources[0].Configs, d.Resources[0].Configs} {
				slices.SortFunc(r, func(a, b kmsg.DescribeConfigsResponseResourceConfig) int { return strings.Compare(a.Name, b.Name) })
			}
			if diff := cmp.Diff(theirs, d, cmp.AllowUnexported(kmsg.Tags{})); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
			want = theirs.AppendTo(nil)
		}
		if diff := cmp.Diff(want, got.AppendTo(nil)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	if pairs != 7 || len(store.writes) != 2 || store.writes[0] != "topics/java-39 retention.ms=-1 segment.bytes=1048576" {
		t.Errorf("%d answers, writes %q", pairs, store.writes)
	}
}

type versioned interface {
	SetVersion(int16)
	ReadFrom([]byte) error
}

func decodeConfigs(t *testing.T, what string, v versioned, version int16, body []byte) {
	t.Helper()
	v.SetVersion(version)
	if err := v.ReadFrom(body); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestDescribeEveryKindAtEveryVersion(t *testing.T) {
	f, _ := newConfigs(t, nil, map[string]map[string]string{"topics/t": {"segment.ms": "5"}})
	f.Settings.ApplyDefault(map[string]string{"log.retention.ms": "9"})
	for _, c := range []struct {
		kind kmsg.ConfigResourceType
		name string
		rows int
		code int16
		text string
	}{
		{2, "t", 36, 0, ""},
		{2, "u", 0, 3, ""},
		{2, "a b", 0, 17, "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{2, "", 0, 17, "Topic name is invalid: the empty string is not allowed"},
		{2, "..", 0, 17, "Topic name is invalid: '..' is not allowed"},
		{2, strings.Repeat("x", 250), 0, 17, "Topic name is invalid: the length of '" + strings.Repeat("x", 250) + "' is longer than the max allowed length 249"},
		{4, "2", 315, 0, ""},
		{4, "", 1, 0, ""},
		{4, "1", 0, 42, "Unexpected broker id, expected 2 or empty string, but received 1"},
		{4, "abc", 0, 42, "Broker id must be an integer, but it is: abc"},
		{8, "2", 9, 0, ""},
		{8, "", 0, 42, "Broker id must not be empty"},
		{8, "3", 0, 42, "Unexpected broker id, expected 2 but received 3"},
		{8, "x", 0, 42, "Broker id must be an integer, but it is: x"},
		{16, "", 0, 42, "Client metrics subscription name must not be empty"},
		{16, "m", 0, 42, "Config type client-metrics is only supported on KRaft clusters"},
		{32, "g", 2, 0, ""},
		{32, "", 0, 42, "Group name must not be empty"},
		{64, "g", 0, 42, "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details."},
	} {
		for version := range kmsg.NewPtrDescribeConfigsRequest().MaxVersion() + 1 {
			req := kmsg.NewPtrDescribeConfigsRequest()
			req.Version, req.IncludeSynonyms, req.IncludeDocumentation = version, true, true
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName = c.kind, c.name
			req.Resources = append(req.Resources, r)
			resp := f.DescribeConfigs(&Call{Version: version}, req).Await(t.Context()).(*kmsg.DescribeConfigsResponse)
			again := kmsg.NewPtrDescribeConfigsResponse()
			decodeConfigs(t, "answer", again, version, resp.AppendTo(nil))
			a := again.Resources[0]
			if len(a.Configs) != c.rows || a.ErrorCode != c.code || a.ErrorMessage == nil || *a.ErrorMessage != c.text || a.ResourceName != c.name || a.ResourceType != c.kind {
				t.Errorf("v%d of %v %q: %d rows, code %d, %v", version, c.kind, c.name, len(a.Configs), a.ErrorCode, a.ErrorMessage)
			}
			if c.name == "t" {
				i := slices.IndexFunc(a.Configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool { return c.Name == "segment.ms" })
				row := a.Configs[i]
				if *row.Value != "5" || row.IsDefault || version >= 1 && (row.Source != 1 || len(row.ConfigSynonyms) != 1) ||
					version >= 3 && (row.ConfigType != 5 || row.Documentation == nil) {
					t.Errorf("v%d: %+v", version, row)
				}
			}
		}
	}
}

func TestDescribeOnlyWhatIsAsked(t *testing.T) {
	f, _ := newConfigs(t, nil, map[string]map[string]string{"topics/t": nil})
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version = 4
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = 2, "t", []string{"retention.ms", "bogus"}
	req.Resources = append(req.Resources, r)
	resp := f.DescribeConfigs(&Call{Version: 4}, req).Await(t.Context()).(*kmsg.DescribeConfigsResponse)
	if c := resp.Resources[0].Configs; len(c) != 1 || c[0].Name != "retention.ms" || c[0].Documentation != nil || len(c[0].ConfigSynonyms) != 0 {
		t.Errorf("%+v", c)
	}
	// A logger has an empty documentation, asked for or not; we once sent null.
	req.Resources[0].ResourceType, req.Resources[0].ResourceName, req.Resources[0].ConfigNames = 8, "2", []string{"root"}
	resp = f.DescribeConfigs(&Call{Version: 4}, req).Await(t.Context()).(*kmsg.DescribeConfigsResponse)
	if c := resp.Resources[0].Configs; len(c) != 1 || c[0].Documentation == nil || *c[0].Documentation != "" {
		t.Errorf("%+v", c)
	}
}

// step is one resource of an alter request and what must come of it.
type step struct {
	kind  kmsg.ConfigResourceType
	name  string
	ops   string // "+k=v" appends, "-k=v" subtracts, "!k" deletes, "?k=v" is an operation that does not exist, "k" is null
	code  int16
	text  string // "<nil>" for none
	write string // what reaches the store
}

func TestIncrementalAlterConfigs(t *testing.T) {
	for _, s := range []step{
		{2, "t", "retention.ms=5", 0, "<nil>", "topics/t cleanup.policy=compact retention.ms=5"},
		{2, "t", "!cleanup.policy", 0, "<nil>", "topics/t "},
		{2, "t", "!preallocate", 0, "<nil>", "topics/t cleanup.policy=compact"},
		{2, "t", "+cleanup.policy=delete", 0, "<nil>", "topics/t cleanup.policy=compact,delete"},
		{2, "t", "+cleanup.policy=compact", 0, "<nil>", "topics/t cleanup.policy=compact"},
		{2, "t", "-cleanup.policy=compact", 0, "<nil>", "topics/t cleanup.policy="},
		{2, "t", "-cleanup.policy=delete", 0, "<nil>", "topics/t cleanup.policy=compact"},
		{2, "t", "+leader.replication.throttled.replicas=0:1,0:2", 0, "<nil>", "topics/t cleanup.policy=compact leader.replication.throttled.replicas=0:1,0:2"},
		{2, "t", "+retention.ms=5", 40, "Config value append is not allowed for config key: retention.ms", ""},
		{2, "t", "-retention.ms=5", 40, "Config value subtract is not allowed for config key: retention.ms", ""},
		{2, "t", "+bogus=5", -1, "<nil>", ""},
		{2, "t", "?retention.ms=5", -1, "<nil>", ""},
		{2, "t", "bogus=5", 40, "Unknown topic config name: bogus", ""},
		{2, "t", "retention.ms=soon", 40, "Invalid config value for resource ConfigResource(type=TOPIC, name='t'): Invalid value soon for configuration retention.ms: Not a number of type LONG", ""},
		{2, "t", "+cleanup.policy=shred", 40, "Invalid config value for resource ConfigResource(type=TOPIC, name='t'): Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete", ""},
		{2, "t", "retention.ms=1 retention.ms=2", 42, "Error due to duplicate config keys", ""},
		{2, "t", "retention.ms segment.ms", 42, "Null value not supported for : retention.ms, segment.ms", ""},
		{2, "u", "retention.ms=5", 3, "The topic 'u' does not exist.", ""},
		{2, "a/b", "retention.ms=5", 3, "The topic 'a/b' does not exist.", ""},
		{2, "", "retention.ms=5", 42, "Default topic resources are not allowed.", ""},
		// Nothing appended is an element too, as Java splits; we once took it for no element.
		{2, "t", "+cleanup.policy=", 40, "Invalid config value for resource ConfigResource(type=TOPIC, name='t'): Invalid value  for configuration cleanup.policy: String must be one of: compact, delete", ""},
		{4, "2", "max.connections=7", 0, "<nil>", "brokers/2 log.cleaner.threads=2 max.connections=7"},
		{4, "", "log.retention.ms=7", 0, "<nil>", "brokers/<default> log.retention.ms=7"},
		{4, "2", "broker.rack=r", 42, "Cannot update these configs dynamically: Set(broker.rack)", ""},
		{4, "2", "num.io.threads=abc", 42, "Invalid value abc for configuration num.io.threads: Not a number of type INT", ""},
		{4, "2", "num.io.threads=80", 42, "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation failed for " +
			"num.io.threads=80, value should not be greater than double the current value 8 for configuration Invalid dynamic configuration", ""},
		{4, "2", "?max.connections=7", 42, "Unknown operations type 9", ""},
		{4, "2", "+max.connections=7", 40, "Config value append is not allowed for config key: max.connections", ""},
		{4, "2", "listener.name.a.ssl.key.password=x", 40, "Invalid config value for resource ConfigResource(type=BROKER, name='2'): Password encoder secret not configured", ""},
		{4, "9", "max.connections=7", 42, "Unexpected broker id, expected 2, but received 9", ""},
		{4, "x", "max.connections=7", 42, "Node id must be an integer, but it is: x", ""},
		{8, "2", "storage=DEBUG", 0, "<nil>", ""},
		{8, "2", "storage=LOUD", 40, "Cannot set the log level of storage to LOUD as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN", ""},
		{8, "2", "nobody=INFO", 40, "Logger nobody does not exist!", ""},
		{8, "2", "!root", 42, "Removing the log level of the root logger is not allowed", ""},
		{8, "2", "!storage", 0, "<nil>", ""},
		{8, "2", "+storage=INFO", 42, "APPEND operation is not allowed for the BROKER_LOGGER resource", ""},
		{8, "2", "-storage=INFO", 42, "SUBTRACT operation is not allowed for the BROKER_LOGGER resource", ""},
		{8, "2", "?storage=INFO", 42, "Unknown operation type 9 is not allowed for the BROKER_LOGGER resource", ""},
		{8, "3", "storage=INFO", 42, "Unexpected node id. Expected 2, but received 2", ""},
		{8, "", "storage=INFO", 42, "Node id must be an integer, but it is: ", ""},
		{16, "m", "a=b", 42, "AlterConfigs is only supported for topics and brokers, but resource type is CLIENT_METRICS", ""},
		// As a 4.3.1 broker answered; 3.9 knows nothing of groups here.
		{32, "g", "consumer.session.timeout.ms=50000", 0, "<nil>", "groups/g consumer.heartbeat.interval.ms=6000 consumer.session.timeout.ms=50000"},
		{32, "a/b c", "consumer.session.timeout.ms=50000", 0, "<nil>", "groups/a/b c consumer.session.timeout.ms=50000"},
		{32, "g", "!consumer.heartbeat.interval.ms", 0, "<nil>", "groups/g "},
		{32, "g", "!foo", 0, "<nil>", "groups/g consumer.heartbeat.interval.ms=6000"},
		{32, "g", "foo=1", 40, "Unknown group config name: foo", ""},
		{32, "g", "consumer.session.timeout.ms=x", 40, "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT", ""},
		{32, "g", "consumer.session.timeout.ms=0", 40, "Invalid value 0 for configuration consumer.session.timeout.ms: Value must be at least 1", ""},
		{32, "g", "consumer.session.timeout.ms=44999", 40, "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms", ""},
		{32, "g", "consumer.session.timeout.ms=60001", 40, "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms", ""},
		{32, "g", "consumer.heartbeat.interval.ms=4999", 40, "consumer.heartbeat.interval.ms must be greater than or equal to group.consumer.min.heartbeat.interval.ms", ""},
		{32, "g", "consumer.heartbeat.interval.ms=15001", 40, "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms", ""},
		{32, "g", "consumer.session.timeout.ms", 42, "Null value not supported for : consumer.session.timeout.ms", ""},
		{32, "g", "+consumer.session.timeout.ms=5", 40, "Can't APPEND to key consumer.session.timeout.ms because its type is not LIST.", ""},
		{32, "g", "+foo=5", 40, "Can't APPEND to key foo because its type is not LIST.", ""},
		{32, "g", "-foo=5", 40, "Can't SUBTRACT from key foo because its type is not LIST.", ""},
		{32, "g", "?consumer.session.timeout.ms=5", -1, "<nil>", ""},
		{32, "g", "!foo !foo", 42, "Error due to duplicate config keys", ""},
		{32, "", "consumer.session.timeout.ms=50000", 42, "Default group resources are not allowed.", ""},
		{32, strings.Repeat("g", 10001), "consumer.session.timeout.ms=50000", 42, "The name of a group with settings has at most 10000 bytes.", ""},
		{64, "g", "a=b", 42, "Unknown resource type 64", ""},
		{0, "", "", 42, "Unknown resource type 0", ""},
	} {
		for version := range kmsg.NewPtrIncrementalAlterConfigsRequest().MaxVersion() + 1 {
			for _, validateOnly := range []bool{false, true} {
				f, store := newConfigs(t, nil, map[string]map[string]string{
					"topics/t": {"cleanup.policy": "compact"}, "brokers/2": {"log.cleaner.threads": "2"},
					"groups/g": {"consumer.heartbeat.interval.ms": "6000"},
				})
				req := kmsg.NewPtrIncrementalAlterConfigsRequest()
				req.Version, req.ValidateOnly = version, validateOnly
				r := kmsg.NewIncrementalAlterConfigsRequestResource()
				r.ResourceType, r.ResourceName = s.kind, s.name
				for _, text := range strings.Fields(s.ops) {
					c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
					if op := strings.IndexByte("_!+-", text[0]); op > 0 {
						c.Op, text = kmsg.IncrementalAlterConfigOp(op), text[1:]
					} else if text[0] == '?' {
						c.Op, text = 9, text[1:]
					}
					name, value, hasValue := strings.Cut(text, "=")
					if c.Name = name; hasValue {
						c.Value = &value
					}
					r.Configs = append(r.Configs, c)
				}
				req.Resources = append(req.Resources, r)
				resp := f.IncrementalAlterConfigs(&Call{Version: version}, req).Await(t.Context()).(*kmsg.IncrementalAlterConfigsResponse)
				again := kmsg.NewPtrIncrementalAlterConfigsResponse()
				decodeConfigs(t, "answer", again, version, resp.AppendTo(nil))
				a := again.Resources[0]
				check(t, s, validateOnly, a.ErrorCode, a.ErrorMessage, store.writes)
			}
		}
	}
}

func TestAlterConfigs(t *testing.T) {
	for _, s := range []step{
		{2, "t", "retention.ms=5 segment.ms=6", 0, "<nil>", "topics/t retention.ms=5 segment.ms=6"},
		{2, "t", "", 0, "<nil>", "topics/t "},
		{2, "t", "bogus=5", 40, "Unknown topic config name: bogus", ""},
		{2, "t", "retention.ms=-7", 40, "Invalid config value for resource ConfigResource(type=TOPIC, name='t'): Invalid value -7 for configuration retention.ms: Value must be at least -1", ""},
		{2, "t", "retention.ms", 42, "Null value not supported for : retention.ms", ""},
		{2, "t", "a=1 a=1", 42, "Error due to duplicate config keys", ""},
		{2, "u", "retention.ms=5", 3, "The topic 'u' does not exist.", ""},
		{2, "", "retention.ms=5", 42, "Default topic resources are not allowed.", ""},
		{4, "2", "max.connections=7", 0, "<nil>", "brokers/2 max.connections=7"},
		{4, "", "max.connections=7", 0, "<nil>", "brokers/<default> max.connections=7"},
		{4, "", "listener.name.a.ssl.key.password=x", 42, "Cannot update these configs at default cluster level, broker id must be specified: Set(listener.name.a.ssl.key.password)", ""},
		{4, "9", "max.connections=7", 42, "Unexpected broker id, expected 2, but received 9", ""},
		{32, "g", "consumer.session.timeout.ms=51000 consumer.heartbeat.interval.ms=6000", 0, "<nil>", "groups/g consumer.heartbeat.interval.ms=6000 consumer.session.timeout.ms=51000"},
		{32, "g", "", 0, "<nil>", "groups/g "},
		{32, "g", "consumer.session.timeout.ms=1", 40, "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms", ""},
		{32, "", "consumer.session.timeout.ms=51000", 42, "Default group resources are not allowed.", ""},
		{8, "2", "storage=DEBUG", 42, "Unknown resource type 8", ""},
		{16, "m", "a=b", 42, "AlterConfigs is only supported for topics and brokers, but resource type is CLIENT_METRICS", ""},
	} {
		for version := range kmsg.NewPtrAlterConfigsRequest().MaxVersion() + 1 {
			for _, validateOnly := range []bool{false, true} {
				f, store := newConfigs(t, nil, map[string]map[string]string{
					"topics/t": {"cleanup.policy": "compact"}, "brokers/2": {"log.cleaner.threads": "2"},
				})
				req := kmsg.NewPtrAlterConfigsRequest()
				req.Version, req.ValidateOnly = version, validateOnly
				r := kmsg.NewAlterConfigsRequestResource()
				r.ResourceType, r.ResourceName = s.kind, s.name
				for _, text := range strings.Fields(s.ops) {
					c := kmsg.NewAlterConfigsRequestResourceConfig()
					name, value, hasValue := strings.Cut(text, "=")
					if c.Name = name; hasValue {
						c.Value = &value
					}
					r.Configs = append(r.Configs, c)
				}
				req.Resources = append(req.Resources, r)
				resp := f.AlterConfigs(&Call{Version: version}, req).Await(t.Context()).(*kmsg.AlterConfigsResponse)
				again := kmsg.NewPtrAlterConfigsResponse()
				decodeConfigs(t, "answer", again, version, resp.AppendTo(nil))
				a := again.Resources[0]
				check(t, s, validateOnly, a.ErrorCode, a.ErrorMessage, store.writes)
			}
		}
	}
}

func check(t *testing.T, s step, validateOnly bool, code int16, message *string, writes []string) {
	t.Helper()
	text := "<nil>"
	if message != nil {
		text = *message
	}
	what := fmt.Sprintf("%v %q %q", s.kind, s.name, s.ops)
	if code != s.code || text != s.text {
		t.Errorf("%s:\n got %d %s\nwant %d %s", what, code, text, s.code, s.text)
	}
	if validateOnly || s.write == "" {
		if len(writes) > 0 {
			t.Errorf("%s: %q was written", what, writes)
		}
	} else if len(writes) != 1 || writes[0] != s.write {
		t.Errorf("%s: %q was written, want %q", what, writes, s.write)
	}
}

func TestResourcesAreIndependentAndUnique(t *testing.T) {
	f, store := newConfigs(t, nil, map[string]map[string]string{"topics/t": nil, "topics/u": nil})
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for _, name := range []string{"t", "gone", "u", "u"} {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = 2, name
		req.Resources = append(req.Resources, r)
	}
	resp := f.IncrementalAlterConfigs(&Call{}, req).Await(t.Context()).(*kmsg.IncrementalAlterConfigsResponse)
	var codes []int16
	for _, r := range resp.Resources {
		codes = append(codes, r.ErrorCode)
	}
	if diff := cmp.Diff([]int16{0, 3, 42, 42}, codes); diff != "" || len(store.writes) != 1 {
		t.Error(diff, store.writes)
	}
	if m := resp.Resources[2].ErrorMessage; m == nil || *m != "Each resource must appear at most once." {
		t.Error(m)
	}
}

// A change takes effect before it is answered, and one that the store refuses takes none.
func TestChangesTakeEffectAtOnce(t *testing.T) {
	f, store := newConfigs(t, nil, map[string]map[string]string{})
	alter := func() int16 {
		req := kmsg.NewPtrAlterConfigsRequest()
		r := kmsg.NewAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = 4, "2"
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		c.Name, c.Value = "max.connections", kmsg.StringPtr("7")
		r.Configs = append(r.Configs, c)
		req.Resources = append(req.Resources, r)
		return f.AlterConfigs(&Call{}, req).Await(t.Context()).(*kmsg.AlterConfigsResponse).Resources[0].ErrorCode
	}
	store.fail = fmt.Errorf("brokers/2: %w", kerr.RequestTimedOut)
	if code := alter(); code != kerr.RequestTimedOut.Code || f.Settings.Broker().MaxConnections == 7 {
		t.Errorf("code %d", code)
	}
	store.fail = nil
	if code := alter(); code != 0 || f.Settings.Broker().MaxConnections != 7 {
		t.Errorf("code %d, max.connections %d", code, f.Settings.Broker().MaxConnections)
	}
}

// A secret that another broker stored encrypted survives changes of other settings, and may be deleted.
func TestStoredSecretsSurvive(t *testing.T) {
	const secret = "listener.name.internal.ssl.keystore.password"
	f, store := newConfigs(t, nil, map[string]map[string]string{"brokers/2": {secret: "encryptedPassword:x"}})
	for _, op := range []struct {
		key   string
		value *string
		kind  kmsg.IncrementalAlterConfigOp
		write string
	}{
		{"max.connections", kmsg.StringPtr("7"), opSet, "brokers/2 " + secret + "=encryptedPassword:x max.connections=7"},
		{secret, nil, opDelete, "brokers/2 max.connections=7"},
	} {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = 4, "2"
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value, c.Op = op.key, op.value, op.kind
		r.Configs = append(r.Configs, c)
		req.Resources = append(req.Resources, r)
		resp := f.IncrementalAlterConfigs(&Call{}, req).Await(t.Context()).(*kmsg.IncrementalAlterConfigsResponse)
		if resp.Resources[0].ErrorCode != 0 || store.writes[len(store.writes)-1] != op.write {
			t.Errorf("%d, %q", resp.Resources[0].ErrorCode, store.writes)
		}
	}
}

// With password.encoder.secret a new secret is stored encrypted, and never shown.
func TestNewSecretsAreEncrypted(t *testing.T) {
	const secret = "listener.name.internal.ssl.keystore.password"
	f, store := newConfigs(t, map[string]string{"password.encoder.secret": "s"}, map[string]map[string]string{})
	req := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = 4, "2"
	c := kmsg.NewAlterConfigsRequestResourceConfig()
	c.Name, c.Value = secret, kmsg.StringPtr("hunter2")
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	resp := f.AlterConfigs(&Call{}, req).Await(t.Context()).(*kmsg.AlterConfigsResponse)
	stored := store.configs["brokers/2"][secret]
	if resp.Resources[0].ErrorCode != 0 || strings.Contains(stored, "hunter2") {
		t.Fatalf("%d, stored %q", resp.Resources[0].ErrorCode, stored)
	}
	if plain, err := f.Settings.Static().PasswordEncoder().Decode(stored); err != nil || plain != "hunter2" {
		t.Errorf("%q, %v", plain, err)
	}
	for _, row := range f.Settings.DescribeBroker() {
		if row.Name == secret && (row.Value != nil || !row.Sensitive || row.Synonyms[0].Value != nil) {
			t.Errorf("%+v", row)
		}
	}
}

// Two clients that change different settings of a topic at the same time both keep theirs: the one that comes second used
// to write what it had read before the first one wrote.
func TestChangesOfTheSameEntityAddUp(t *testing.T) {
	f, store := newConfigs(t, nil, map[string]map[string]string{"topics/t": {"retention.ms": "1"}})
	set := func(name, value string) {
		t.Helper()
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = name, &value
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.Configs = kmsg.ConfigResourceTypeTopic, "t", append(r.Configs, c)
		req.Resources = append(req.Resources, r)
		resp := f.IncrementalAlterConfigs(&Call{}, req).Await(t.Context()).(*kmsg.IncrementalAlterConfigsResponse)
		if code := resp.Resources[0].ErrorCode; code != 0 {
			t.Fatalf("%s: error %d", name, code)
		}
	}
	store.before = func() { set("segment.bytes", "2000000") }
	set("flush.ms", "7")
	if got, want := listed(store.configs["topics/t"]), "flush.ms=7 retention.ms=1 segment.bytes=2000000"; got != want {
		t.Errorf("the topic has %s, want %s", got, want)
	}
}
