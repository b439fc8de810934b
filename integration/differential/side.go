package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Side is one of the two brokers, with what a script learned from it.
type Side struct {
	Name  string
	Addr  string
	conn  *peers.Conn
	known map[int16][2]int16  // api key -> versions advertised
	ids   map[string][16]byte // topic -> id
	vars  map[string]any      // the running script's: member ids, producer ids, sessions
}

// beside is the same side with another connection and nothing learned but the ids.
func (s *Side) beside() *Side {
	return &Side{Name: s.Name, Addr: s.Addr, known: s.known, ids: s.ids, vars: map[string]any{}}
}

// An Answer is what came back: a decoded response, or none for the reason in Outcome.
type Answer struct {
	Outcome string // "answered", "closed", "silent", or why the answer could not be read
	Resp    kmsg.Response
	Req     kmsg.Request // what was asked, nil for a raw frame
}

// noAnswer is the outcome of a request that wants none.
const noAnswer = "no answer, as it should be"

// limit is how long a side may take to answer.
const limit = 10 * time.Second

func newSide(name, addr string) (*Side, error) {
	s := &Side{Name: name, Addr: addr, known: map[int16][2]int16{}, ids: map[string][16]byte{}, vars: map[string]any{}}
	req := kmsg.NewPtrApiVersionsRequest()
	a := s.ask(req)
	if a.Outcome != "answered" {
		return nil, fmt.Errorf("%s at %s: ApiVersions: %s", name, addr, a.Outcome)
	}
	for _, k := range a.Resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		s.known[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
	}
	return s, nil
}

func (s *Side) ask(req kmsg.Request) Answer {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	return s.askRaw(resp, peers.Frame(req.Key(), req.GetVersion(), correlation, client, req.IsFlexible(), req.AppendTo(nil)))
}

const (
	correlation = 77
	client      = "differential"
)

// askRaw sends a whole frame; resp nil = no answer is expected, and an ApiVersions afterwards shows whether the connection lives.
func (s *Side) askRaw(resp kmsg.Response, frame []byte) Answer {
	if s.conn == nil {
		c, err := peers.Dial(s.Addr)
		if err != nil {
			return Answer{Outcome: "refused"}
		}
		s.conn = c
	}
	lives := resp == nil
	if lives {
		resp = kmsg.NewPtrApiVersionsResponse()
		after := kmsg.NewPtrApiVersionsRequest()
		frame = append(frame, peers.Frame(18, 0, correlation, client, false, after.AppendTo(nil))...)
	}
	b, err := s.conn.Send(frame, limit)
	if err == nil {
		err = peers.Decode(resp, b, correlation)
		switch {
		case err == nil && lives:
			return Answer{Outcome: noAnswer}
		case err == nil:
			return Answer{Outcome: "answered", Resp: resp}
		}
	}
	s.close()
	switch {
	case errors.Is(err, peers.ErrClosed):
		return Answer{Outcome: "closed"}
	case isTimeout(err):
		return Answer{Outcome: "silent"}
	}
	return Answer{Outcome: err.Error()}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func (s *Side) close() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

func (s *Side) idText(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }
