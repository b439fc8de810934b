// Package dump prints the files that storage writes, line by line as Kafka's DumpLogSegments does where Kafka can print
// the file, so that a diff of both outputs is a test; the checkpoints and metadata files, which Kafka's tool does not
// know, in the same manner.
//
// It owns the text and the decoding of what the coordinators write into __consumer_offsets and __transaction_state. It
// must never know a running log: it reads files that may be changing, or broken, or somebody else's, and writes none.
//
// Locks: none.
//
// Non-obvious:
//   - The coordinators' messages are read by tables of their own (messages.go), since this room may not see the protocol
//     library; a field that is added there does not reach this package by itself.
//   - An index left by a killed broker ends in zeros; the walk ends at the first of them, as Kafka's does.
package dump
