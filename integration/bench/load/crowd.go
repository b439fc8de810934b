package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// crowd has many connections ask for the metadata of a topic, each with many requests on the way that it has sent at once, and sends
// as many again once all are answered: clients that do not care what they cost others.
func crowd(o *options) (*result, error) {
	if err := makeTopic(o.addr, o.topic, o.partitions); err != nil {
		return nil, err
	}
	request := frame(metadataOf(o.topic))
	many := bytes.Repeat(request, o.inFlight)
	conns := make([]*connection, o.conns)
	for i := range conns {
		var err error
		if conns[i], err = dial(o.addr); err != nil {
			return nil, err
		}
		defer conns[i].Close()
	}
	size, err := conns[0].answerSize(request)
	if err != nil {
		return nil, err
	}
	var all sync.WaitGroup
	var read atomic.Int64
	errs := make([]error, o.conns)
	m := measure(o.pid)
	until := m.began.Add(o.duration)
	for i, c := range conns {
		all.Go(func() {
			errs[i] = c.SetDeadline(until)
			for errs[i] == nil {
				var n int64
				n, errs[i] = c.exchange(many, size*int64(o.inFlight))
				read.Add(n)
			}
			if errors.Is(errs[i], os.ErrDeadlineExceeded) {
				errs[i] = nil
			}
		})
	}
	all.Wait()
	r := &result{}
	r.add("metadata", float64(read.Load()/size)/o.duration.Seconds(), "1/s")
	m.busy(r)
	return r, errors.Join(errs...)
}

// answerSize is what the answer to a request takes on the wire, in bytes.
func (c *connection) answerSize(request []byte) (int64, error) {
	if err := c.send(request); err != nil {
		return 0, err
	}
	b, err := c.receive()
	return int64(4 + len(b)), err
}

// exchange sends requests and reads their answers meanwhile, of which it looks at the size alone. It says how much it has read.
func (c *connection) exchange(requests []byte, answers int64) (n int64, err error) {
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(requests)
		sent <- err
	}()
	n, err = io.CopyN(io.Discard, c, answers)
	if err == nil {
		err = <-sent
	}
	return n, err
}
