// Package index knows the three index files of a segment: .index (offset to file position), .timeindex (timestamp to
// offset) and .txnindex (aborted transactions). All are arrays of fixed-size big-endian entries, offsets relative to the
// segment's base where they fit in 32 bits.
//
// A view (OffsetView, TimeView, TxnView) is a read-only lookup over bytes that somebody else owns: a mapping of a sealed
// segment's file, or a file read whole. Its active twin (Offset, Time, Txn) grows in memory in exactly the bytes of the
// file, so that writing it out is one write of Bytes.
//
// The package owns the formats, the searches and the order of entries. It must never know files, mappings, batches or
// why an entry is made.
//
// Locks: none. An active index has one writer, who holds the log's lock; readers take View at any time and keep what it
// returned, which never changes (appends go behind its end, a truncation copies).
//
// Non-obvious:
//   - An offset entry carries the *last* offset of the appended batches and the position where they *start*.
//   - A file left by a killed Java broker is preallocated and its tail is zeros. Such a tail passes Check, as in Kafka,
//     and is wrong: after an unclean stop the index of every unflushed segment is rebuilt, never trusted.
//   - A time index is full one entry early: the last slot is kept for the entry that closes the segment.
//   - Search results are hints. A corrupt index that passes Check can send a reader to a wrong position, so readers check
//     the batch they find there.
package index
