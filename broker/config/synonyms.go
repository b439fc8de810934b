package config

import "strings"

// topicSynonyms are the broker settings that each topic setting falls back on, strongest first. Settings missing here
// have none.
var topicSynonyms = map[string][]string{
	"cleanup.policy":                      {"log.cleanup.policy"},
	"compression.gzip.level":              {"compression.gzip.level"},
	"compression.lz4.level":               {"compression.lz4.level"},
	"compression.type":                    {"compression.type"},
	"compression.zstd.level":              {"compression.zstd.level"},
	"delete.retention.ms":                 {"log.cleaner.delete.retention.ms"},
	"file.delete.delay.ms":                {"log.segment.delete.delay.ms"},
	"flush.messages":                      {"log.flush.interval.messages"},
	"flush.ms":                            {"log.flush.interval.ms", "log.flush.scheduler.interval.ms"},
	"index.interval.bytes":                {"log.index.interval.bytes"},
	"local.retention.bytes":               {"log.local.retention.bytes"},
	"local.retention.ms":                  {"log.local.retention.ms"},
	"max.compaction.lag.ms":               {"log.cleaner.max.compaction.lag.ms"},
	"max.message.bytes":                   {"message.max.bytes"},
	"message.downconversion.enable":       {"log.message.downconversion.enable"},
	"message.format.version":              {"log.message.format.version"},
	"message.timestamp.after.max.ms":      {"log.message.timestamp.after.max.ms"},
	"message.timestamp.before.max.ms":     {"log.message.timestamp.before.max.ms"},
	"message.timestamp.difference.max.ms": {"log.message.timestamp.difference.max.ms"},
	"message.timestamp.type":              {"log.message.timestamp.type"},
	"min.cleanable.dirty.ratio":           {"log.cleaner.min.cleanable.ratio"},
	"min.compaction.lag.ms":               {"log.cleaner.min.compaction.lag.ms"},
	"min.insync.replicas":                 {"min.insync.replicas"},
	"preallocate":                         {"log.preallocate"},
	"retention.bytes":                     {"log.retention.bytes"},
	"retention.ms":                        {"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
	"segment.bytes":                       {"log.segment.bytes"},
	"segment.index.bytes":                 {"log.index.size.max.bytes"},
	"segment.jitter.ms":                   {"log.roll.jitter.ms", "log.roll.jitter.hours"},
	"segment.ms":                          {"log.roll.ms", "log.roll.hours"},
	"unclean.leader.election.enable":      {"unclean.leader.election.enable"},
}

// synonymGroups are broker settings that mean the same thing in different units, strongest first.
var synonymGroups = [][]string{
	{"log.roll.ms", "log.roll.hours"},
	{"log.roll.jitter.ms", "log.roll.jitter.hours"},
	{"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
}

// Synonyms are the broker settings that speak of the same thing as name, strongest first, itself included.
// log.flush.scheduler.interval.ms is what log.flush.interval.ms falls back on, but not the other way round. A setting
// with a listener's prefix falls back on the bare one.
func Synonyms(name string) []string {
	if base, ok := listenerBase(name); ok {
		return []string{name, base}
	}
	return unprefixedSynonyms(name)
}

func unprefixedSynonyms(name string) []string {
	for _, group := range synonymGroups {
		for _, member := range group {
			if member == name {
				return group
			}
		}
	}
	if name == "log.flush.interval.ms" {
		return []string{"log.flush.interval.ms", "log.flush.scheduler.interval.ms"}
	}
	return []string{name}
}

// mechanismSettings stand behind a SASL mechanism in a listener's prefix: listener.name.sasl_ssl.plain.sasl.jaas.config.
var mechanismSettings = []string{
	"sasl.jaas.config", "sasl.login.callback.handler.class", "sasl.login.class", "sasl.server.callback.handler.class",
	"connections.max.reauth.ms",
}

// listenerBase takes the listener's prefix (and the mechanism behind it) off a name.
func listenerBase(name string) (string, bool) {
	_, base, ok := cutListener(name)
	if !ok {
		return "", false
	}
	for _, m := range mechanismSettings {
		if strings.HasSuffix(base, m) {
			return m, true
		}
	}
	return base, true
}

// cutListener splits listener.name.<listener>.<rest>.
func cutListener(name string) (listener, rest string, ok bool) {
	after, ok := strings.CutPrefix(name, "listener.name.")
	if !ok {
		return "", "", false
	}
	return strings.Cut(after, ".")
}
