// Package storetest holds every implementation of store.Store to the same behaviour: ZooKeeper's, as far as Kafka relies
// on it. Run is called by the tests of each implementation.
//
// It owns what "the same" means. Where an implementation cannot agree, the contract in package store changes, not the
// implementation's copy of a test: there is none.
//
// Non-obvious:
//
//   - That a watch has not gone off can only be said after something later has: events of one session come in the order of
//     the changes, so the suite makes a later change, waits for that one's event, and then looks at the first watch.
package storetest
