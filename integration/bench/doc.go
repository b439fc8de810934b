// Command bench measures barnabas and Apache Kafka 3.9.2 side by side, in one run, on this machine:
//
//	make bench                       # all, about fifteen minutes; rewrites the table in docs/BENCHMARKS.md
//	make bench BENCH='-quick'        # a tenth of the records, one run: to try the harness; writes nothing
//
// Both brokers are alive all the time, with their files in the same folder and default settings, Kafka with the JVM flags it is
// shipped with. Each measurement is taken from one and then from the other, several times; the table has medians and the range. The
// first round warms Kafka's JIT compiler and the clients' and is not counted.
//
// Clients are Kafka's own producer-perf-test and consumer-perf-test of 3.9.2, one after another in one warm JVM, and, for latencies
// at a fixed pace and for the time of a start, integration/bench/load.
//
// Non-obvious:
//   - The firm number is the broker's processor time (from /proc), since clients and brokers share the cores and a busy neighbour
//     moves every rate.
//   - As root, the run moves into a network namespace of its own with congestion control cubic on loopback (-isolate=false stays):
//     where the system's default is BBR, as in many clouds, loopback itself would be the limit.
package main
