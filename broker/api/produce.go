package api

// Produce (key 0)
//
//	v1  throttle time (KIP-13)
//	v2  log append time; message format 1 (KIP-32)
//	v3  transactional id; message format 2 and exactly one batch a partition (KIP-98)
//	v5  log start offset (KIP-107)
//	v7  zstd (KIP-110)
//	v8  errors of single records, error message (KIP-467)
//	v9  tagged fields (KIP-482)
//	v10 the current leader with NOT_LEADER_OR_FOLLOWER (KIP-951)
//	v11 the client knows TRANSACTION_ABORTABLE (KIP-890)
//	v12 partitions join their transaction by producing (KIP-890)
//	v13 topic ids (KIP-516)

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record"
	"barnabas/replication"
	"barnabas/replication/await"
	"barnabas/replication/cluster"
)

// adminClientID is the client id that Kafka lets produce into its internal topics.
const adminClientID = "__admin_client"

// owed is an acks=all append whose answer waits for the in-sync replicas, or an acks=1 append that waits for the disk.
type owed struct {
	partition *replication.Partition
	appended  replication.Appended
	answer    *kmsg.ProduceResponseTopicPartition
	written   bool
}

// Produce appends at once, in the order of the connection, and answers when acks says so.
func (d *Data) Produce(c *Call, req *produceRequest) Reply {
	req.Topics = merged(req.Topics,
		func(t *kmsg.ProduceRequestTopic) byName { return byName{t.Topic, t.TopicID} },
		func(t *kmsg.ProduceRequestTopic) *[]kmsg.ProduceRequestTopicPartition { return &t.Partitions },
		func(p *kmsg.ProduceRequestTopicPartition) int32 { return p.Partition })
	resp := req.respond()
	img := d.Images.Current()
	refusal := refuseProduce(&req.ProduceRequest)
	var waits []owed
	failed := false
	for i := range req.Topics {
		rt, at := &req.Topics[i], &resp.Topics[i]
		topic, found := topicName(img, rt.Topic, rt.TopicID, req.Version >= 13)
		for j := range rt.Partitions {
			rp, ap := &rt.Partitions[j], &at.Partitions[j]
			switch {
			case refusal != nil:
				ap.ErrorCode = refusal.Code
			case !found:
				ap.ErrorCode = kerr.UnknownTopicID.Code
			default:
				if w, waiting := d.produce(c, &req.ProduceRequest, img, topic, rp, ap); waiting {
					waits = append(waits, w)
				}
			}
			if ap.ErrorCode == kerr.NotLeaderForPartition.Code && req.Version >= 10 {
				resp.Brokers = tellLeader(img, c.Listener, topic, rp.Partition, &ap.CurrentLeader.LeaderID, &ap.CurrentLeader.LeaderEpoch, resp.Brokers)
			}
			failed = failed || ap.ErrorCode != 0
		}
	}
	if req.Acks == 0 {
		for i := range waits {
			failed = waits[i].partition.Written(waits[i].appended) != nil || failed
		}
		if req.free(); failed {
			return Close()
		}
		return None()
	}
	if len(waits) == 0 {
		return Done(resp)
	}
	timeout := time.Duration(req.TimeoutMillis) * time.Millisecond
	req.dropRecords()
	return Later(func(ctx context.Context) Response {
		d.settle(ctx, waits, req.Acks == -1, timeout)
		return resp
	})
}

// refuseProduce is what is wrong with a request as a whole.
func refuseProduce(req *kmsg.ProduceRequest) *kerr.Error {
	if req.Acks < -1 || req.Acks > 1 {
		return kerr.InvalidRequiredAcks
	}
	if req.Version < 3 || req.TransactionID != nil {
		return nil
	}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			if b := record.Batch(req.Topics[i].Partitions[j].Records); len(b) >= record.BatchOverhead && b.Magic() == 2 && b.IsTransactional() {
				return kerr.TransactionalIDAuthorizationFailed
			}
		}
	}
	return nil
}

// produce appends to one partition and fills in its answer, or says what the answer waits for.
func (d *Data) produce(c *Call, req *kmsg.ProduceRequest, img *cluster.Image, topic string, rp *kmsg.ProduceRequestTopicPartition, ap *kmsg.ProduceResponseTopicPartition) (owed, bool) {
	p, known := d.partition(img, topic, rp.Partition)
	switch {
	case !known:
		ap.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return owed{}, false
	case cluster.Internal(topic) && c.ClientID != adminClientID:
		ap.ErrorCode = kerr.InvalidTopicException.Code
		return owed{}, false
	case p == nil:
		ap.ErrorCode = kerr.NotLeaderForPartition.Code
		return owed{}, false
	}
	if b := record.Batch(rp.Records); req.TransactionID != nil && len(b) >= record.BatchOverhead && b.Magic() == 2 && b.IsTransactional() {
		// No transaction is ever open here: the APIs that begin one are not served.
		if ap.ErrorCode = kerr.InvalidTxnState.Code; req.Version >= 11 {
			ap.ErrorCode = kerr.TransactionAbortable.Code
		}
		return owed{}, false
	}
	a, err := p.Append(rp.Records, req.Version, req.Acks == -1)
	if err != nil {
		refusedAppend(p, err, ap)
		return owed{}, false
	}
	ap.BaseOffset, ap.LogAppendTime, ap.LogStartOffset = a.First, a.LogAppendTime, a.LogStart
	w := owed{partition: p, appended: a, answer: ap}
	if a.Unsynced {
		return w, true
	}
	if req.Acks != -1 {
		return owed{}, false
	}
	done, err := p.Committed(a)
	if err != nil {
		failAppend(ap, err)
		return owed{}, false
	}
	w.written = true
	return w, !done
}

// refusedAppend answers what was not appended. Errors that are found with the log at hand tell its start.
func refusedAppend(p *replication.Partition, err error, ap *kmsg.ProduceResponseTopicPartition) {
	failAppend(ap, err)
	var r *record.Rejected
	rejected := errors.As(err, &r)
	if !(rejected && !r.FromValidator) && tellsStart(ap.ErrorCode) {
		ap.LogStartOffset = p.Log().Start()
	}
	if !rejected {
		return
	}
	if r.Message != "" {
		ap.ErrorMessage = kmsg.StringPtr(r.Message)
	}
	for _, e := range r.Records {
		ap.ErrorRecords = append(ap.ErrorRecords, kmsg.ProduceResponseTopicPartitionErrorRecord{
			RelativeOffset: e.Index, ErrorMessage: kmsg.StringPtr(e.Message),
		})
	}
}

// tellsStart says whether the answer with an error that the log gave has the log start: not with those that Kafka
// expects of a log.
func tellsStart(code int16) bool {
	switch code {
	case kerr.UnknownTopicOrPartition.Code, kerr.NotLeaderForPartition.Code, kerr.MessageTooLarge.Code, kerr.RecordListTooLarge.Code,
		kerr.CorruptMessage.Code, kerr.KafkaStorageError.Code:
		return false
	}
	return true
}

func failAppend(ap *kmsg.ProduceResponseTopicPartition, err error) {
	ap.ErrorCode = code(err)
	ap.BaseOffset, ap.LogAppendTime, ap.LogStartOffset = -1, -1, -1
}

// settle waits until every owed answer is known or the time is up: REQUEST_TIMED_OUT for the rest.
func (d *Data) settle(ctx context.Context, waits []owed, all bool, timeout time.Duration) {
	bell := await.NewBell()
	deadline := d.Clock.After(timeout)
	expired := false
	for {
		var hooks []*await.Hook
		for i := range waits {
			w := &waits[i]
			if w.answer == nil {
				continue
			}
			if hook := w.look(bell, all, expired); hook != nil {
				hooks = append(hooks, hook)
			}
		}
		if len(hooks) == 0 {
			return
		}
		rang := bell.Wait(ctx, deadline)
		for _, h := range hooks {
			h.Unhook()
		}
		if !rang {
			expired = true
		}
	}
}

// look settles one answer if it can, else it hangs the bell where the news will come from.
func (w *owed) look(bell *await.Bell, all, expired bool) *await.Hook {
	if !w.written {
		if err := w.partition.Written(w.appended); err != nil {
			failAppend(w.answer, err)
			w.answer = nil
			return nil
		}
		w.written = true
	}
	if !all {
		w.answer = nil
		return nil
	}
	hook := w.partition.HighWatermark().Hang(bell, w.appended.Last+1)
	done, err := w.partition.Committed(w.appended)
	switch {
	case err != nil:
		failAppend(w.answer, err)
	case done:
	case expired:
		w.answer.ErrorCode = kerr.RequestTimedOut.Code
		w.answer.BaseOffset, w.answer.LogAppendTime, w.answer.LogStartOffset = -1, -1, -1
	default:
		return hook
	}
	hook.Unhook()
	w.answer = nil
	return nil
}

// tellLeader fills in who leads a partition and adds that broker's endpoint on the listener to the list (KIP-951).
func tellLeader(img *cluster.Image, listener, topic string, partition int32, id, epoch *int32, brokers []kmsg.ProduceResponseBroker) []kmsg.ProduceResponseBroker {
	st := img.Partition(topic, partition)
	if st == nil || st.Leader < 0 {
		return brokers
	}
	*id, *epoch = st.Leader, st.LeaderEpoch
	b := img.Brokers[st.Leader]
	if b == nil {
		return brokers
	}
	for _, known := range brokers {
		if known.NodeID == b.ID {
			return brokers
		}
	}
	e, ok := b.On(listener)
	if !ok {
		return brokers
	}
	return append(brokers, kmsg.ProduceResponseBroker{NodeID: b.ID, Host: e.Host, Port: e.Port, Rack: b.Rack})
}
