// Package clean decides what compaction keeps: which part of a log is cleanable and how urgent that is, which segments
// become one, and which batches and records of them stay.
//
// It owns the rules of Kafka's log cleaner as functions of what they are told, and the map from keys to their last
// offsets. It must never know files, locks, threads or the time.
//
// # The rules
//
// A pass first maps the keys of the dirty part, up to Latest, where the part or the room for keys ends. Then it goes over
// the log from its beginning to there. A record stays if it lies above Latest; else it must have a key of which no later
// offset is mapped, and a value unless it is a tombstone whose time has not come. Records of aborted transactions go. Of the
// clean part nothing is mapped, and need not be: earlier passes have left one record of each key there.
//
// A tombstone is kept for delete.retention.ms so that a reader who began before it sees it. The time begins with the first
// pass that meets it, which writes when it ends, the delete horizon, into its batch. The marker that ends a transaction goes
// the same way once a pass has met no batch of its transaction. In message formats 0 and 1 there is no place for a horizon;
// there the file's time decides, see KeepTombstones.
//
// The last batch of each producer that is still known stays, if need be as a header: a later load of the log takes its
// sequence from there; the marker stays if the producer has no batch.
//
// # Non-obvious
//
//   - Keys are known by 128 bits of a hash; two keys with the same would be one. Nobody has ever seen such two.
//   - The map may be full in the middle of a batch. Latest is then the last record that went in, and the next pass begins
//     behind it.
//   - A record without a key cannot be in a compacted log unless it was written before the log was compacted. It goes, as in
//     Kafka.
//   - The transactions of a pass are followed from the log's beginning, twice: once for the map, over the dirty part, and
//     once for the filter, over all.
//   - The ratio counts a segment that is dirty from its middle on both as clean and as dirty, as Kafka does.
package clean
