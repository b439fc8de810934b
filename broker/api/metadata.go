package api

// Metadata (key 3)
//
//	v0  an empty list of topics means all
//	v1  null means all; controller id, racks, is_internal
//	v2  cluster id (KIP-78)
//	v3  throttle time
//	v4  allow_auto_topic_creation
//	v5  offline replicas (KIP-112)
//	v7  leader epochs (KIP-320)
//	v8  authorized operations (KIP-430)
//	v9  tagged fields (KIP-482)
//	v10 topic ids (KIP-516)
//	v11 no authorized operations of the cluster (KIP-700)
//	v12 topics may be asked for by id
//	v13 top-level error (KIP-1102)

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication/cluster"
)

// What may be done without an authorizer, as bits of AclOperation (KIP-430).
const (
	allTopicOperations   = 3576
	allClusterOperations = 8096
	notAsked             = -1 << 31
)

// autoCreateWait bounds how long a Metadata request waits for a topic that it has brought about.
const autoCreateWait = 10 * time.Second

// TopicCreator makes a topic with the broker's default counts, and returns once this broker's image has its leaders.
// An existing topic is fine.
type TopicCreator interface {
	AutoCreate(ctx context.Context, topic string) error
}

// Topology is the family that tells who is there.
type Topology struct {
	Images  Images
	Creator TopicCreator
	// AutoCreate is auto.create.topics.enable.
	AutoCreate bool
}

func (t *Topology) routes() []Route { return []Route{route(t.Metadata)} }

// Metadata answers from the image; topics that must be created first are waited for.
func (t *Topology) Metadata(c *Call, req *kmsg.MetadataRequest) Reply {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	if refusal := refuseMetadata(req); refusal != nil {
		return Done(refusedMetadata(req, resp, refusal))
	}
	missing := t.missing(req)
	if len(missing) == 0 {
		return Done(t.metadata(c.turn(), c.Listener, req, resp, nil))
	}
	turn, listener := c.turn(), c.Listener
	return Later(func(ctx context.Context) Response {
		ctx, cancel := context.WithTimeout(ctx, autoCreateWait)
		defer cancel()
		failed := map[string]*kerr.Error{}
		for _, name := range missing {
			if err := t.Creator.AutoCreate(ctx, name); err != nil {
				if failed[name] = asKafka(err); errors.Is(err, context.DeadlineExceeded) {
					failed[name] = kerr.LeaderNotAvailable
				}
			}
		}
		return t.metadata(turn, listener, req, resp, failed)
	})
}

// refuseMetadata is what is wrong with a request as a whole.
func refuseMetadata(req *kmsg.MetadataRequest) *kerr.Error {
	for _, rt := range req.Topics {
		switch {
		case req.Version >= 12:
			if rt.Topic == nil && rt.TopicID == ([16]byte{}) {
				return kerr.UnknownServerError
			}
		case req.Version >= 10 && (rt.Topic == nil || rt.TopicID != ([16]byte{})):
			return kerr.InvalidRequest
		}
	}
	return nil
}

// refusedMetadata names the error for each topic and, as Kafka does, no broker.
func refusedMetadata(req *kmsg.MetadataRequest, resp *kmsg.MetadataResponse, why *kerr.Error) Response {
	resp.ControllerID = -1
	resp.AuthorizedOperations = notAsked
	for _, rt := range req.Topics {
		at := kmsg.NewMetadataResponseTopic()
		at.ErrorCode, at.Topic, at.TopicID = why.Code, rt.Topic, rt.TopicID
		if at.Topic == nil {
			at.Topic = kmsg.StringPtr("")
		}
		resp.Topics = append(resp.Topics, at)
	}
	return resp
}

// all says whether the request asks for every topic.
func wantsAll(req *kmsg.MetadataRequest) bool {
	return req.Topics == nil || req.Version == 0 && len(req.Topics) == 0
}

// missing are the names asked for that must be created first.
func (t *Topology) missing(req *kmsg.MetadataRequest) []string {
	if wantsAll(req) || !t.AutoCreate || req.Version >= 4 && !req.AllowAutoTopicCreation {
		return nil
	}
	img := t.Images.Current()
	var names []string
	for _, rt := range req.Topics {
		if rt.TopicID != ([16]byte{}) && req.Version >= 12 || rt.Topic == nil {
			continue
		}
		if name := *rt.Topic; img.Topics[name] == nil && cluster.LegalTopicName(name) {
			names = append(names, name)
		}
	}
	return eachOnce(names)
}

func (t *Topology) metadata(turn turn, listener string, req *kmsg.MetadataRequest, resp *kmsg.MetadataResponse, failed map[string]*kerr.Error) Response {
	size := answerSize{turn: turn}
	defer size.end()
	img := t.Images.Current()
	resp.ClusterID = kmsg.StringPtr(img.ClusterID)
	resp.ControllerID = img.ControllerID
	resp.AuthorizedOperations = notAsked
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = allClusterOperations
	}
	for _, id := range img.BrokerIDs() {
		b := img.Brokers[id]
		if e, ok := b.On(listener); ok {
			resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: id, Host: e.Host, Port: e.Port, Rack: b.Rack})
		}
	}
	if wantsAll(req) {
		names := img.TopicNames()
		resp.Topics = make([]kmsg.MetadataResponseTopic, 0, len(names))
		for _, name := range names {
			if !size.add(len(img.Topics[name].Partitions)) {
				return nil
			}
			resp.Topics = append(resp.Topics, describeTopic(img, listener, req, img.Topics[name]))
		}
		return size.made(resp)
	}
	seen := map[fetchKey]bool{}
	resp.Topics = make([]kmsg.MetadataResponseTopic, 0, len(req.Topics))
	for _, rt := range req.Topics {
		byID := rt.TopicID != ([16]byte{}) && req.Version >= 12
		key := fetchKey{id: rt.TopicID}
		if !byID {
			key = fetchKey{topic: *rt.Topic}
		}
		if !seen[key] {
			seen[key] = true
			at := t.askedTopic(img, listener, req, rt, byID, failed)
			if !size.add(len(at.Partitions)) { // each topic once: they are as many as there are
				return nil
			}
			resp.Topics = append(resp.Topics, at)
		}
	}
	return size.made(resp)
}

// askedTopic answers for a topic that the request names by one or the other.
func (t *Topology) askedTopic(img *cluster.Image, listener string, req *kmsg.MetadataRequest, rt kmsg.MetadataRequestTopic, byID bool, failed map[string]*kerr.Error) kmsg.MetadataResponseTopic {
	at := kmsg.NewMetadataResponseTopic()
	at.AuthorizedOperations = notAsked
	if byID {
		if known := img.ByID[rt.TopicID]; known != nil {
			return describeTopic(img, listener, req, known)
		}
		at.ErrorCode, at.TopicID = kerr.UnknownTopicID.Code, rt.TopicID
		return at
	}
	name := *rt.Topic
	if known := img.Topics[name]; known != nil {
		return describeTopic(img, listener, req, known)
	}
	at.Topic, at.IsInternal = rt.Topic, cluster.Internal(name)
	if req.IncludeTopicAuthorizedOperations {
		at.AuthorizedOperations = allTopicOperations
	}
	switch why := failed[name]; {
	case why != nil:
		at.ErrorCode = why.Code
	case !cluster.LegalTopicName(name):
		at.ErrorCode = kerr.InvalidTopicException.Code
	default:
		at.ErrorCode = kerr.UnknownTopicOrPartition.Code
	}
	return at
}

func describeTopic(img *cluster.Image, listener string, req *kmsg.MetadataRequest, t *cluster.Topic) kmsg.MetadataResponseTopic {
	at := kmsg.NewMetadataResponseTopic()
	at.Topic, at.TopicID, at.IsInternal = kmsg.StringPtr(t.Name), t.ID, cluster.Internal(t.Name)
	at.AuthorizedOperations = notAsked
	if req.IncludeTopicAuthorizedOperations {
		at.AuthorizedOperations = allTopicOperations
	}
	at.Partitions = make([]kmsg.MetadataResponseTopicPartition, 0, len(t.Partitions))
	for id, p := range t.Partitions {
		if p == nil {
			continue
		}
		ap := kmsg.NewMetadataResponseTopicPartition()
		ap.Partition, ap.Leader, ap.LeaderEpoch = int32(id), p.Leader, p.LeaderEpoch
		ap.Replicas, ap.ISR = p.Replicas, p.ISR
		ap.OfflineReplicas = offlineReplicas(img, listener, p)
		switch b := img.Brokers[p.Leader]; {
		case b == nil:
			ap.ErrorCode, ap.Leader = kerr.LeaderNotAvailable.Code, cluster.NoLeader
		default:
			if _, ok := b.On(listener); ok {
				break
			}
			if ap.ErrorCode = kerr.ListenerNotFound.Code; req.Version < 6 {
				ap.ErrorCode = kerr.LeaderNotAvailable.Code
			}
			ap.Leader = cluster.NoLeader
		}
		if req.Version == 0 && ap.ErrorCode == 0 && len(ap.OfflineReplicas) > 0 {
			ap.ErrorCode = kerr.ReplicaNotAvailable.Code
			ap.Replicas = without(ap.Replicas, ap.OfflineReplicas)
			ap.ISR = without(ap.ISR, ap.OfflineReplicas)
		}
		at.Partitions = append(at.Partitions, ap)
	}
	return at
}

// offlineReplicas are those whose disk has failed or whose broker is not reachable on the listener.
func offlineReplicas(img *cluster.Image, listener string, p *cluster.Partition) []int32 {
	var off []int32
	for _, r := range p.Replicas {
		b := img.Brokers[r]
		if b != nil && !slices.Contains(p.Offline, r) {
			if _, ok := b.On(listener); ok {
				continue
			}
		}
		off = append(off, r)
	}
	return off
}

func without(ids, out []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(ids), func(id int32) bool { return slices.Contains(out, id) })
}
