package config

import (
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
)

// The settings of single groups are of Kafka 4.0, with the consumer protocol that they are for. Kafka 3.9 has none.

const ofGroups = "group." // what the broker's settings have before the names of those of groups

// GroupDefs are the settings that a group may have of its own, each in place of the broker's of the same name behind "group.".
func GroupDefs() *Defs { return groupDefs() }

var groupDefs = sync.OnceValue(func() *Defs {
	defs := &Defs{byName: map[string]*Def{}}
	for _, name := range []string{"consumer.heartbeat.interval.ms", "consumer.session.timeout.ms"} {
		def := *BrokerDefs().Get(ofGroups + name)
		def.Name, def.Mode, def.Synonyms = name, GroupLevel, []string{ofGroups + name}
		defs.add(&def)
	}
	return defs
})

// ApplyGroup takes the whole config of a group as the store has it; none is that of a group like all others. What is not valid
// there counts for nothing and is told in the errors.
func (s *Settings) ApplyGroup(group string, props map[string]string) []error {
	var errs []error
	good := maps.Clone(props)
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if err := checkGroupSetting(name, props[name]); err != nil {
			errs = append(errs, err)
			delete(good, name)
		}
	}
	if len(good) == 0 {
		s.groups.Delete(group)
	} else {
		s.groups.Store(group, good)
	}
	return errs
}

// Groups are the groups that have settings of their own, in order.
func (s *Settings) Groups() []string {
	var names []string
	s.groups.Range(func(name, _ any) bool {
		names = append(names, name.(string))
		return true
	})
	slices.Sort(names)
	return names
}

// Group gives the session timeout and the heartbeat interval of members of the consumer protocol in a group, ms. The limits of the
// broker may have become narrower since the group got its own; then the nearest that they allow acts, as in Kafka 4.3.
func (s *Settings) Group(group string) (session, heartbeat int32) {
	st := s.current.Load()
	own := s.ofGroup(group)
	session, heartbeat = int32(st.broker.GroupConsumerSessionTimeoutMs), int32(st.broker.GroupConsumerHeartbeatIntervalMs)
	if n, ok := own.number("consumer.session.timeout.ms"); ok {
		session = int32(st.merged.limits("session.timeout.ms").nearest(n))
	}
	if n, ok := own.number("consumer.heartbeat.interval.ms"); ok {
		heartbeat = int32(st.merged.limits("heartbeat.interval.ms").nearest(n))
	}
	return session, heartbeat
}

// groupSettings are a group's own. Their values are those of their types.
type groupSettings map[string]string

func (s *Settings) ofGroup(group string) groupSettings {
	own, _ := s.groups.Load(group)
	props, _ := own.(map[string]string)
	return props
}

func (g groupSettings) number(name string) (n int64, ok bool) {
	text, ok := g[name]
	if !ok {
		return 0, false
	}
	v, err := GroupDefs().Get(name).Parse(text)
	return v.Int, err == nil
}

// limits is the range that the broker's settings allow.
type limits struct{ low, high int64 }

func (v view) limits(what string) limits {
	return limits{v.must("group.consumer.min." + what), v.must("group.consumer.max." + what)}
}

func (l limits) nearest(n int64) int64 { return min(max(n, l.low), l.high) }

// ValidateGroup checks the whole config that a group is to have. The error is a *Refusal, INVALID_CONFIG, in Kafka's words.
func (s *Settings) ValidateGroup(props map[string]string) error {
	names := slices.Sorted(maps.Keys(props))
	for _, name := range names {
		if GroupDefs().Get(name) == nil {
			return checkGroupSetting(name, "")
		}
	}
	for _, name := range names {
		if err := checkGroupSetting(name, props[name]); err != nil {
			return err
		}
	}
	st, own := s.current.Load(), groupSettings(props)
	now := map[string]int64{"session.timeout.ms": st.broker.GroupConsumerSessionTimeoutMs, "heartbeat.interval.ms": st.broker.GroupConsumerHeartbeatIntervalMs}
	for _, what := range []string{"heartbeat.interval.ms", "session.timeout.ms"} {
		n, ok := own.number("consumer." + what)
		if !ok {
			continue
		}
		now[what] = n
		switch l := st.merged.limits(what); {
		case n < l.low:
			return refuse(kerr.InvalidConfig, "consumer.%s must be greater than or equal to group.consumer.min.%[1]s", what)
		case n > l.high:
			return refuse(kerr.InvalidConfig, "consumer.%s must be less than or equal to group.consumer.max.%[1]s", what)
		}
	}
	if now["session.timeout.ms"] <= now["heartbeat.interval.ms"] {
		return refuse(kerr.InvalidConfig, "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms")
	}
	return nil
}

func checkGroupSetting(name, value string) error {
	def := GroupDefs().Get(name)
	if def == nil {
		return refuse(kerr.InvalidConfig, "Unknown group config name: %s", name)
	}
	if _, err := def.Parse(value); err != nil {
		return refuse(kerr.InvalidConfig, "%s", err)
	}
	return nil
}

// DescribeGroup gives all settings of a group, whether it has any of its own, or exists, or not.
func (s *Settings) DescribeGroup(group string) []Row {
	st, own := s.current.Load(), s.ofGroup(group)
	rows := make([]Row, 0, len(GroupDefs().All()))
	for _, def := range GroupDefs().All() {
		broker := def.Synonyms[0]
		row := Row{Name: def.Name, Type: def.Type, Doc: &def.Doc, Value: rendered(def, st.merged.text(broker))}
		if n, ok := own.number(def.Name); ok {
			text := strconv.FormatInt(n, 10)
			row.Value = &text
			row.Synonyms = append(row.Synonyms, Synonym{def.Name, &text, FromGroup})
		}
		row.Synonyms = append(row.Synonyms, s.synonyms(st, broker, Synonyms(broker), false)...)
		row.Source = row.Synonyms[0].Source
		rows = append(rows, row)
	}
	return rows
}
