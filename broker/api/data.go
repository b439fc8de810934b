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
		route(d.Produce, inPlace),
		route(d.Fetch, inPlace),
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

// distinct says whether no two of n elements have the same key. Requests name few; one that names many pays for a map.
func distinct[K comparable](n int, key func(i int) K) bool {
	if n > 32 {
		seen := make(map[K]struct{}, n)
		for i := range n {
			seen[key(i)] = struct{}{}
		}
		return len(seen) == n
	}
	for i := 1; i < n; i++ {
		for j := range i {
			if key(i) == key(j) {
				return false
			}
		}
	}
	return true
}

// byName is a topic as a request names it.
type byName struct {
	name string
	id   [16]byte
}

// merged are the topics of a request that may name one of them, or a partition, twice, with each once: Kafka keeps
// them in a map, where the last of two takes the place of the first. The request is not touched unless it does that.
func merged[T, P any](topics []T, name func(*T) byName, partitions func(*T) *[]P, id func(*P) int32) []T {
	once := distinct(len(topics), func(i int) byName { return name(&topics[i]) })
	for i := 0; once && i < len(topics); i++ {
		ps := *partitions(&topics[i])
		once = distinct(len(ps), func(j int) int32 { return id(&ps[j]) })
	}
	if once {
		return topics
	}
	var out []T
	at := map[byName]int{}
	places := map[byName]map[int32]int{}
	for i := range topics {
		t := topics[i]
		n := name(&t)
		into, known := at[n]
		ps := *partitions(&t)
		if !known {
			into = len(out)
			at[n], places[n] = into, map[int32]int{}
			*partitions(&t) = nil
			out = append(out, t)
		}
		kept := partitions(&out[into])
		for _, p := range ps {
			place, taken := places[n][id(&p)]
			if taken {
				(*kept)[place] = p
				continue
			}
			places[n][id(&p)] = len(*kept)
			*kept = append(*kept, p)
		}
	}
	return out
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
