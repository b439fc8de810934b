package store

import (
	"context"
	"errors"
)

// The errors of a store. Implementations wrap them with the path; callers ask errors.Is.
var (
	ErrNoNode     = errors.New("no such node")
	ErrNodeExists = errors.New("node exists")
	ErrBadVersion = errors.New("node has another version")
	ErrNotEmpty   = errors.New("node has children")
	// ErrNoChildrenForEphemerals refuses a child below an ephemeral node.
	ErrNoChildrenForEphemerals = errors.New("ephemeral nodes have no children")
	// ErrSession says that the session has expired: its ephemeral nodes and watches are gone, and this handle with it
	// until it has a new one (see Session).
	ErrSession = errors.New("store session expired")
	// ErrUnavailable says that the store cannot be reached now; the operation may or may not have been done.
	ErrUnavailable = errors.New("store not reachable")
	ErrClosed      = errors.New("store closed")
	// ErrDisk says that the disk of an embedded store refuses what is written. Nothing of the operation is done; reading goes
	// on. It comes with ErrUnavailable.
	ErrDisk = errors.New("the disk of the store refuses writes")
	// ErrBadPath refuses a path that names no node: relative, with an empty name, with a NUL, with a trailing slash.
	ErrBadPath = errors.New("malformed path")
	// ErrTooLarge refuses content of more than MaxData bytes.
	ErrTooLarge = errors.New("content too large")
)

// MaxData is how many bytes a node may hold: what Kafka's brokers raise their ZooKeeper client to. A server may allow less.
const MaxData = 4 << 20

// AnyVersion skips the version check of Set, Delete and Check.
const AnyVersion int32 = -1

// Stat describes a node as ZooKeeper does. Times are milliseconds since 1970; Owner is the session that an ephemeral
// node lives as long as, 0 for others. Czxid is unique and rising over the whole store.
type Stat struct {
	Czxid, Mzxid, Pzxid int64
	Ctime, Mtime        int64
	Version             int32
	Cversion            int32
	Owner               int64
	NumChildren         int32
}

// Mode says what Create makes.
type Mode uint8

const (
	Persistent Mode = 0
	Ephemeral  Mode = 1
	// Sequential appends ten digits, the parent's counter, to the name.
	Sequential Mode = 2
)

// Event is a watch that went off. Watches are one-shot, as in ZooKeeper: look again with a new watch and compare.
// A watch also goes off, with Err set, when the session expires or the store closes. The channel gets one event and is
// closed then; nobody needs to read it.
type Event struct {
	Path string
	Err  error
}

// Op is one step of Multi. Make them by the functions below.
type Op struct {
	Kind    OpKind
	Path    string
	Data    []byte // nil is null, as ZooKeeper distinguishes it from empty
	Version int32
	Mode    Mode
}

type OpKind uint8

const (
	OpCreate OpKind = iota + 1
	OpSet
	OpDelete
	OpCheck
)

func Create(path string, data []byte, mode Mode) Op {
	return Op{Kind: OpCreate, Path: path, Data: data, Mode: mode}
}
func Set(path string, data []byte, version int32) Op {
	return Op{Kind: OpSet, Path: path, Data: data, Version: version}
}
func Delete(path string, version int32) Op { return Op{Kind: OpDelete, Path: path, Version: version} }
func Check(path string, version int32) Op  { return Op{Kind: OpCheck, Path: path, Version: version} }

// Result is the outcome of one step: the path of a Create (with its sequence), the Stat of a Set. When Multi fails,
// Err tells which step failed why; the steps of a failed Multi have no effect.
type Result struct {
	Path string
	Stat Stat
	Err  error
}

// Store is a session with the coordination store. It is safe for concurrent use. Operations wait while the connection
// is being remade, until their context ends.
type Store interface {
	Get(ctx context.Context, path string) ([]byte, Stat, error)
	Children(ctx context.Context, path string) ([]string, Stat, error) // names in ascending order
	Exists(ctx context.Context, path string) (Stat, bool, error)

	// GetW, ChildrenW and ExistsW also leave a watch: on the node's data or disappearance, on its list of children or
	// disappearance, on its coming, changing or going. GetW and ChildrenW leave none when they fail.
	GetW(ctx context.Context, path string) ([]byte, Stat, <-chan Event, error)
	ChildrenW(ctx context.Context, path string) ([]string, Stat, <-chan Event, error)
	ExistsW(ctx context.Context, path string) (Stat, bool, <-chan Event, error)

	Create(ctx context.Context, path string, data []byte, mode Mode) (string, error)
	Set(ctx context.Context, path string, data []byte, version int32) (Stat, error)
	Delete(ctx context.Context, path string, version int32) error
	// Multi does all steps or none. The error is that of the first step that failed, if any.
	Multi(ctx context.Context, ops ...Op) ([]Result, error)

	// Session is the current session's id and a channel that is closed when that session ends, by expiry or by Close.
	// From an expiry on every operation fails with ErrSession, until a call of Session has waited for the new session:
	// so nothing that was meant for the old one happens in the new.
	Session(ctx context.Context) (id int64, expired <-chan struct{}, err error)
	// Close ends the session: its ephemeral nodes go at once.
	Close() error
}
