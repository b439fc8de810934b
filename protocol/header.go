package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrHeader is a request header that its frame does not hold.
var ErrHeader = errors.New("malformed request header")

// KeyApiVersions and KeyControlledShutdown are the two APIs with headers of their own.
const (
	KeyApiVersions        int16 = 18
	KeyControlledShutdown int16 = 7
)

// Header is the header of a request. A null client id is "".
type Header struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      string
}

// Peek reads key and version, which say how to read the rest.
func Peek(frame []byte) (key, version int16, err error) {
	if len(frame) < 8 {
		return 0, 0, fmt.Errorf("%w: frame of %d bytes", ErrHeader, len(frame))
	}
	return int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:])), nil
}

// ParseHeader reads the header and gives the body behind it. clientID, when it equals the one in the frame, is used
// instead of a new string, which saves an allocation a request. flexible says whether the request's version has tagged
// fields.
func ParseHeader(frame []byte, flexible bool, clientID string) (h Header, body []byte, err error) {
	if h.Key, h.Version, err = Peek(frame); err != nil {
		return h, nil, err
	}
	h.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	b := frame[8:]
	if h.Key == KeyControlledShutdown && h.Version == 0 {
		return h, b, nil
	}
	if len(b) < 2 {
		return h, nil, fmt.Errorf("%w: no client id", ErrHeader)
	}
	n := int(int16(binary.BigEndian.Uint16(b)))
	b = b[2:]
	if n > len(b) {
		return h, nil, fmt.Errorf("%w: client id of %d bytes in a frame with %d left", ErrHeader, n, len(b))
	}
	if n > 0 {
		if string(b[:n]) == clientID {
			h.ClientID = clientID
		} else {
			h.ClientID = string(b[:n])
		}
		b = b[n:]
	}
	if flexible {
		if b, err = skipTags(b); err != nil {
			return h, nil, err
		}
	}
	return h, b, nil
}

// skipTags passes over a block of tagged fields: a count, then tag, size and bytes each.
func skipTags(b []byte) ([]byte, error) {
	count, b, err := uvarint(b)
	if err != nil {
		return nil, err
	}
	for ; count > 0; count-- {
		var size uint32
		if _, b, err = uvarint(b); err != nil {
			return nil, err
		}
		if size, b, err = uvarint(b); err != nil {
			return nil, err
		}
		if uint64(size) > uint64(len(b)) {
			return nil, fmt.Errorf("%w: tagged field of %d bytes in a frame with %d left", ErrHeader, size, len(b))
		}
		b = b[size:]
	}
	return b, nil
}

func uvarint(b []byte) (uint32, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		return 0, nil, fmt.Errorf("%w: bad varint", ErrHeader)
	}
	return uint32(v), b[n:], nil
}

// AppendResponseHeader writes the header of a response: the correlation id, and for flexible versions (except of
// ApiVersions) an empty block of tagged fields.
func AppendResponseHeader(dst []byte, key int16, correlationID int32, flexible bool) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if flexible && key != KeyApiVersions {
		dst = append(dst, 0)
	}
	return dst
}
