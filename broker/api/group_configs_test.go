package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication/cluster"
)

// What a 4.3.1 broker answered, less the settings of the protocols that are not built.
func TestGroupSettingsAreDescribedAsByKafka4(t *testing.T) {
	f, _ := newConfigs(t, map[string]string{"group.consumer.heartbeat.interval.ms": "7000"}, nil)
	f.Settings.ApplyGroup("g", map[string]string{"consumer.session.timeout.ms": "50000"})
	describe := func(keys ...string) []kmsg.DescribeConfigsResponseResourceConfig {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.IncludeSynonyms = true
		req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeGroupConfig, ResourceName: "g", ConfigNames: keys}}
		return f.DescribeConfigs(&Call{Version: 4}, req).Await(t.Context()).(*kmsg.DescribeConfigsResponse).Resources[0].Configs
	}
	row := func(name, value string, synonyms ...kmsg.DescribeConfigsResponseResourceConfigConfigSynonym) kmsg.DescribeConfigsResponseResourceConfig {
		return kmsg.DescribeConfigsResponseResourceConfig{Name: name, Value: &value, Source: synonyms[0].Source, ConfigSynonyms: synonyms, ConfigType: kmsg.ConfigTypeInt}
	}
	synonym := func(name, value string, source kmsg.ConfigSource) kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
		return kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{Name: name, Value: &value, Source: source}
	}
	session := row("consumer.session.timeout.ms", "50000",
		synonym("consumer.session.timeout.ms", "50000", kmsg.ConfigSourceGroupConfig),
		synonym("group.consumer.session.timeout.ms", "45000", kmsg.ConfigSourceDefaultConfig))
	heartbeat := row("consumer.heartbeat.interval.ms", "7000",
		synonym("group.consumer.heartbeat.interval.ms", "7000", kmsg.ConfigSourceStaticBrokerConfig),
		synonym("group.consumer.heartbeat.interval.ms", "5000", kmsg.ConfigSourceDefaultConfig))
	for _, c := range []struct {
		keys []string
		want []kmsg.DescribeConfigsResponseResourceConfig
	}{
		{nil, []kmsg.DescribeConfigsResponseResourceConfig{heartbeat, session}},
		{[]string{"consumer.session.timeout.ms", "foo"}, []kmsg.DescribeConfigsResponseResourceConfig{session}},
	} {
		if diff := cmp.Diff(c.want, describe(c.keys...), cmp.AllowUnexported(kmsg.Tags{})); diff != "" {
			t.Errorf("%v: %s", c.keys, diff)
		}
	}
}

func TestListConfigResources(t *testing.T) {
	f, _ := newConfigs(t, nil, nil)
	image := cluster.Empty()
	image.Topics["t"] = &cluster.Topic{Name: "t"}
	image.Brokers[2] = &cluster.Broker{}
	f.Images = stillImage{img: image}
	f.Settings.ApplyGroup("b", map[string]string{"consumer.session.timeout.ms": "50000"})
	f.Settings.ApplyGroup("a", map[string]string{"consumer.session.timeout.ms": "50000"})
	f.Settings.ApplyGroup("gone", nil)
	type named = kmsg.ListConfigResourcesResponseConfigResource
	groups := []named{{Name: "a", Type: 32}, {Name: "b", Type: 32}}
	for _, c := range []struct {
		version int16
		types   []int8
		code    int16
		want    []named
	}{
		{0, nil, 0, nil},
		{1, nil, 0, append(groups[:2:2], named{Name: "2", Type: 8}, named{Name: "2", Type: 4}, named{Name: "t", Type: 2})},
		{1, []int8{32}, 0, groups},
		{1, []int8{2, 4}, 0, []named{{Name: "2", Type: 4}, {Name: "t", Type: 2}}},
		{1, []int8{16}, 0, nil},
		{1, []int8{32, 99}, 35, nil},
	} {
		req := kmsg.NewPtrListConfigResourcesRequest()
		req.Version, req.ResourceTypes = c.version, c.types
		resp := f.ListConfigResources(&Call{Version: c.version}, req).Await(t.Context()).(*kmsg.ListConfigResourcesResponse)
		if diff := cmp.Diff(c.want, resp.ConfigResources, cmp.AllowUnexported(kmsg.Tags{})); diff != "" || resp.ErrorCode != c.code {
			t.Errorf("v%d %v: code %d %s", c.version, c.types, resp.ErrorCode, diff)
		}
	}
}
