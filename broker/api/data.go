package api

import (
	"barnabas/replication"
	"barnabas/replication/cluster"
	"barnabas/storage/clock"
)

// Images is the picture of the cluster that this broker has.
type Images interface {
	Current() *cluster.Image
}

// Partitions are those of this broker; Get is nil for one that it does not have.
type Partitions interface {
	Get(topic string, id int32) *replication.Partition
}

// Data is the family that moves records: Produce, Fetch and what tells positions in a log.
type Data struct {
	Images     Images
	Partitions Partitions
	Sessions   *FetchSessions
	Clock      clock.Clock
	// FetchMaxBytes is fetch.max.bytes, the limit of a fetch response whatever the client asks for.
	FetchMaxBytes int
}

func (d *Data) routes() []Route {
	return []Route{
		route(d.Produce, inPlace, carries, made(d.newProduceRequest)),
		route(d.Fetch, inPlace, made(d.newFetchRequest)),
		route(d.ListOffsets, inPlace),
		route(d.DeleteRecords, inPlace),
		route(d.OffsetForLeaderEpoch, inPlace),
	}
}

// partition finds a partition that the cluster knows and this broker may have: nil with known says that it is another
// broker's.
func (d *Data) partition(img *cluster.Image, topic string, id int32) (p *replication.Partition, known bool) {
	if p = d.Partitions.Get(topic, id); p != nil {
		return p, true
	}
	return nil, img.Partition(topic, id) != nil
}

// topicName gives the name of a topic that a request names by one or the other, and whether the image knows the id.
func topicName(img *cluster.Image, name string, id [16]byte, byID bool) (string, bool) {
	if !byID {
		return name, true
	}
	if t := img.ByID[id]; t != nil {
		return t.Name, true
	}
	return "", false
}
