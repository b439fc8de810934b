package api

// InitProducerId (key 22, KIP-98)
//
//	v1  the client throttles itself (KIP-219)
//	v2  tagged fields
//	v3  the id and epoch that the producer has, to go on after an error (KIP-360)
//	v4  PRODUCER_FENCED instead of INVALID_PRODUCER_EPOCH
//	v5  TRANSACTION_ABORTABLE (KIP-890)

import (
	"cmp"
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producerIDWait bounds how long a producer waits for a block of ids; after that it is told to ask again.
const producerIDWait = 5 * time.Second

// InitProducerID gives a producer an id and the epoch 0. A producer without a transactional id that has an id gets a new
// one all the same. Transactional ids are refused (see errNoTransactions).
func (f *Producers) InitProducerID(_ *Call, req *kmsg.InitProducerIDRequest) Reply {
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if why := f.refuse(req); why != nil {
		resp.ErrorCode = why.Code
		return Done(resp)
	}
	return Later(func(ctx context.Context) Response {
		wait, cancel := context.WithTimeout(ctx, producerIDWait)
		defer cancel()
		id, err := f.IDs.Next(wait)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			// Kafka's word for "no ids yet", whatever the controller's error was: clients ask again.
			resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
		default:
			resp.ProducerID, resp.ProducerEpoch = id, 0
		}
		return resp
	})
}

// refuse is what is wrong with a request, in Kafka's order; nil for one of a producer without transactions.
func (f *Producers) refuse(req *kmsg.InitProducerIDRequest) *kerr.Error {
	switch {
	case (req.ProducerID == -1) != (req.ProducerEpoch == -1):
		return kerr.InvalidRequest
	case req.TransactionalID == nil:
		return nil
	case *req.TransactionalID == "":
		return kerr.InvalidRequest
	case req.TransactionTimeoutMillis <= 0 || int64(req.TransactionTimeoutMillis) > cmp.Or(f.MaxTimeout, defaultMaxTimeout):
		return kerr.InvalidTransactionTimeout
	}
	return errNoTransactions
}
