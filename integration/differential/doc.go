// Command differential sends the same requests to Apache Kafka 3.9.2 and to barnabas and compares the answers field by field.
//
//	go run ./integration/differential --kafka host:port --barnabas host:port [--api 3,19] [--script REGEXP] [--list] [--coverage]
//
// A Script is a little conversation about one API, run at every version that both brokers and kmsg know, with valid, odd and
// invalid requests. It names topics and groups after itself, so both brokers should be fresh, and scripts do not meet. What must
// differ (ids, addresses, clocks) is normalised in normal.go; what may differ stands in allowed.go with its reason, and
// docs/COMPATIBILITY.md is written from that table. Everything else is a difference, and the exit code is 1.
//
// What is covered is counted, not believed: each question is valid, odd or invalid by how it looks and by what Apache Kafka answers,
// and the test fails for a version that both sides know and that was not asked one of each (coverage.go).
//
// It must never know how barnabas works: both sides are addresses.
//
// Non-obvious:
//   - Fresh brokers both have node id 0 and the same settings, else ids and DescribeConfigs differ for no reason.
//   - A side may close the connection, or say nothing within the limit: those are answers too, and are compared.
//   - Two runs of Kafka against Kafka must be equal; a script for which they are not is wrong.
package main
