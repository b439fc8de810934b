package group

import "github.com/twmb/franz-go/pkg/kerr"

// Client is who sends a request.
type Client struct {
	ID   string
	Host string // as Kafka writes it: "/127.0.0.1"
}

// JoinRequest asks to become or to stay a member.
type JoinRequest struct {
	Group    string
	Member   string  // "" asks for an id
	Instance *string // group.instance.id
	Client   Client

	SessionTimeout, RebalanceTimeout int32 // ms

	ProtocolType string
	Protocols    []Protocol // by preference; kept, so they must not alias a buffer that is used again
	Reason       string

	// NeedID says that the client understands MEMBER_ID_REQUIRED (version 4), CanSkip that it understands a leader that need not
	// assign (version 9).
	NeedID, CanSkip bool
}

// JoinResult answers a join. Without error, Members is filled for the leader only.
type JoinResult struct {
	Err                    *kerr.Error // nil is none
	Member                 string
	Generation             int32
	ProtocolType, Protocol *string
	Leader                 string
	SkipAssignment         bool
	Members                []JoinedMember
}

// JoinedMember is a member as its leader must know it.
type JoinedMember struct {
	ID       string
	Instance *string
	Metadata []byte
}

func refuseJoin(member string, err *kerr.Error) JoinResult {
	return JoinResult{Err: err, Member: member, Generation: -1}
}

// SyncRequest asks for the assignment; the leader's brings it.
type SyncRequest struct {
	Group, Member          string
	Instance               *string
	Generation             int32
	ProtocolType, Protocol *string           // nil: not said, not checked
	Assignments            map[string][]byte // by member id
}

// SyncResult answers a sync.
type SyncResult struct {
	Err                    *kerr.Error
	ProtocolType, Protocol *string
	Assignment             []byte
}

// HeartbeatRequest says that a member lives.
type HeartbeatRequest struct {
	Group, Member string
	Instance      *string
	Generation    int32
}

// Leaving is one member that leaves: by its id, or, with an empty id, by its instance.
type Leaving struct {
	Member   string
	Instance *string
	Reason   string
}

// CommitRequest commits offsets, of a member, or, with generation -1, of somebody who only keeps offsets here.
type CommitRequest struct {
	Group, Member string
	Instance      *string
	Generation    int32
	Retention     int64 // ms that they are kept, -1 for the broker's rule
	// Epochs says that Generation may be the epoch of a member of the consumer protocol (version 9).
	Epochs bool
	Topics []CommitTopic
}

// CommitTopic is what is committed of one topic.
type CommitTopic struct {
	Topic      string
	Partitions []CommitPartition
}

// CommitPartition is one offset.
type CommitPartition struct {
	Partition   int32
	Offset      int64
	LeaderEpoch int32 // -1 unknown
	Timestamp   int64 // ms since 1970; -1 for now
	Metadata    string
}

// CommitResult has an error for each partition, in the order of the request.
type CommitResult [][]*kerr.Error

// Offset is a committed offset as a fetch gives it. Without one, Offset and LeaderEpoch are -1.
type Offset struct {
	Topic       string
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
	Err         *kerr.Error
}

// Description is a group as DescribeGroups shows it.
type Description struct {
	// Other says that the group is of another protocol, of which this does not tell.
	Other                  bool
	State                  string
	ProtocolType, Protocol string
	Members                []MemberDescription
}

// MemberDescription is a member as DescribeGroups shows it.
type MemberDescription struct {
	ID                   string
	Instance             *string
	Client               Client
	Metadata, Assignment []byte
}

// Overview is a group as ListGroups shows it.
type Overview struct {
	Group, ProtocolType, State, Type string
}
