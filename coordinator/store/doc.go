// Package store is where a cluster keeps what must outlive its brokers: Kafka's ZooKeeper tree. One interface, two
// implementations (zk/ over a real ZooKeeper, embedded/ over a file of this process), held to the same behaviour by
// storetest/.
//
// It owns the Store interface and the schema: every znode path and its content, in the files schema*.go. Nobody else
// spells a path. What is encoded here is, byte for byte, what Apache Kafka 3.9.2 writes in ZooKeeper mode; what is
// decoded here is also what older brokers and other tools wrote.
//
// It must never know what a broker does with its nodes: elections, fencing and retries belong to coordinator/controller
// and to the broker. It imports nothing of this module.
//
// Non-obvious:
//
//   - nil data and empty data differ. Kafka's tools write null into the nodes that exist only for their children, and
//     some of its readers take the one for "nothing yet" and the other for broken JSON.
//   - Kafka's key order is not arbitrary: it falls out of the hash tables of the Scala and Java versions that it runs on.
//     order.go computes it, so that a tree written by us can be compared with one written by Kafka as text.
//   - A change of a node may be seen before the watch on it goes off, and a watch may go off although the reader has seen
//     the change already. A watch says "look again", nothing more.
//   - Sequence numbers come from a counter of the parent that only creations move, so they are without gaps unless a
//     creation with another name happens in the same folder.
package store
