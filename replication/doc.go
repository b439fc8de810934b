// Package replication holds the partitions of this broker: who leads, what is committed, who may read how far. It owns
// the roles (replaced as a whole, never edited), the high watermark and the last stable offset as levels that readers
// wait on. It must never know connections, request encodings, the coordination store or groups.
//
// Lock order: Partition.mu (appends share it, Become and Stop exclude them) -> the log's lock -> Level's lock. Besides:
// Manager.setting -> Manager.mu, and whatever Options.Settings takes.
//
// Non-obvious:
//   - A level is raised with the offset of the append that is committed, not with the log's end: what another
//     connection has just written may still owe its fdatasync (flush.messages), and must not be seen before.
//   - An append is as good as the unbroken leadership that it was made in, not as its epoch: a leader that goes on leading in
//     a new one has truncated nothing.
//   - A log of another topic of the same name is an error where the replica is known, and set aside where it is new.
//   - The partition of a broker that is alone in the ISR commits by appending. With other brokers in the ISR the
//     watermark moves only by what they have fetched.
package replication
