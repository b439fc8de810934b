package api

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Route is one API: what it is called, which versions it has, who serves it.
type Route struct {
	Key  int16
	Name string
	// Versions from 0 to Max are served, without gaps.
	Max int16
	// flexibleFrom is the first version with tagged fields, Max+1 when there is none.
	flexibleFrom int16
	// InPlace says that the handler is done with the request's bytes when it returns, so that they need not be copied
	// out of the connection's buffer.
	InPlace bool
	// carries says that the request brings somebody's bytes, and may be as large as the listener allows.
	carries bool
	// gathers says that coordinators are asked what they have, which may be much for a small request.
	gathers bool
	// Cluster says that brokers send it to each other, about as many partitions as there are: of a cluster of 300,000 an
	// UpdateMetadata has two million elements. It may be as large as the listener allows and have as many elements as it likes; what
	// bounds them is the memory of requests. Who may send such can do anything to the cluster as it is.
	Cluster bool

	shapes  *shapes
	request func() kmsg.Request // an empty one
	serve   func(*Call, kmsg.Request) Reply
}

// Flexible says whether a version of the API has tagged fields.
func (r *Route) Flexible(version int16) bool { return version >= r.flexibleFrom }

// Alone says that an answer at a version may hold much before it is made, so that a connection must not have several in the making:
// records that old consumers get converted, or what coordinators have said.
func (r *Route) Alone(version int16) bool {
	return r.gathers || r.Key == (*kmsg.FetchRequest)(nil).Key() && version < 4
}

// Weigh counts the elements of a request's arrays, if the body has from bytes or more, before they are decoded. An error
// means that there are too many, that the body is too large for its API, or that it is not one of that version.
func (r *Route) Weigh(version int16, body []byte, from int) (elements int, err error) {
	if !r.carries && !r.Cluster && len(body) > namesMax {
		return 0, fmt.Errorf("%s v%d: %w: %d bytes", r.Name, version, ErrTooLarge, len(body))
	}
	if len(body) < from {
		return 0, nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s v%d: %w: %v\n%s", r.Name, version, ErrPanic, p, debug.Stack())
		}
	}()
	most := ElementsMax
	if r.Cluster {
		most = math.MaxInt
	}
	n, ok := r.shapes.at(version).count(body, most)
	switch {
	case !ok:
		return 0, fmt.Errorf("%s v%d: %w", r.Name, version, errShape)
	case n > most:
		return 0, fmt.Errorf("%s v%d: %w: more than %d elements in %d bytes", r.Name, version, ErrTooLarge, ElementsMax, len(body))
	}
	return n, nil
}

// Elements is how many elements a request may have, of which those were counted, none if the body is small.
func (r *Route) Elements(counted int, body []byte) int {
	if counted == 0 && !r.carries {
		return len(body) / leastElement
	}
	return counted
}

// Cost is how much memory the elements of a request take until it is answered, in bytes.
func (r *Route) Cost(elements int) int64 {
	if r.Cluster {
		return int64(elements) * clusterElementCost
	}
	return int64(elements) * ElementCost
}

// Serve decodes a request's body, which must have been weighed, and answers it. An error means that the body is not one of
// that version, or that answering it panicked: a fault of ours must cost one connection, not the broker.
func (r *Route) Serve(c *Call, body []byte) (reply Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s v%d: %w: %v\n%s", r.Name, c.Version, ErrPanic, p, debug.Stack())
		}
	}()
	req := r.request()
	req.SetVersion(c.Version)
	if req.ReadFrom(body) != nil { // kmsg has one error, which speaks of a response
		return Reply{}, fmt.Errorf("%s v%d: %w", r.Name, c.Version, errShape)
	}
	return r.serve(c, req), nil
}

// namesMax bounds requests that bring nothing but names and numbers: in 8 MB there is room for 200,000 partitions of a fetch,
// or 100,000 committed offsets.
const namesMax = 8 << 20

// ElementsMax bounds what a request may have in its arrays, all together. In a hostile one an element takes two bytes, and
// 10 million empty names of groups, decoded and answered, cost 4 GB; so many cost ElementCost bytes each.
const (
	ElementsMax = 250_000
	ElementCost = 600
)

// leastElement is about the size of the smallest elements, in bytes.
const leastElement = 4

// clusterElementCost is what an element costs where most are numbers and little is answered: a partition takes some 200 bytes, and
// has three elements at least beside itself, a hostile one takes as much and has none.
const clusterElementCost = 200

// clusterKeys are the APIs whose routes are Cluster: LeaderAndIsr, StopReplica and UpdateMetadata from the controller, AlterPartition to it.
var clusterKeys = []int16{(*kmsg.LeaderAndISRRequest)(nil).Key(), (*kmsg.StopReplicaRequest)(nil).Key(),
	(*kmsg.UpdateMetadataRequest)(nil).Key(), (*kmsg.AlterPartitionRequest)(nil).Key()}

var errShape = errors.New("the request is shorter than its fields")

// ErrTooLarge is a request that would take too much memory to answer.
var ErrTooLarge = errors.New("request too large")

// ErrPanic is a fault of the broker itself.
var ErrPanic = errors.New("panic")

// option adds to a route what most do not need.
type option func(*Route)

// inPlace lets the handler work on the connection's buffer.
func inPlace(r *Route) { r.InPlace = true }

// carries lets the request be as large as any.
func carries(r *Route) { r.carries = true }

// gathers has each request answered before the next is read.
func gathers(r *Route) { r.gathers = true }

// made gives the requests to decode into, of the type that the handler takes, where kmsg's own do not do.
func made(request func() kmsg.Request) option { return func(r *Route) { r.request = request } }

// route makes a row of the table from a family's method; the key and the highest version come from the request's type.
func route[R kmsg.Request](method func(*Call, R) Reply, options ...option) Route {
	var zero R
	r := Route{Key: zero.Key(), Name: kmsg.NameForKey(zero.Key()), Max: zero.MaxVersion()}
	req := kmsg.RequestForKey(r.Key)
	for r.flexibleFrom = 0; r.flexibleFrom <= r.Max; r.flexibleFrom++ {
		if req.SetVersion(r.flexibleFrom); req.IsFlexible() {
			break
		}
	}
	r.Cluster = slices.Contains(clusterKeys, r.Key)
	r.shapes = &shapes{key: r.Key}
	r.request = func() kmsg.Request { return kmsg.RequestForKey(r.Key) }
	r.serve = func(c *Call, req kmsg.Request) Reply { return method(c, req.(R)) }
	for _, o := range options {
		o(&r)
	}
	return r
}

// Routes is the table of all APIs, by key.
type Routes struct {
	byKey []*Route
	// list is in ascending order of keys.
	list []Route
}

// Family is a set of APIs that share what they can reach.
type Family interface {
	routes() []Route
}

// NewRoutes makes the table from all families. Versions is the one that tells of it.
func NewRoutes(v *Versions, families ...Family) *Routes {
	list := v.routes()
	for _, f := range families {
		list = append(list, f.routes()...)
	}
	slices.SortFunc(list, func(a, b Route) int { return int(a.Key) - int(b.Key) })
	rs := &Routes{list: list, byKey: make([]*Route, list[len(list)-1].Key+1)}
	for i := range list {
		r := &list[i]
		if rs.byKey[r.Key] != nil {
			panic(fmt.Sprintf("two routes for API %d", r.Key))
		}
		rs.byKey[r.Key] = r
	}
	v.table = rs
	return rs
}

// Get finds an API that is served at a version; nil when it is not.
func (rs *Routes) Get(key, version int16) *Route {
	if key < 0 || int(key) >= len(rs.byKey) {
		return nil
	}
	r := rs.byKey[key]
	if r == nil || version < 0 || version > r.Max {
		return nil
	}
	return r
}

// All are the APIs in ascending order of keys.
func (rs *Routes) All() []Route { return rs.list }
