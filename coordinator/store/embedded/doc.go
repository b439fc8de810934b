// Package embedded keeps the coordination tree in one file of this process, for a broker that runs alone: the same nodes,
// versions, sequences, ephemeral nodes and watches as ZooKeeper has, without the server.
//
// It owns the file (bbolt) and everything in it. It must never know what the nodes mean, nor hand out memory of the file:
// what a reader gets is its own.
//
// One DB is one tree. Each Store that NewSession hands out is one session with it, so several brokers of one process can
// share a tree, as tests do. A process that dies leaves ephemeral nodes behind in the file; the next Open removes them,
// since sessions do not outlive the process.
//
// Writes go through one goroutine. It takes all that wait, computes them one after the other over an overlay, writes the
// outcome in one transaction of the file (two fdatasync), sets off the watches and answers. A write is therefore durable
// before it is seen by anybody, a Multi is atomic because its overlay is dropped when a step fails, and writers that come
// together share the syncs.
//
// Locks: DB.mu guards watches and the list of sessions. It is a leaf: nothing is called under it. Sessions' sets of
// ephemeral nodes belong to the writing goroutine.
//
// Non-obvious:
//
//   - A watch is left before the node is read, so that no change slips between; a change that the reader has seen may
//     therefore set it off all the same.
//   - The version of the list of children that callers see is not what is stored. ZooKeeper counts creations (that is what
//     sequence numbers come from) and shows twice that minus the present number of children.
//   - The file is looked through before it is opened (sound.go): what bbolt finds wrong there ends the process.
//   - The free list of the file is not written (NoFreelistSync): it saves a page a commit and is rebuilt on Open.
package embedded
