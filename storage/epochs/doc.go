// Package epochs remembers at which offset each leader epoch of a partition began, which is what replicas compare to find
// where their logs part (KIP-101).
//
// It owns the order of the entries and the answers to queries. It must never know the file (checkpoint.ReadEpochs and
// WriteEpochs have the format; the log writes whenever a method reports a change), nor batches.
//
// Locks: none. One writer, who holds the log's lock; readers at any time see the entries as of some moment.
//
// Non-obvious:
//   - An epoch may begin at the log end, before it has a record: a leader assigns its epoch when it becomes leader.
//   - The latest epoch ends at the log end, which the cache does not know: EndOffset is told.
//   - A query for an epoch above the latest is undefined, not "the latest": the asker knows more than we do.
package epochs
