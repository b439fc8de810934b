package api

import (
	"context"
	"net/netip"
)

// Call is the context of one request: who asks, on which listener, in which version. Handlers must not keep it.
type Call struct {
	Key           int16
	Version       int16
	CorrelationID int32
	// ClientID is what the client calls itself; null on the wire is "".
	ClientID string
	// Client is the remote address. Host gives it as Kafka prints it in groups: "/127.0.0.1".
	Client netip.Addr
	// Listener is the name of the listener that the connection came in on; brokers are told of by their endpoint there.
	Listener string
	// Principal is who the connection has proved to be; "User:ANONYMOUS" on PLAINTEXT.
	Principal string
	// Session is a value per connection that a handler family may use to keep per-connection facts.
	ConnectionID uint64
	// Gone is closed when the connection ends, and with it all that is made for it; nil is never.
	Gone <-chan struct{}
	// Room looks for room for a large answer, where what answers hold is bounded; nil where it is not. Where there is none it gives a
	// channel that is closed when there may be. It may be called at any time, by several goroutines.
	Room func() <-chan struct{}
}

// Host is the client's address as Kafka writes it into group metadata, with its leading slash.
func (c *Call) Host() string { return "/" + c.Client.Unmap().String() }

// Response is what a reply comes to: a kmsg.Response, or a hand-written message of the hot path. The body only; the
// connection writes size and header.
type Response interface {
	AppendTo(dst []byte) []byte
}

// Reply is the rest that a handler owes after it did the ordered part. Either the response is there already (the
// reader of the connection may write it at once), or it needs waiting, which the connection's writer does. It is a
// value with two cases rather than a bare closure so that the connection can see, without calling, that nothing waits.
type Reply struct {
	resp  Response
	wait  func(context.Context) Response
	close bool
	holds int // see Holding
}

// Done is a reply that is ready.
func Done(r Response) Reply { return Reply{resp: r} }

// Later is a reply that must wait. The function runs on the connection's writer, in request order; the context ends
// with the connection or the broker. It may return nil when the context ended: nothing is written then.
func Later(wait func(context.Context) Response) Reply { return Reply{wait: wait} }

// Holding says about how many bytes a reply holds while it waits, beyond what the request has brought.
func (r Reply) Holding(bytes int) Reply {
	r.holds = bytes
	return r
}

// Holds is what Holding was told.
func (r Reply) Holds() int { return r.holds }

// None is the reply to a request that has none (acks=0).
func None() Reply { return Reply{} }

// Close ends the connection without an answer, Kafka's way to refuse what it cannot parse or does not serve.
func Close() Reply { return Reply{close: true} }

// Ready gives the response when it needs no waiting.
func (r Reply) Ready() (resp Response, ok bool) { return r.resp, r.wait == nil && !r.close }

// Closes says that the connection must end without an answer.
func (r Reply) Closes() bool { return r.close }

// Await gives the response, waiting if need be; nil means that nothing is to be written.
func (r Reply) Await(ctx context.Context) Response {
	if r.wait != nil {
		return r.wait(ctx)
	}
	return r.resp
}
