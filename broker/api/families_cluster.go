package api

import (
	"context"
	"iter"
)

// Cluster is the family that tells of the cluster what Metadata does not.
type Cluster struct {
	Images Images
	// Controller says whether this broker is the controller: only that one lists reassignments.
	Controller Activity
	// PartitionLimit is max.request.partition.size.limit: how many partitions one answer describes at most; 0 is its default.
	PartitionLimit int
}

// Activity says whether the controller runs here.
type Activity interface {
	Active() (epoch int32, active bool)
}

// The defaults of settings.
const (
	defaultPartitionLimit = 2000
	defaultMaxTimeout     = 900_000 // ms
)

func (f *Cluster) routes() []Route {
	return []Route{
		route(f.ListPartitionReassignments, inPlace),
		route(f.DescribeCluster, inPlace),
		route(f.DescribeTopicPartitions, inPlace),
	}
}

// Replicas is the family that tells what this broker holds.
type Replicas struct {
	Images     Images
	Partitions Partitions
	LogDirs    LogDirs
}

// LogDirs tells of the disks.
type LogDirs interface {
	// LogDirs are all of them, failed ones too, in the order of log.dirs.
	LogDirs() []LogDir
	// Held are the replicas on them, in any order.
	Held() iter.Seq[HeldReplica]
}

// LogDir is one of log.dirs.
type LogDir struct {
	Path string // absolute
	Err  error  // why it is offline; nil when it is not
	// Total and Usable are bytes of the file system, -1 when they cannot be had.
	Total, Usable int64
}

// HeldReplica is a replica on a disk of this broker.
type HeldReplica struct {
	Topic     string
	Partition int32
	Dir       string // the path of its LogDir
	Bytes     int64  // of its segments
	Lag       int64  // offsets by which its end is behind its high watermark
}

func (f *Replicas) routes() []Route {
	return []Route{
		route(f.DescribeLogDirs, inPlace),
		route(f.DescribeProducers, inPlace),
	}
}

// Security is the family of permissions. No authorizer exists, and every request says so.
type Security struct{}

func (f *Security) routes() []Route {
	return []Route{
		route(f.DescribeACLs, inPlace),
		route(f.CreateACLs, inPlace),
		route(f.DeleteACLs, inPlace),
	}
}

// Producers is the family that gives producers their ids.
type Producers struct {
	IDs ProducerIDs
	// MaxTimeout is transaction.max.timeout.ms; 0 is its default.
	MaxTimeout int64
}

// ProducerIDs hands out ids that nobody has had.
type ProducerIDs interface {
	// Next waits, if it must, for the next block of ids.
	Next(ctx context.Context) (int64, error)
}

func (f *Producers) routes() []Route { return []Route{route(f.InitProducerID, inPlace)} }
