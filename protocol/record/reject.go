package record

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Rejected is why a client's records are not appended. errors.As finds its *kerr.Error.
type Rejected struct {
	Err *kerr.Error
	// Message is what Kafka tells the client in error_message (Produce v8+), in its words; "" where it tells nothing.
	Message string
	// Reason is for the log of this broker.
	Reason string
	// Records are the records at fault, in order, where single records are; at most maxRecordErrors of them.
	Records []RecordError
	// FromValidator says that Kafka finds this with the log at hand, not while reading the request: its answer then
	// tells the log start offset.
	FromValidator bool
}

// RecordError is what is wrong with one record: its index in its batch, and Kafka's words.
type RecordError struct {
	Index   int32
	Message string
}

func (r *Rejected) Error() string {
	why := r.Reason
	if why == "" {
		why = r.Message
	}
	return "record: rejected: " + r.Err.Message + ": " + why
}

func (r *Rejected) Unwrap() error { return r.Err }

// refuse is a request that is turned away before the log is looked at.
func refuse(err *kerr.Error, format string, args ...any) *Rejected {
	return &Rejected{Err: err, Reason: fmt.Sprintf(format, args...)}
}

// reject is a batch that the validator turns away.
func reject(err *kerr.Error, format string, args ...any) *Rejected {
	return &Rejected{Err: err, Reason: fmt.Sprintf(format, args...), FromValidator: true}
}

// offences collects what is wrong with single records of a batch.
type offences struct {
	list  []RecordError
	count int
	time  bool // one of them is about a timestamp, which decides the code
}

func (o *offences) add(index int32, time bool, message string) {
	o.count++
	o.time = o.time || time
	if len(o.list) < maxRecordErrors {
		o.list = append(o.list, RecordError{index, message})
	}
}

// rejected is nil where there are none.
func (o *offences) rejected() *Rejected {
	if o.count == 0 {
		return nil
	}
	r := &Rejected{Err: kerr.InvalidRecord, Records: o.list, FromValidator: true}
	if o.time {
		r.Err = kerr.InvalidTimestamp
		r.Message = "One or more records have been rejected due to invalid timestamp"
		return r
	}
	var first []string
	for _, e := range o.list[:min(len(o.list), 3)] {
		first = append(first, fmt.Sprintf("RecordError(batchIndex=%d, message='%s')", e.Index, e.Message))
	}
	r.Message = fmt.Sprintf("One or more records have been rejected due to %d record errors in total, and only showing the first three errors at most: [%s]",
		o.count, strings.Join(first, ", "))
	return r
}
