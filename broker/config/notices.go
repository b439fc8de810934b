package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Effective tells whether the code acts upon a broker setting. It is computed from the fields of Broker and Topic, so
// it cannot fall behind them: a setting that nothing reads has no field.
func Effective(name string) bool { return effectiveSettings()[name] }

var effectiveSettings = sync.OnceValue(func() map[string]bool {
	broker, topic := map[string]bool{}, map[string]bool{}
	effective(reflect.TypeFor[Broker](), broker)
	effective(reflect.TypeFor[Topic](), topic)
	for _, name := range encoderSettings {
		broker[name] = true
	}
	for name := range topic {
		for _, synonym := range topicSynonyms[name] {
			broker[synonym] = true
		}
	}
	return broker
})

// removedSettings were honoured by Kafka before 3.0 and do nothing there now; people still have them.
var removedSettings = map[string]string{
	"port": "listeners", "host.name": "listeners",
	"advertised.port": "advertised.listeners", "advertised.host.name": "advertised.listeners",
}

// listenerActs tells whether a setting has an effect behind the prefix of one of the broker's listeners.
func listenerActs(broker *Broker, name string) bool {
	listener, base, _ := cutListener(name)
	if _, ok := broker.ListenerLimits[strings.ToUpper(listener)]; !ok {
		return false
	}
	return base == "max.connections" || base == "max.connection.creation.rate"
}

// ofListeners tells whether Kafka looks for a setting behind a listener's prefix. It reads all others for the whole broker
// only, though it accepts them there.
func ofListeners(base string) bool {
	switch base {
	case "max.connections", "max.connection.creation.rate", "num.network.threads", "connections.max.reauth.ms", "principal.builder.class":
		return true
	}
	return strings.HasPrefix(base, "ssl.") || strings.HasPrefix(base, "sasl.")
}

// notices looks for what was said in vain.
func notices(given map[string]string, broker *Broker) []Notice {
	var found []Notice
	var idle, foreign []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		base := name
		if b, ok := listenerBase(name); ok {
			base = b
		}
		switch now, removed := removedSettings[name]; {
		case removed:
			found = append(found, Notice{true, fmt.Sprintf("setting %s was removed in Kafka 3.0 and is ignored: use %s", name, now)})
		case BrokerDefs().Get(base) == nil:
			if near := nearest(base); near != "" {
				found = append(found, Notice{true, fmt.Sprintf("unknown setting %s: did you mean %s?", name, near)})
			} else {
				foreign = append(foreign, name)
			}
		case base != name && !ofListeners(base):
			found = append(found, Notice{true, fmt.Sprintf("setting %s is ignored, as in Kafka: %s holds for all listeners", name, base)})
		case base != name && !listenerActs(broker, name), base == name && !Effective(name):
			idle = append(idle, name)
		}
	}
	if len(idle) > 0 {
		found = append(found, Notice{false, "settings accepted without effect here: " + strings.Join(idle, ", ")})
	}
	if len(foreign) > 0 {
		found = append(found, Notice{false, "unknown settings kept as they are: " + strings.Join(foreign, ", ")})
	}
	return found
}

// nearest is the broker setting that name is probably meant to be, "" when none is close.
func nearest(name string) string { return Nearest(name, BrokerDefs()) }

// Nearest is the definition's name that is closest to a misspelt one, "" when none is close.
func Nearest(name string, defs *Defs) string {
	names := make([]string, 0, len(defs.All()))
	for _, def := range defs.All() {
		names = append(names, def.Name)
	}
	return Closest(name, names)
}

// Closest is the candidate that a misspelt name is probably meant to be, "" when none is close: at most two slips, or
// one in eight characters of a long name, and never more than half of a short one. Case and separators typed wrong
// (num_partitions) count for nothing.
func Closest(name string, candidates []string) string {
	plain := normalise(name)
	best, least := "", min(max(2, len(plain)/8), len(plain)/2)+1
	for _, c := range candidates {
		if d := distance(plain, normalise(c), least); d < least {
			best, least = c, d
		}
	}
	return best
}

func normalise(name string) string {
	return strings.NewReplacer("_", ".", "-", ".").Replace(strings.ToLower(name))
}

// distance counts the insertions, deletions, replacements and swaps of neighbours between two names, giving up with
// limit when they are that many or more.
func distance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= limit {
		return limit
	}
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return min(prev[len(b)], limit)
}
