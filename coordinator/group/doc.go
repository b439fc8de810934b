// Package group is the group coordinator: classic consumer groups and committed offsets, as Apache Kafka 3.9 keeps them in
// __consumer_offsets.
//
// # Owns
//
// Who is a member of which group, the rebalance, the assignment, and the committed offsets; their records, with Kafka's bytes.
// Each conversation with a client has a file of its own (join.go, sync.go, heartbeat.go, leave.go, commit.go, fetch.go,
// describe.go, list.go, delete.go, offset_delete.go), and so have what time does (expire.go) and the rebalance that the
// conversations drive (rebalance.go).
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
//   - What later protocols keep in the same topic (consumer groups of KIP-848, share and streams groups: key versions 3 and up)
//     is skipped on replay with a warning. The records stay in the log.
package group
