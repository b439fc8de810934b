package main

import (
	"sync"
	"time"
)

// stream is one connection of a produce load.
type stream struct {
	c       *connection
	topic   string
	frame   []byte
	took    times
	batches int64
	err     error
}

func produce(o *options) (*result, error) {
	if err := makeTopic(o.addr, o.topic, o.conns); err != nil {
		return nil, err
	}
	batch := batchOf(o.batch, o.record)
	streams := make([]*stream, o.conns)
	for i := range streams {
		c, err := dial(o.addr)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		streams[i] = &stream{c: c, topic: o.topic, frame: produceFrame(o.topic, i, o.acks, batch)}
		// The first append makes the partition's files, which is not what is measured.
		if streams[i].run(1, time.Now().Add(patience), 1); streams[i].err != nil {
			return nil, streams[i].err
		}
		streams[i].took, streams[i].batches = nil, 0
	}
	m := measure(o.pid)
	most := o.bytes / int64(len(batch)) / int64(o.conns)
	var all sync.WaitGroup
	for _, s := range streams {
		all.Go(func() { s.run(o.inFlight, m.began.Add(o.duration), most) })
	}
	all.Wait()
	var batches int64
	var took times
	for _, s := range streams {
		if s.err != nil {
			return nil, s.err
		}
		batches += s.batches
		took = append(took, s.took...)
	}
	r := &result{}
	m.moved(r, batches*int64(batch.Count()), batches*int64(len(batch)))
	r.add("requests", float64(batches)/time.Since(m.began).Seconds(), "1/s")
	took.percentiles(r, "")
	return r, nil
}

// run keeps inFlight requests on the way until the time or the number of batches is reached, then waits for the answers.
func (s *stream) run(inFlight int, until time.Time, most int64) {
	sent := make(chan time.Time, inFlight)
	slots := make(chan struct{}, inFlight)
	failed := make(chan struct{})
	go func() {
		defer close(sent)
		for n := int64(0); n < most; n++ {
			now := time.Now()
			if now.After(until) {
				return
			}
			select {
			case slots <- struct{}{}:
			case <-failed:
				return
			}
			now = time.Now()
			if s.c.send(s.frame) != nil {
				return // receiving fails too, and tells why
			}
			sent <- now
		}
	}()
	for began := range sent {
		answer, err := s.c.receive()
		if err == nil {
			_, err = produced(answer, s.topic)
		}
		if err != nil {
			s.err = err
			close(failed)
			s.c.Close()
			for range sent {
			}
			return
		}
		s.took = append(s.took, time.Since(began))
		s.batches++
		<-slots
	}
}
