package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// view reads the settings in effect out of one merged layer: what is set there, else the definition's default. Its
// number and word readers serve only checked values.
type view struct {
	props map[string]string
}

func (v view) isSet(name string) bool { _, ok := v.props[name]; return ok }

// text is the value in effect as written, nil when the setting is unset and has no default.
func (v view) text(name string) *string {
	if t, ok := v.props[name]; ok {
		return &t
	}
	if def := BrokerDefs().Get(name); def != nil {
		return def.Default
	}
	return nil
}

func (v view) value(name string) (Value, bool) {
	text := v.text(name)
	if text == nil {
		return Value{}, false
	}
	value, err := BrokerDefs().Get(name).Parse(*text)
	if err != nil {
		panic("config: unchecked value: " + err.Error())
	}
	return value, true
}

// num is a number in effect; 0 when it is unset, so ask ok where that matters.
func (v view) num(name string) (n int64, ok bool) {
	value, ok := v.value(name)
	return value.Int, ok
}

// ofListener is a number in effect for a listener: its own, else the broker's.
func (v view) ofListener(listener, name string) (n int64, ok bool) {
	if text, own := v.props["listener.name."+strings.ToLower(listener)+"."+name]; own {
		if value, err := BrokerDefs().Get(name).Parse(text); err == nil {
			return value.Int, true
		}
	}
	return v.num(name)
}

// fixedOf are the settings that a listener has of its own and keeps for as long as it is there, by their names behind the
// prefix.
func (v view) fixedOf(listener string) map[string]string {
	fixed := map[string]string{}
	for name, value := range v.props {
		of, base, ok := cutListener(name)
		if ok && of == strings.ToLower(listener) && !slices.Contains(securitySettings, base) && !slices.Contains(clusterListenerSettings, base) {
			fixed[base] = value
		}
	}
	return fixed
}

func (v view) must(name string) int64 { n, _ := v.num(name); return n }

// word is a text in effect, "" when unset.
func (v view) word(name string) string {
	value, _ := v.value(name)
	return value.String()
}

// overlay puts one layer over another. A key also hides its synonyms in the layers below: whoever sets log.roll.hours
// while running means it, though the file has log.roll.ms.
func overlay(base map[string]string, over ...map[string]string) map[string]string {
	merged := maps.Clone(base)
	if merged == nil {
		merged = map[string]string{}
	}
	for _, layer := range over {
		for k := range layer {
			for _, s := range unprefixedSynonyms(k) {
				delete(merged, s)
			}
		}
		maps.Copy(merged, layer)
	}
	return merged
}

const (
	msPerMinute = 60 * 1000
	msPerHour   = 60 * msPerMinute
)

// rollMs, rollJitterMs, retentionMs and flushMs resolve the settings that come in several units.
func (v view) rollMs() int64       { return v.firstOf("log.roll.ms", "log.roll.hours") }
func (v view) rollJitterMs() int64 { return v.firstOf("log.roll.jitter.ms", "log.roll.jitter.hours") }

func (v view) firstOf(ms, hours string) int64 {
	if n, ok := v.num(ms); ok {
		return n
	}
	return v.must(hours) * msPerHour
}

func (v view) retentionMs() int64 {
	n, ok := v.num("log.retention.ms")
	if !ok {
		if n, ok = v.num("log.retention.minutes"); ok {
			n *= msPerMinute
		} else {
			n = v.must("log.retention.hours") * msPerHour
		}
	}
	return max(n, -1)
}

func (v view) flushMs() int64 {
	if n, ok := v.num("log.flush.interval.ms"); ok {
		return n
	}
	return v.must("log.flush.scheduler.interval.ms")
}

// messageFormat is log.message.format.version, which counts for nothing since inter-broker protocol 3.0.
func (v view) messageFormat() string {
	if major, err := strconv.Atoi(leadingDigits(v.word("inter.broker.protocol.version"))); err == nil && major >= 3 {
		return "3.0-IV1"
	}
	return v.word("log.message.format.version")
}

func leadingDigits(s string) string {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	return s[:end]
}

// topicDefault is the value that a topic without an override has.
func (v view) topicDefault(name string) *string {
	var text string
	switch name {
	case "segment.ms":
		text = strconv.FormatInt(v.rollMs(), 10)
	case "segment.jitter.ms":
		text = strconv.FormatInt(v.rollJitterMs(), 10)
	case "retention.ms":
		text = strconv.FormatInt(v.retentionMs(), 10)
	case "flush.ms":
		text = strconv.FormatInt(v.flushMs(), 10)
	case "message.format.version":
		text = v.messageFormat()
	default:
		synonyms := topicSynonyms[name]
		if len(synonyms) == 0 {
			return TopicDefs().Get(name).Default
		}
		text = v.word(synonyms[0])
	}
	return &text
}

// topic makes the typed settings of a topic. Overrides that no definition knows or that are not valid count for
// nothing: they can only come from a store that somebody wrote by hand.
func (v view) topic(overrides map[string]string) Topic {
	var t Topic
	bind(&t, TopicDefs(), func(name string) *string {
		if text, ok := overrides[name]; ok {
			if _, err := TopicDefs().Get(name).Parse(text); err == nil {
				return &text
			}
		}
		return v.topicDefault(name)
	})
	t.derive()
	return t
}
