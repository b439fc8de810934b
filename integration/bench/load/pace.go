package main

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// pace sends single records at a rate and waits for each in two ways: for its acknowledgement, and for the record itself
// in a fetch that is waiting for it. Times count from just before the request is written.
func pace(o *options) (*result, error) {
	if err := makeTopic(o.addr, o.topic, 1); err != nil {
		return nil, err
	}
	batch := batchOf(1, o.record)
	f := produceFrame(o.topic, 0, o.acks, batch)
	c, err := dial(o.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var first int64
	const warmUp = 200
	for range warmUp {
		if first, err = c.produce(f, o.topic); err != nil {
			return nil, err
		}
	}
	first++
	n := int(o.duration.Seconds() * float64(o.rate))
	sent := make([]atomic.Int64, n) // nanoseconds since began
	consumed := make(chan consumption, 1)
	began := time.Now()
	r, err := newReader(o.addr, o.topic, 1<<20, 1, 500*time.Millisecond)
	if err != nil {
		return nil, err
	}
	defer r.c.Close()
	go r.follow(first, began, sent, consumed)
	acked := make(times, 0, n)
	m := measure(o.pid)
	for i := range n {
		time.Sleep(time.Until(m.began.Add(time.Duration(i) * time.Second / time.Duration(o.rate))))
		at := time.Since(began)
		sent[i].Store(int64(at))
		if _, err := c.produce(f, o.topic); err != nil {
			return nil, err
		}
		acked = append(acked, time.Since(began)-at)
	}
	seen := <-consumed
	if seen.err != nil {
		return nil, seen.err
	}
	out := &result{}
	m.busy(out)
	acked.percentiles(out, "produce")
	seen.took.percentiles(out, "end to end")
	return out, nil
}

type consumption struct {
	took times
	err  error
}

// follow reads as many records as are sent from an offset on.
func (r *reader) follow(first int64, began time.Time, sent []atomic.Int64, done chan<- consumption) {
	var all consumption
	defer func() { done <- all }()
	next, end := first, first+int64(len(sent))
	for next < end {
		if all.err = r.ask(next); all.err != nil {
			return
		}
		b, _, err := r.answer()
		if all.err = err; err != nil {
			return
		}
		now := time.Since(began)
		for len(b) > 0 { // whole batches of one record
			size := 12 + int(binary.BigEndian.Uint32(b[8:]))
			all.took = append(all.took, now-time.Duration(sent[next-first].Load()))
			b = b[size:]
			next++
		}
	}
}
