// Package config owns the broker's settings: what exists (Kafka 3.9.2's definitions, from a table in the binary), what
// the file and the command line said (Static), what was changed while running (Settings), and the typed pictures that
// the rest of the broker reads (Broker, Topic, a group's times). It also makes the rows that DescribeConfigs answers.
//
// It must never know: the network, the disk beyond the one properties file that it is asked to load, the store that
// dynamic settings come from, or who reads a setting. Whoever owns a setting reads it from a snapshot or registers for
// changes; nothing here reaches out.
//
// # Flow
//
// ReadProperties -> NewStatic (types, ranges, cross checks; every problem at once) -> NewSettings. The store's watcher
// calls ApplyDefault and ApplyBroker with whole entity configs; each builds the next state from scratch and publishes it
// with one pointer swap. Readers load the pointer and keep the snapshot for their whole operation.
//
// # Locks
//
// Settings.mu serialises changes and is held while callbacks run; callbacks must not change settings. Reads take no lock.
//
// # Non-obvious
//
//   - A key that is set hides its weaker synonyms from lower layers: a dynamic log.roll.hours beats a static
//     log.roll.ms, though within one layer ms beats hours (Static.overlay).
//   - The synonyms in DescribeConfigs list only what is set or has a default, and everything before the first entry with
//     the key's own name is dropped: retention.ms shows no synonyms at all while log.retention.ms is unset, even when
//     log.retention.hours is set in the file.
//   - Kafka wraps every refusal that comes from a running component (thread counts, listeners, local retention) into the
//     bare text "Invalid dynamic configuration"; the cause is only in the broker's log. Wrapped keeps both.
//   - A dynamic setting that no definition knows is accepted and stored: plugins read such keys.
//   - Two defaults are those of Kafka 4.0: the consumer protocol is on, and groups may go over to it and back; see consumerDefaults.
//     The settings of groups are of 4.0 too (GroupDefs).
//   - A group's settings are checked when they are set. The broker's limits may be narrower after a restart; then they are shown as
//     they were set, and the nearest that is allowed acts.
//   - Alone (no zookeeper.connect) three defaults differ from Kafka's, since a cluster of one cannot hold three replicas;
//     see aloneDefaults. They appear as if the file had set them.
package config
