// Command load measures a Kafka broker, barnabas or Apache's, with frames that were built beforehand, so that the load
// costs little beside what it loads.
//
//	load produce -addr 127.0.0.1:9092 -pid 4711 -conns 4 -inflight 5 -batch 16384 -record 100
//	load fetch   -addr 127.0.0.1:9092 -pid 4711 -max 1048576
//	load pace    -addr 127.0.0.1:9092 -pid 4711 -rate 1000 -record 1024
//	load commit  -addr 127.0.0.1:9092 -pid 4711 -conns 4 -partitions 10
//	load rebalance -addr 127.0.0.1:9092 -pid 4711 -members 1000
//	load bare    -addr 127.0.0.1:9093
//	load start   -addr 127.0.0.1:9092 -- bin/barnabas serve --listen 127.0.0.1:9092 --data /tmp/data
//
// produce keeps requests in flight on every connection, each of one batch, one partition a connection. fetch reads one
// partition from its start to its end over and over, one request after the other. pace sends one record at a time at a
// given rate while a second connection waits for it in a fetch, and tells both round trips; bare is a server without a log
// for pace to measure what its figures are worth. commit keeps commits of groups without members in flight,
// and coordinate waits until all those groups are served. rebalance has
// all members of a group join again at the same moment. start measures from exec to the first ApiVersions and the first
// Metadata answer, and the memory of the idle process, and ends it.
//
// With -pid the processor time of that process, user and system, is told per gigabyte of payload (10^9 bytes) or per
// second; it stays meaningful on a machine that is busy with other things, which rates do not. With -json one line of JSON
// is printed. Requests are Produce v9, Fetch v11 and Metadata v9, which Apache Kafka knows from 2.4 on.
package main
