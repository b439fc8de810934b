package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	findVersion   = 3
	commitVersion = 7
)

// commitFrame commits an offset for each of so many partitions of a topic, as a group without members.
func commitFrame(group, topic string, partitions int) []byte {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = commitVersion, group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	for p := range partitions {
		part := kmsg.NewOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset, part.LeaderEpoch = int32(p), 1234567, 0
		t.Partitions = append(t.Partitions, part)
	}
	req.Topics = append(req.Topics, t)
	return frame(req)
}

// groupName is the nth group of a commit load.
func (o *options) groupName(n int) string { return fmt.Sprintf("%s-%d", o.topic, n) }

// commit keeps commits in flight on every connection, for one group after the other.
func commit(o *options) (*result, error) {
	if err := makeTopic(o.addr, o.topic, o.partitions); err != nil {
		return nil, err
	}
	if _, err := coordinate(o); err != nil {
		return nil, err
	}
	var all sync.WaitGroup
	var total atomic.Int64
	errs := make([]error, o.conns)
	conns := make([]*connection, o.conns)
	for i := range conns {
		var err error
		if conns[i], err = dial(o.addr); err != nil {
			return nil, err
		}
		defer conns[i].Close()
	}
	m := measure(o.pid)
	for i, c := range conns {
		all.Go(func() {
			var frames [][]byte
			for g := i; g < max(o.groups, o.conns); g += o.conns {
				frames = append(frames, commitFrame(o.groupName(g), o.topic, o.partitions))
			}
			n, err := c.commits(frames, o.inFlight, m.began.Add(o.duration), o.count/int64(o.conns))
			total.Add(n)
			errs[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r := &result{}
	requests := float64(total.Load())
	took := time.Since(m.began).Seconds()
	r.add("requests", requests/took, "1/s")
	r.add("commits", requests*float64(o.partitions)/took, "1/s")
	if cpu := (m.process.cpu() - m.cpu).Seconds(); o.pid != 0 {
		r.add("broker CPU", cpu/requests/float64(o.partitions)*1e6, "us/commit")
	}
	return r, nil
}

// coordinated is a connection to the coordinator of a group, once that serves it.
func coordinated(addr, group string) (*connection, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.Version, find.CoordinatorKey = findVersion, group
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Version, fetch.Group = 5, group
	for limit := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		resp, err := c.ask(find)
		if err != nil {
			return nil, err
		}
		code := resp.(*kmsg.FindCoordinatorResponse).ErrorCode
		if code == 0 {
			if resp, err = c.ask(fetch); err != nil {
				return nil, err
			}
			code = resp.(*kmsg.OffsetFetchResponse).ErrorCode
		}
		if code == 0 {
			return c, nil
		}
		if time.Now().After(limit) {
			return nil, fmt.Errorf("group %s has no coordinator: %w", group, kerr.ErrorForCode(code))
		}
	}
}

// commits keeps inFlight requests on the way until a time, or until so many were sent (0 = any number), and returns how many were answered.
func (c *connection) commits(frames [][]byte, inFlight int, until time.Time, most int64) (n int64, err error) {
	var sent int64
	next := func() error {
		f := frames[sent%int64(len(frames))]
		sent++
		return c.send(f)
	}
	for range inFlight {
		if err := next(); err != nil {
			return n, err
		}
	}
	for left := inFlight; left > 0; n++ {
		b, err := c.receive()
		if err != nil {
			return n, err
		}
		// The error code of the last partition ends the answer.
		if err := kerr.ErrorForCode(int16(binary.BigEndian.Uint16(b[len(b)-2:]))); err != nil {
			return n, err
		}
		if time.Now().After(until) || most > 0 && sent >= most {
			left--
			continue
		}
		if err := next(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// coordinate waits until the groups of a commit load are all served.
func coordinate(o *options) (*result, error) {
	for g := range max(o.groups, o.conns) {
		c, err := coordinated(o.addr, o.groupName(g))
		if err != nil {
			return nil, err
		}
		c.Close()
	}
	r := &result{}
	r.add("groups", float64(max(o.groups, o.conns)), "")
	return r, nil
}
