package producers

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
)

// maxMarker bounds a marker that somebody has compressed, in bytes.
const maxMarker = 1 << 16

// Marker is the control record that ends a transaction.
type Marker struct {
	record.EndTxnMarker
	Timestamp int64 // ms since 1970
}

// ParseMarker reads the marker of a control batch; false when the batch is empty, as compaction leaves it. An error wraps
// kerr.CorruptMessage.
func ParseMarker(b record.Batch) (m Marker, found bool, err error) {
	err = b.Each(maxMarker, func(r record.Record) error {
		if found {
			return nil // only the first counts
		}
		found = true
		m.Timestamp = b.Timestamp(r)
		m.EndTxnMarker, err = record.ParseEndTxnMarker(r.Key, r.Value)
		return err
	})
	if err != nil {
		return Marker{}, false, fmt.Errorf("marker: %w (%w)", err, kerr.CorruptMessage)
	}
	return m, found, nil
}
