// Package storage keeps partitions on disk, in Kafka's files, byte for byte: Log is one replica's log, Manager the logs of
// a broker in its log dirs.
//
// It owns segments and their indexes, what is durable and what a crash leaves, retention and compaction, producer state and
// leader epochs of a log, descriptors and mappings. It must never know the network, requests, who leads, or who is in sync.
//
// # A log
//
// One writer at a time holds Log.mu; readers take no lock. They load the end, then the list of segments (immutable, replaced
// as a whole), then sizes. An append is published in this order: bytes in the file, index entries, the segment's size, the
// first unstable offset, the log's end. A truncation lowers the end first, and replaces the segment it cuts. A segment that
// is taken away is marked dead; a reader that stumbles over its missing files looks again at the log, and one that has its
// file open reads on.
//
// Sealed segments are read through mappings and shared descriptors that FileCache bounds and counts. The active segment is
// read by descriptor only: its size changes, and truncation may cut it. Its index entries stay in memory until it is sealed
// or closed.
//
// # Locks
//
// Log.flushMu (held over disk syncs; flush, truncation, retention, the swap of a compacted segment, close) -> Log.mu (append,
// roll, all stores to the log's fields) -> FileCache's pools. A pass of the cleaner holds none of them while it reads and
// writes; close and deletion wait for its end (cleaning.bar) before they take one. Nothing is called back under a lock but LogOptions.OnDiskError and OnLowered.
//
// # Crash points
//
// The recovery point R is the offset below which all is durable. It is raised last of all, by flush, and reaches the log
// dir's checkpoint later; so the checkpoint is never above what is durable, except after a truncation, which is why
// OnLowered must write it. After a crash every segment from the one that holds R is scanned: its indexes count for nothing,
// its batches as far as they are whole. "Process" is the death of the process (everything written stays), "machine" the
// loss of power (what was not synced may be gone, torn or zeros).
//
//	after                               on disk                                 what recovery does
//	------------------------------------------------------------------------------------------------------------------------
//	mkdir, create of the first .log     an empty .log; machine: perhaps nothing an empty log
//	partition.metadata (first time)     unsynced; machine: empty or missing     the id is unknown until the leader tells it
//	   preallocation of it              zeros behind the batches; machine: or    cuts what is no batch
//	                                    the old size
//	pwrite of a batch, whole            process: all; machine: any prefix       keeps whole batches, cuts the rest
//	pwrite of a batch, torn             part of a batch behind whole ones       cuts the part
//	index entry                         memory only                             rebuilt by the scan
//	roll: cut of a preallocated .log    machine: zeros may be behind it again   cuts them, and what lies behind goes; with R
//	                                                                            at its very end: has no index files, repaired
//	   removal of an older .index, if   R at its very end: has no .index        made anew
//	   R is at the end
//	   create of the next .log          old segment without index files, an     scans both from R on; the new one may be
//	                                    empty new one; no snapshot yet          missing (machine): the old one is active
//	                                                                            again; or the old one has lost its end while
//	                                                                            the new one is there: what lies behind goes
//	background flush: fsync of .log     durable bytes, R unchanged              scans it once more
//	   .txnindex, .index, .timeindex    each old, new (rename) or missing       R lies below: rebuilt; R at its very end: the
//	                                                                            last is missing: made anew
//	   .snapshot                        whole, torn (CRC) or missing            an older one, and a longer replay
//	   leader-epoch-checkpoint          old or new (rename)                     epochs from R on come from the batches
//	   fsync of the directory           all names                               as above
//	   R raised                         memory                                  the checkpoint has an older R: as above
//	Sync of the active .log             durable bytes; index files stale        the segment holds R: rebuilt
//	retention: log start raised         memory; the log dir's checkpoint later  start is the first segment's base at least
//	   rename to .deleted, file by file .log first: index files without .log    the strays are removed
//	   removal of .deleted              some left                               removed
//	truncate: later segments renamed,   a log that is longer than asked         the caller truncates again, as its leader's
//	   from the last backwards                                                  epochs demand
//	   fsync of what lies before        as above                                as above
//	   fsync of the directory           what lies behind is gone                as above
//	   truncation, fsync of the .log    the wanted bytes; old index files       the segment holds R (lowered): rebuilt
//	   removal of its index files       segment without indexes                 rebuilt
//	   fsync of the directory           the cut is durable                      nothing comes back
//	   leader-epoch-checkpoint          epochs beyond the end                   dropped at load
//	   removal of snapshots             snapshots beyond the end                removed at load
//	truncate fully, before the create   no .log, log dir's start checkpoint     empty at the checkpointed start
//	compaction: .cleaned files, synced  any of them, perhaps in part            removed; the old segments are untouched
//	   rename to .swap, file by file    .swap beside .cleaned                   both are removed
//	   fsync of the directory           all .swap, all old segments             swapped in; the old ones that begin before its
//	                                                                            last batch ends go. Others stay as they were,
//	                                                                            and are compacted again: the cleaner's
//	                                                                            checkpoint does not know of the pass yet
//	   rename of the old to .deleted,   all .swap, some old segments            as above
//	   fsync of the directory
//	   rename to the final names        some .swap; no old segment              the rest is renamed
//	   cleaner-offset-checkpoint        old or new (rename)                     with the old one the pass is done again
//	split of an overflowed segment, at  .cleaned, .swap from the last one on    all of them are removed; split again
//	load: as compaction, but            backwards, each durable before the next
//	   several segments of one          all .swap                               swapped in, as above
//	close: cut, indexes, snapshot, R    all there, no clean-shutdown mark yet   scans from R; nothing is lost
//	clean-shutdown mark (Manager)       complete                                nothing: opened without a scan
//
// A failed write or sync takes the log offline for good (DiskError): what the page cache holds then is anybody's guess, and
// a later sync that succeeds would be a lie. The next start recovers from R.
//
// # What a crash may take
//
// The rules for any instant and any history; TestHistories holds a Manager to them, TestKilledUnderLoad a broker that is
// killed. When the process dies (kill -9, a panic, no memory), all that was written stays:
//
//  1. Every acknowledged record is there, at its offset, with its leader epoch; of a batch under way all or nothing, and
//     nothing behind it. In a compacted log a newer one of its key may stand for it, or nothing for a tombstone whose delete
//     horizon has come; and a swap of a segment under way has happened or not. What a truncation or a deletion that has returned took away is not back.
//  2. The log start and the high watermark may fall back to what the log dir's checkpoints last said, and are never above
//     what they were: records that DeleteRecords hid may be back until their segment goes, their leader epochs and producers may not.
//  3. Producers are known as far as their records are there: a batch that is sent again is found to be a duplicate.
//  4. A truncation or a deletion under way has happened or not; one that has not may still be undone by a loss of power
//     before the log's next sync. Its caller asks again.
//
// When the machine dies, the same holds but for what was not made durable:
//
//  5. A log is what it was up to some batch, and nothing behind. It has at least what lies below its recovery point, what
//     flush.messages or flush.ms had synced, and what a truncation has kept; so with flush.messages=1 no acknowledged record
//     is lost. Kafka's default, and ours, is no sync by count or time: then a log may lose what was written since its last
//     roll, and one that was never synced is gone whole. Its topic id may be lost until the leader tells it.
//  6. Segments that retention has removed may be back until the next pass; the log start is not below its checkpoint for that.
//  7. A deletion and a clean stop that have returned are durable, with the log start and the high watermark of that moment.
//
// When a disk fails, its log dir is offline until the next start, each of its logs answers KAFKA_STORAGE_ERROR, and nothing is
// written to it that might hide what it has: the next start on a disk that works finds what rules 1 to 7 say. Other log dirs
// go on.
//
// # Non-obvious
//
//   - The position of an offset index entry is where the appended batches start, its offset where they end.
//   - bound positions are looked up, not taken from the segment's size: between a reader's look at the end and at the size
//     another batch may have been appended that the reader must not see.
//   - A segment may end, or be empty, offsets before the next one begins: compaction leaves such. Reads go on in the next.
//   - The log start lies within the first segment after DeleteRecords; the first segment's base is not the log start.
//   - An empty log that begins above 0 needs its .log file: only the name says where it begins.
//   - A duplicate is answered before anything else is looked at, so it neither rolls a segment nor needs room.
//   - bytesSinceIndex starts at 0 for a segment that was opened or truncated, as in Kafka; so index entries of the same
//     batches differ after a restart, in both.
//   - No snapshot is taken at the log start of an empty log, and one found there is removed at load, as in Kafka.
//   - Leader epochs and new file names wait for the flush that raises R. Only a truncation writes epochs at once: the old
//     ones are then wrong, not just fewer.
//   - What recovery or a truncation cuts off is cut durably, names included. Otherwise a second crash could bring it back
//     behind, or below, what was appended in between.
//   - The snapshot at a segment's base is written after the bytes before it are durable. So a segment that ends before the
//     next one begins has lost something only if that snapshot is missing.
//   - Only durable segments are compacted, so a recovery scan meets compacted ones only where the checkpointed R is old.
//   - What a pass has mapped may hide older records; were it truncated before they are rewritten, both would be lost. So a
//     truncation ends the pass (Log.cuts), and what it brings back counts as dirty in the checkpoint before the log goes on.
//   - A compacted segment has the names of the first that it is made of. A reader that still holds that one opens nothing by
//     name once it is dead; and until the new one has its names, its file is held open for those who hold the new one.
//   - Kafka copies a batch whose checksum is wrong when it compacts, or seals it anew if some records go. Here it makes the log
//     uncleanable: it is served as it is, and no damage gets a right checksum.
//   - A truncation into a gap between batches gives an end that a restart does not find again, as in Kafka.
//   - A load from a snapshot does not know of transactions that are decided but not yet committed, as in Kafka; the last
//     stable offset is then the high watermark a moment early, and the transaction index tells what was aborted.
//   - Too many open files is no disk error: the cache lets handles go, and the open is tried again. Where it has none, what was
//     asked for is refused and nothing has changed (DiskError.Passing); what must not be left half done waits (Log.insist).
//   - Where nothing can be mapped (vm.max_map_count), files are read. It is slow, and no more.
//   - Recovery keeps the snapshots at the bases of what it scans until it has others: they say of a segment that ends before the
//     next begins, and of a compacted one above all, that nothing is missing there. A second crash needs to know, too.
//   - What a start finds in a file may not be on disk, were it cut by a process that was killed before the sync: Log.doubtful.
//   - Followed batches that arrive together get one index entry together; a scan gives each its own. So a scan may fill an
//     index that was not full.
package storage
