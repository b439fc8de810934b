// Package checkpoint reads and writes the small text files of a log directory: offset checkpoints (high watermarks,
// recovery points, log starts, first dirty offsets), the leader-epoch-checkpoint and partition.metadata of a replica,
// meta.properties and the clean-shutdown marker.
//
// It owns the formats, and that a file is replaced in one step (written beside it, synced, renamed, directory synced). It
// must never know what the numbers mean or when they are due.
//
// Locks: none. Two writers of one file are the caller's mistake.
//
// Non-obvious:
//   - A missing or empty checkpoint is one without entries; a malformed one is an error wrapping ErrMalformed, and what
//     that means differs from file to file (see the log manager).
//   - partition.metadata ends without a newline; the checkpoints end with one.
//   - Only the existence of the clean-shutdown marker says something: older releases wrote it empty.
//   - meta.properties is Java's Properties format, escapes and all, with lines in the order in which Java's hash table
//     yields the three keys; keys that we do not know are kept.
package checkpoint
