package runtime

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/replication/await"
)

// Log is a led partition as a coordinator sees it. Errors that carry a Kafka code wrap *kerr.Error. All methods may be
// called from any goroutine; Append is called by one at a time.
type Log interface {
	// Append writes one batch as the leader and gives the offset of its last record.
	Append(b record.Batch) (last int64, err error)
	// HighWatermark is the level below which offsets are committed.
	HighWatermark() *await.Level
	// Writable says why an append would be refused now: too few in-sync replicas, not the leader any more, a failed disk.
	Writable() error
	// Read gives whole entries beginning with the one that holds offset, or the next one: at least one, even if it is larger than
	// max bytes; none where compaction has left none up to the end.
	Read(offset int64, max int) ([]byte, error)
	// Start is the first offset that may be read, End the one after the last.
	Start() int64
	End() int64
	// MaxBatchBytes is the size of the largest batch that Append takes (max.message.bytes of the topic).
	MaxBatchBytes() int
}

// Entry is one record of the log. Its bytes belong to the log's buffer: whoever keeps them copies them.
type Entry struct {
	Offset        int64
	Timestamp     int64 // ms since 1970
	Key, Value    []byte
	ProducerID    int64
	ProducerEpoch int16
	// Transactional records count when their transaction's marker comes.
	Transactional bool
}

// Marker is the end of a transaction in this partition.
type Marker struct {
	Offset        int64
	ProducerID    int64
	ProducerEpoch int16
	Commit        bool
}

// Machine is the state that is kept in one partition. Its methods, and the operations that Do gives to it, run one at a
// time.
type Machine interface {
	// Replay applies a record, on loading and when the machine itself has written it. It must not fail: a record that makes
	// no sense is skipped with a warning.
	Replay(Entry)
	// End applies the end of a transaction.
	End(Marker)
	// Loaded tells that the log has been replayed. The machine may set timers and write.
	Loaded()
}

// Kind is what the header of a batch says about all its records.
type Kind struct {
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	Transactional bool
}

// Plain is the kind of a batch without a producer.
var Plain = Kind{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None}

// Record is what a machine writes. A nil value is a tombstone.
type Record struct{ Key, Value []byte }

// Refusal turns an error of the log into what a coordinator's client is told (Kafka: the mapping of append errors that
// commits and group metadata share).
func Refusal(err error) *kerr.Error {
	var ke *kerr.Error
	if !errors.As(err, &ke) {
		return kerr.NotCoordinator
	}
	switch ke {
	case kerr.UnknownTopicOrPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend:
		return kerr.CoordinatorNotAvailable
	case kerr.NotLeaderForPartition, kerr.KafkaStorageError, kerr.FencedLeaderEpoch:
		return kerr.NotCoordinator
	}
	return ke
}
