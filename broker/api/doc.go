// Package api answers requests. One table (routes.go) says which API exists at which versions and whose method serves
// it; one file an API opens with its version card. The APIs fall into families, small structs whose fields are the only
// things that their methods can reach.
//
// A handler does the ordered part at once, on the goroutine that reads the connection, and owes the rest as a Reply. It
// must not keep the request beyond its return unless the route says that the request was copied.
//
// It must never know files, sockets or the coordination store.
//
// Non-obvious:
//   - Where Kafka keeps in a map what a request names, the last of two entries for a partition counts and is answered
//     once (merged): Produce, Fetch, DeleteRecords. ListOffsets refuses both, OffsetForLeaderEpoch answers both.
//   - null and empty differ on the wire. Fetch answers null records only where Kafka makes the answer from an error code
//     alone; a reader of committed records gets an empty list of aborted transactions, not null.
//   - A produce error tells the log start if the log found it, except for those that Kafka expects of a log (tellsStart).
//   - A negative leader epoch is none in Fetch, but in ListOffsets and OffsetForLeaderEpoch only -1 is.
//   - An unknown version of ApiVersions is answered only if the header is that of the highest version, tags included.
//   - A Produce request and its response are one piece of memory, in use until the response is written (AppendTo), and a
//     Fetch request until its handler returns: nothing may keep a pointer into them for longer.
//   - A large answer is bytes when it leaves its handler (answerSize), and is made in a turn: a Reply that waits does so
//     before the first add.
package api
