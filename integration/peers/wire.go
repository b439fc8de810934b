package peers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Conn is a bare connection to a broker: whole frames in and out, so that a test decides about every byte.
type Conn struct {
	net.Conn
	correlation int32
}

// Dial opens a bare connection.
func Dial(addr string) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c}, nil
}

// ErrClosed says that the broker closed the connection instead of answering.
var ErrClosed = errors.New("the broker closed the connection")

// MaxFrame bounds an answer, in bytes.
const MaxFrame = 128 << 20

// Frame builds the frame, with its size, of a request with the given header fields and body bytes.
func Frame(key, version int16, correlation int32, client string, flexible bool, body []byte) []byte {
	b := make([]byte, 4, 64+len(body))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	if key != 7 || version != 0 { // ControlledShutdown v0 has no client id
		b = binary.BigEndian.AppendUint16(b, uint16(len(client)))
		b = append(b, client...)
	}
	if flexible {
		b = append(b, 0)
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// Send writes raw bytes and reads one frame within the limit. It returns the frame without its size.
func (c *Conn) Send(frame []byte, limit time.Duration) ([]byte, error) {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	if _, err := c.Write(frame); err != nil {
		return nil, closed(err)
	}
	return c.ReadFrame()
}

// ReadFrame reads one frame, without its size.
func (c *Conn) ReadFrame() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, closed(err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > MaxFrame {
		return nil, fmt.Errorf("an answer of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		return nil, closed(err)
	}
	return b, nil
}

// A reset and an end of file are the same to the protocol: the broker closed.
func closed(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return fmt.Errorf("%w (%v)", ErrClosed, err)
}

// RoundTrip sends a request at the version it carries and decodes the answer strictly: bytes left over are an error.
func (c *Conn) RoundTrip(req kmsg.Request, limit time.Duration) (kmsg.Response, error) {
	c.correlation++
	frame := Frame(req.Key(), req.GetVersion(), c.correlation, "integration", req.IsFlexible(), req.AppendTo(nil))
	b, err := c.Send(frame, limit)
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	return resp, Decode(resp, b, c.correlation)
}

// Decode reads an answer (a frame without its size) into resp, whose version is set.
func Decode(resp kmsg.Response, b []byte, correlation int32) error {
	if len(b) < 4 {
		return fmt.Errorf("an answer of %d bytes", len(b))
	}
	if got := int32(binary.BigEndian.Uint32(b)); got != correlation {
		return fmt.Errorf("correlation id %d instead of %d", got, correlation)
	}
	b = b[4:]
	if resp.IsFlexible() && resp.Key() != 18 { // the header of an ApiVersions answer never has tags
		if len(b) == 0 || b[0] != 0 {
			return errors.New("the answer's header has no empty tag section")
		}
		b = b[1:]
	}
	if err := resp.ReadFrom(b); err != nil {
		return fmt.Errorf("decode %s v%d: %w", kmsg.NameForKey(resp.Key()), resp.GetVersion(), err)
	}
	if again := resp.AppendTo(nil); len(again) != len(b) {
		return fmt.Errorf("decode %s v%d: %d bytes, of which its fields account for %d", kmsg.NameForKey(resp.Key()), resp.GetVersion(), len(b), len(again))
	}
	return nil
}

// listed asks one broker for Metadata and looks for a node.
func listed(addr string, id int32) error {
	c, err := Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 1
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := c.RoundTrip(req, 5*time.Second)
	if err != nil {
		return err
	}
	for _, b := range resp.(*kmsg.MetadataResponse).Brokers {
		if b.NodeID == id {
			return nil
		}
	}
	return fmt.Errorf("node %d is not in Metadata", id)
}
