// Package group is the group coordinator: groups of the classic protocol and committed offsets, as Apache Kafka 3.9 keeps them in
// __consumer_offsets, and groups of the consumer protocol (KIP-848), as Kafka 4.x does.
//
// # Owns
//
// Who is a member of which group, the rebalance, the assignment, and the committed offsets; their records, with Kafka's bytes.
// Each conversation with a client has a file of its own (join.go, sync.go, heartbeat.go, leave.go, commit.go, fetch.go,
// describe.go, list.go, delete.go, offset_delete.go), and so have what time does (expire.go) and the rebalance that the
// conversations drive (rebalance.go). Those of the consumer protocol are in consumer_heartbeat.go, consumer_leave.go,
// consumer_offsets.go and consumer_describe.go; consumer_classic.go has the classic ones in a consumer group, and migrate.go what
// makes a group of one kind a group of the other.
//
// # Must never know
//
// Versions of the wire (broker/api lowers them), disks, sockets, other brokers, what is inside an assignment.
//
// # Shape
//
// Coordinator is the door: it checks the group's id, finds the partition and posts the request to the shard there
// (coordinator/runtime). In the shard lives one machine with all groups of the partition; its methods run one at a time, take
// time and timers from the runtime's Scope, and answer through promises.
//
// A group has two halves. The recorded half (generation, protocol, leader, members with their assignments, offsets) is changed
// by replay alone, which applies the same records when the log is loaded and when the machine has just written them. The
// other half (who is joining, who has synced, pending members, timers) lives only in memory: it is lost with the machine, and
// members find back by joining again, as with Kafka.
//
// Groups of both protocols are in one map, with their offsets; consumerGroup is what makes one a group of the consumer protocol. Its
// conversations compute on a draft (consumer_draft.go), a picture of the group as it will be with the records that make it so, and
// write these at once: subscriptions and topics (consumer_topics.go) make a new epoch of the group, an assignor (package assign)
// its target assignment (consumer_target.go), and each member is brought to that step by step (consumer_reconcile.go).
//
// # Locks
//
// None: a machine is only touched in its shard.
//
// # Non-obvious
//
//   - The rules are those of Kafka's classic coordinator down to its oddities: new members prolong the initial delay only in
//     generation 0; the sole member of a group cannot change to protocols that it did not name before; an InconsistentGroupProtocol
//     on a new group id leaves an empty group behind until the next expiry; a member that is waiting in a join or sync is not
//     expired, except one that has never been in a generation (five minutes).
//   - Where Kafka picks from a hash map (the next leader, ties between protocols) the oldest member goes first here.
//   - A waiting reply that is overtaken by another request of the same member is answered with REBALANCE_IN_PROGRESS, and the sync
//     of a member that is removed with UNKNOWN_MEMBER_ID. Kafka forgets both; there the connection waits until the client
//     gives up.
//   - A session is a deadline that heartbeats push back, and one timer that looks at it when it goes off. A heartbeat touches
//     no timer.
//   - A transactional commit is pending until its marker. On the marker it counts unless a newer record (by offset) has
//     committed the same partition meanwhile.
//   - A group of the consumer protocol looks for changed topics when it is spoken to, by the identity of the cluster's image: no
//     list of groups by topic has to be kept. Its regular expressions are resolved in the conversation, new ones at once.
//   - Where Kafka picks from a hash map (who keeps an odd partition, the order of topics in a record) ids decide here.
//   - The names in a replayed key of an offset lie in the log's buffer. They are cloned where a group or a topic is new, and a topic's
//     name is in memory once for all offsets: most of what a load reads are commits of what it knows.
//   - What other protocols keep in the same topic (share and streams groups) is skipped on replay with a warning. The records stay in
//     the log.
package group
