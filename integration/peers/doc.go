// Package peers starts what barnabas is tested against: Apache Kafka 3.9.2, ZooKeeper, Kafka's tools, and barnabas itself as a
// process. The tests, the differential runner and the benchmark share it.
//
// It owns processes and temporary folders, and ends what it started, by process id. It must never know a test's subject.
//
// Barnabas and Apache Kafka are given the same server.properties, so a test turns from one to the other by a Kind.
//
// Non-obvious:
//   - A broker is ready when a Metadata answer lists it, not when its port accepts.
//   - Apache Kafka that is killed cannot start again within its ZooKeeper session's time; barnabas waits for the old node to go.
//   - ZooKeeper's port is polled with "srvr", which its whitelist must allow. It says imok to "ruok" before it serves, and a connection
//     that it takes then may never be answered.
package peers
