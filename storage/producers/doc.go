// Package producers is what a partition knows of its idempotent and transactional producers: the last batches of each, by
// which a retry is told from a gap, and the transactions that are open, by which the last stable offset is found.
//
// It owns the rules (KIP-98, KIP-890 part 1), the table and the snapshot format. It must never know files, segments,
// indexes or who leads. What the log does with the answers (transaction index, snapshot files, last stable offset as a
// level) is the log's.
//
// Locks: none. A Table is guarded by the log's lock.
//
// Non-obvious:
//   - Check has no effect and Update no rules: Update also replays what a leader once accepted, which need not pass today's
//     checks (followers and recovery never refuse a batch for its sequence).
//   - A transaction whose marker is written is decided but still unstable until the high watermark has passed the marker:
//     see FirstUnstable and Replicated.
//   - A marker empties the list of batches only if it changes the epoch; the sequence goes on after a marker of the
//     same epoch.
//   - A snapshot keeps one batch a producer, so a retry of an older batch after a restart is out of order, not a
//     duplicate. Kafka has the same hole.
//   - A producer that is not in the table may begin with any sequence: it may have expired, or its records may be gone.
package producers
