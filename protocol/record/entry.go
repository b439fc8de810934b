package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	headerToMagic = offMagic + 1
	// minEntrySize is the smallest size field: that of a message of magic 0 with neither key nor value.
	minEntrySize = 14
	magicV2      = 2
)

var (
	// ErrShort says that an entry goes on behind the end of the bytes.
	ErrShort = fmt.Errorf("record: entry cut short: %w", io.ErrUnexpectedEOF)
	// ErrCorrupt is what every damage to bytes is, by errors.Is. It wraps kerr.CorruptMessage.
	ErrCorrupt = fmt.Errorf("record: corrupt: %w", kerr.CorruptMessage)
)

// damage is an ErrCorrupt with a text.
type damage struct {
	text  string
	cause error
	// late says that Kafka finds this only in its log, and does not tell the client its text.
	late bool
}

func corrupt(format string, args ...any) error { return &damage{text: fmt.Sprintf(format, args...)} }

func (d *damage) Error() string {
	if d.cause != nil {
		return "record: corrupt: " + d.text + ": " + d.cause.Error()
	}
	return "record: corrupt: " + d.text
}
func (d *damage) Is(target error) bool { return target == ErrCorrupt }
func (d *damage) Unwrap() []error {
	if d.cause == nil {
		return []error{kerr.CorruptMessage}
	}
	return []error{kerr.CorruptMessage, d.cause}
}

// Next cuts the first entry, of any magic, off b. ErrShort means that b ends within it (an empty b too), an ErrCorrupt
// that what begins there cannot be an entry. A magic 2 entry is a Batch: it has a whole header. No checksum is looked at.
func Next(b []byte) (entry, rest []byte, err error) {
	if len(b) < LogOverhead {
		return nil, b, ErrShort
	}
	size := int32(binary.BigEndian.Uint32(b[offLength:]))
	if size < minEntrySize {
		return nil, b, corrupt("Record size %d is less than the minimum record overhead (%d)", size, minEntrySize)
	}
	if len(b) < headerToMagic {
		return nil, b, ErrShort
	}
	magic := int8(b[offMagic])
	if magic < 0 || magic > magicV2 {
		return nil, b, corrupt("Invalid magic found in record: %d", magic)
	}
	total := LogOverhead + int(size)
	if total > len(b) {
		return nil, b, ErrShort
	}
	if magic == magicV2 && total < BatchOverhead {
		return nil, b, &damage{late: true, text: fmt.Sprintf("the size %d of a batch is smaller than its header of %d", total, BatchOverhead)}
	}
	return b[:total:total], b[total:], nil
}

// Check makes sure that b is one whole batch of magic 2 whose CRC is right. Its records are not looked at.
func (b Batch) Check() error {
	entry, rest, err := Next(b)
	switch {
	case errors.Is(err, ErrShort):
		return corrupt("%d bytes are no whole batch", len(b))
	case err != nil:
		return err
	case len(rest) > 0:
		return corrupt("%d bytes behind the batch", len(rest))
	case entry[offMagic] != magicV2:
		return corrupt("magic %d", entry[offMagic])
	case b.CRC() != b.SumCRC():
		return corrupt("batch at offset %d: stored CRC %d, computed %d", b.BaseOffset(), b.CRC(), b.SumCRC())
	}
	return nil
}
