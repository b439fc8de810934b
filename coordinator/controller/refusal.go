package controller

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Refusal is an answer that a client gets: a Kafka error with the text that Apache Kafka gives.
type Refusal struct {
	Kafka *kerr.Error
	// Message is "" where Kafka sends none.
	Message string
}

func (r *Refusal) Error() string {
	if r.Message == "" {
		return r.Kafka.Message
	}
	return r.Kafka.Message + ": " + r.Message
}

// Unwrap lets errors.As find the Kafka error.
func (r *Refusal) Unwrap() error { return r.Kafka }

// refuse makes a Refusal.
func refuse(kafka *kerr.Error, format string, args ...any) *Refusal {
	return &Refusal{Kafka: kafka, Message: fmt.Sprintf(format, args...)}
}
