// Package runtime runs the state machines that live on a partition of an internal topic: one shard for each partition
// that this broker leads. It is the whole of one idea: reply when what you saw is committed.
//
// # Owns
//
// The shard (an inbox, and a goroutine while there is something to do), the gathering of records into batches, the wait
// for the high watermark, timers that fire inside the shard, and the loading of a machine from its log.
//
// # Must never know
//
// What a group or a transaction is; disks, replicas, the network. A log is the interface that is declared here.
//
// # How an operation goes
//
// Do posts an operation to the inbox. The shard takes everything that waits there, runs the operations one after the
// other on the machine, appends what they wrote, and parks every reply, those of mere reads included, until the high
// watermark covers what the machine had applied when the reply was computed. So nobody is told of anything that a
// change of leader could take back. On a partition with one replica the watermark is there as soon as the append is.
//
// Records are applied by Machine.Replay the moment they are written, and by the same Machine.Replay when the log is
// loaded. When an append fails, the machine knows things that the log does not: it is thrown away, whoever waits gets
// NOT_COORDINATOR, and the log is replayed into a new machine. What can be foreseen is therefore refused before an
// operation runs: Log.Writable says whether there are enough in-sync replicas, Log.MaxBatchBytes what is too large.
//
// # Batches
//
// Apache Kafka appends one batch for each commit and for each group. Here neighbours in one drain that share a Kind (the
// fields of the batch header that belong to all records) share a batch, in the order of the operations: a new batch
// begins where the kind changes or max.message.bytes would be exceeded, and what one Write wrote is never split. The
// records have the bytes that Kafka's would have; the header differs in the count, the last offset delta and the
// timestamps only.
//
// # Locks
//
// Runtime.mu, then shard.mu. Neither is held while a machine runs or the log is called. A machine and its Scope belong to
// whoever runs the shard at the moment: the loader first, then the shard's goroutine.
//
// # Non-obvious
//
//   - A shard without work has no goroutine. It is started by the first operation or timer and ends when the inbox is empty
//     and no reply is parked.
//   - The shard is the only writer of its partition. It gives records their offsets before they are appended, and checks
//     afterwards; if somebody else wrote, the machine is thrown away as after a failure.
//   - A timer whose partition cannot be written at the moment is put off, not dropped. So is what Post gives, which also
//     waits for a load, and outlives the machine.
//   - A log that cannot be read is tried again after a while and answered with COORDINATOR_LOAD_IN_PROGRESS meanwhile. Going on
//     with half a log would let committed offsets go back.
package runtime
