package main

import "time"

// beside sends a record, waits for its acknowledgement and pauses, over and over: what one client sees of a broker that others keep
// busy. It catches up with nothing that it has not sent while it waited.
func beside(o *options) (*result, error) {
	if err := makeTopic(o.addr, o.topic, 1); err != nil {
		return nil, err
	}
	c, err := dial(o.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	f := produceFrame(o.topic, 0, o.acks, batchOf(1, o.record))
	var took times
	for until := time.Now().Add(o.duration); time.Now().Before(until); time.Sleep(time.Second / time.Duration(o.rate)) {
		began := time.Now()
		if _, err := c.produce(f, o.topic); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	r := &result{}
	r.add("records", float64(len(took)), "")
	took.percentiles(r, "produce")
	return r, nil
}
