package broker

import (
	"barnabas/protocol/record"
	"barnabas/replication"
	"barnabas/replication/await"
)

// coordinatorLog is a led partition of an internal topic as its coordinator sees it.
type coordinatorLog struct{ *replication.Partition }

func (l coordinatorLog) Append(b record.Batch) (int64, error) {
	a, err := l.AppendOwn(b)
	return a.Last, err
}

func (l coordinatorLog) HighWatermark() *await.Level { return l.Partition.HighWatermark() }
func (l coordinatorLog) Start() int64                { return l.Log().Start() }
func (l coordinatorLog) End() int64                  { return l.Log().End() }
func (l coordinatorLog) MaxBatchBytes() int          { return l.Settings().Log.MaxMessageBytes }

func (l coordinatorLog) Read(offset int64, max int) ([]byte, error) {
	slice, err := l.Partition.Read(offset, replication.Everything, max, true)
	if err != nil {
		return nil, err
	}
	defer slice.Release()
	b := make([]byte, slice.Len())
	_, err = slice.ReadInto(b)
	return b, err
}
