// Package controller decides who leads what. One broker of a cluster is its controller at a time: it holds the ephemeral
// node /controller and a number, the controller epoch, that every one of its writes is fenced by. It watches the store,
// elects leaders, creates and deletes what topics consist of, and tells every broker what it must know.
//
// It owns the controller's term (candidacy, world, event loop), the decisions, the order in which brokers are told, and
// what any broker may write for itself (Admin: topics, settings, blocks of producer ids). It must never know how a
// broker is reached (Pusher) or how topics' settings are defined (TopicConfigs), nor import replication, net or zk.
//
// Shape. A Controller stands for election for as long as it runs. Each election that it wins is one term: load builds a
// world from the store, then one goroutine handles one event after the other. What an event leads to is decided by pure
// functions on a draft: they read the world and the draft's own changes, and leave store operations, changed partitions
// and what brokers must be told. The draft is then done in the store as one step together with the check of
// /controller_epoch; only when that succeeds do its changes enter the world and its messages the brokers' queues. A
// draft that loses against another writer is thrown away, what it was decided on is read again, and it is decided anew.
// Losing the session or the check ends the term; nothing of it is kept.
//
// Facts and decisions are different things: what was read from the store or reported by a broker (who is registered,
// which topics there are) enters the world at once; what the controller itself decides enters by drafts only.
//
// Locks: none in a term, whose world belongs to its goroutine. fifo.mu is a leaf. The reads with which a term begins are
// done side by side (reading.go); they touch nothing of the term.
//
// Non-obvious:
//
//   - An operation whose outcome is unknown (the connection broke) ends the term too. The next term's world is right
//     whichever way it went, and the election is fenced like every write.
//   - A broker that registers again under a larger epoch without having been seen to be gone is first dead, then new.
//   - A replica whose removal from the ISR would empty the ISR stays in it: the ISR without a live member is what tells
//     later who may lead without losing data.
//   - The partition count of a topic under deletion may be raised by a late writer; the assignment is put back.
//   - An election is held on the ISR that the world knows. When it finds nobody it writes nothing, so a newer ISR in the
//     store shows only in the step after it; the election is then held once more.
//   - The watches on topics are many. They share goroutines (watches.go), so that fifty thousand topics do not cost fifty
//     thousand stacks.
package controller
