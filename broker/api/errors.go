package api

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
)

// code is the number under which an error goes out: that of the Kafka error it wraps, UNKNOWN_SERVER_ERROR for any
// other, 0 for nil.
func code(err error) int16 {
	if err == nil {
		return 0
	}
	return asKafka(err).Code
}

// asKafka is the Kafka error in an error, UNKNOWN_SERVER_ERROR if it has none.
func asKafka(err error) *kerr.Error {
	var ke *kerr.Error
	if errors.As(err, &ke) {
		return ke
	}
	return kerr.UnknownServerError
}
