//go:build integration

package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"barnabas/integration/peers"
	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// bombs writes batches that inflate a thousandfold and more, to topics that store them as they are and to those that compress anew,
// searches them by time, and has them converted for old consumers.
func bombs(t *testing.T, b *besieged) {
	create(t, b.Addr, "bombs", 1)
	create(t, b.Addr, "rebuilt", 1, "compression.type", "lz4")
	zeros := make([][]byte, 16)
	for i := range zeros {
		zeros[i] = make([]byte, 4<<20)
	}
	var all [][]byte
	for _, c := range []codec.Type{codec.Gzip, codec.LZ4, codec.Zstd} {
		all = append(all, batchOf(c, zeros...))
	}
	all = append(all, wideZstd())
	b.crowd(t, 8, func(i int, c *peers.Conn) error {
		for _, topic := range []string{"bombs", "rebuilt"} {
			for k := range all {
				if _, err := c.RoundTrip(produceTo(topic, 0, all[(i+k)%len(all)]), patience); err != nil {
					return fmt.Errorf("produce: %w", err)
				}
			}
			list := kmsg.NewPtrListOffsetsRequest()
			list.Version, list.ReplicaID = 5, -1
			lt, lp := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
			lt.Topic, lp.Timestamp, lp.CurrentLeaderEpoch = topic, 1_700_000_000_001, -1
			lt.Partitions = append(lt.Partitions, lp)
			list.Topics = append(list.Topics, lt)
			if _, err := c.RoundTrip(list, patience); err != nil {
				return fmt.Errorf("list offsets: %w", err)
			}
			if _, err := c.RoundTrip(fetchOf(topic, 2, 0), patience); err != nil {
				return fmt.Errorf("fetch: %w", err)
			}
		}
		return nil
	})
}

// wideZstd is a batch with one record of 2 GiB in a zstd frame with a window of 128 MiB: half a megabyte of blocks that repeat one
// byte 128 KiB times each.
func wideZstd() []byte {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3}
	begin := []byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 1, 0xe0, 0xff, 0xff, 0xff, 0x0f} // size, attributes, deltas, no key, size
	block := func(kind, size int) {
		n := size<<3 | kind<<1
		frame = append(frame, byte(n), byte(n>>8), byte(n>>16))
	}
	block(0, len(begin))
	frame = append(frame, begin...)
	for range 16 << 10 {
		block(1, 128<<10)
		frame = append(frame, 0)
	}
	batch := append(batchOf(codec.Zstd, []byte("one"))[:record.BatchOverhead], frame...)
	binary.BigEndian.PutUint32(batch[8:], uint32(len(batch)-12))
	record.Batch(batch).Seal()
	return batch
}

// claims has five hundred clients claim a hundred megabytes each in frames of twenty bytes, and some that begin to send them. An honest
// frame of that size is taken when they are gone.
func claims(t *testing.T, b *besieged) {
	const size = 100 << 20
	head := append(binary.BigEndian.AppendUint32(nil, size), frameOf(produceTo("healthy", 0, nil))[4:20]...)
	b.crowd(t, 500, func(_ int, c *peers.Conn) error { return write(c, head) })
	b.goesOn(t, 20)
	large := create(t, b.Addr, "large", 96)
	value := bytes.Repeat([]byte("honest "), 148_000)
	req := produceTo(large, 0, batchOf(codec.None, value))
	for id := range int32(95) {
		p := req.Topics[0].Partitions[0]
		p.Partition = id + 1
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, p)
	}
	if n := len(frameOf(req)); n < size*9/10 || n > size {
		t.Fatalf("a frame of %d bytes", n)
	}
	send := func() {
		c, err := dialPatiently(b.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		resp, err := c.RoundTrip(req, patience)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range resp.(*kmsg.ProduceResponse).Topics[0].Partitions {
			if p.ErrorCode != 0 {
				t.Fatalf("partition %d: %v", p.Partition, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	}
	send() // beside those who only claim
	leave := b.crowd(t, 20, func(_ int, c *peers.Conn) error { return write(c, append(head, make([]byte, 100_000)...)) })
	b.goesOn(t, 20)
	leave()
	send()
	send()
}

// elements sends requests with a million elements and tagged fields, of which none must be decoded.
func elements(t *testing.T, b *besieged) {
	const million = 1_000_000
	produce := produceTo("healthy", 0, nil)
	produce.Version = 9
	produce.Topics[0].Partitions = make([]kmsg.ProduceRequestTopicPartition, million)
	fetch := fetchOf("healthy", 12, 0)
	fetch.Topics[0].Partitions = make([]kmsg.FetchRequestTopicPartition, 200_000)
	groups := kmsg.NewPtrDeleteGroupsRequest()
	groups.Version, groups.Groups = 2, make([]string, million)
	topics := kmsg.NewPtrMetadataRequest()
	topics.Version, topics.Topics = 4, make([]kmsg.MetadataRequestTopic, million)
	for i := range topics.Topics {
		topics.Topics[i].Topic = kmsg.StringPtr("")
	}
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Version = 9
	tags := binary.AppendUvarint(nil, million)
	for i := range uint64(million) {
		tags = append(binary.AppendUvarint(tags, i+100), 0)
	}
	body := metadata.AppendTo(nil)
	frames := [][]byte{
		frameOf(produce), frameOf(fetch), frameOf(groups), frameOf(topics),
		peers.Frame(3, 9, 1, "hostile", true, append(body[:len(body)-1:len(body)-1], tags...)), // tagged fields of the body
	}
	inHeader := peers.Frame(3, 9, 1, "hostile", false, append(tags, body...))
	frames = append(frames, inHeader)
	b.crowd(t, 16*len(frames), func(i int, c *peers.Conn) error {
		_, err := c.Send(frames[i%len(frames)], patience)
		return mayClose(err)
	})
	b.goesOn(t, 5)
}

// deaf has clients send requests without end and never read an answer: large ones, converted ones, and very many small ones.
func deaf(t *testing.T, b *besieged) {
	create(t, b.Addr, "wide", 2000)
	records := create(t, b.Addr, "records", 1)
	c, err := peers.Dial(b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 10 {
		if _, err := c.RoundTrip(produceTo(records, 0, batchOf(codec.None, bytes.Repeat([]byte("x"), 900_000))), patience); err != nil {
			t.Fatal(err)
		}
	}
	waits := fetchOf("healthy", 11, 1<<40)
	waits.MaxWaitMillis = 1 << 30
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Version = 9
	versions := kmsg.NewPtrApiVersionsRequest()
	old := fetchOf(records, 2, 0)
	old.Topics[0].Partitions[0].PartitionMaxBytes = 8 << 20
	for _, requests := range [][]byte{
		append(frameOf(waits), bytes.Repeat(frameOf(metadata), 200)...),
		bytes.Repeat(frameOf(metadata), 200),
		bytes.Repeat(frameOf(fetchOf(records, 11, 0)), 200),
		bytes.Repeat(frameOf(old), 50),
		bytes.Repeat(frameOf(versions), 100_000),
	} {
		leave := b.deafCrowd(t, 20, requests)
		b.goesOn(t, 20)
		leave()
		b.goesOn(t, 5)
	}
}

// deafCrowd has n connections send requests and read no answers, until the function is called.
func (b *besieged) deafCrowd(t *testing.T, n int, requests []byte) (leave func()) {
	t.Helper()
	var writers sync.WaitGroup
	hangUp := b.crowd(t, n, func(_ int, c *peers.Conn) error {
		_ = c.Conn.(*net.TCPConn).SetReadBuffer(4096)
		writers.Go(func() { _, _ = c.Write(requests) }) // until the broker does not read any more, and then the connection's end
		return nil
	})
	return func() {
		hangUp()
		writers.Wait()
	}
}

// deafInLarge has hundreds of clients ask for what is large and read nothing of it: all topics, all settings again and again, and 50 MiB
// of records in the format of old consumers, from batches that are compressed and such that are not. Three hundred who asked for 5000
// partitions held a gigabyte, and forty old consumers one and a half.
func deafInLarge(t *testing.T, b *besieged) {
	create(t, b.Addr, "wide", 5000)
	records := create(t, b.Addr, "records", 50)
	c, err := peers.Dial(b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	old := fetchOf(records, 2, 0)
	old.Topics[0].Partitions = nil
	noise := make([]byte, 450_000)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	for id := range int32(50) {
		batch := batchOf([]codec.Type{codec.None, codec.LZ4}[id%2], noise, noise)
		if _, err := c.RoundTrip(produceTo(records, id, batch), patience); err != nil {
			t.Fatal(err)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = id, 1<<20
		old.Topics[0].Partitions = append(old.Topics[0].Partitions, p)
	}
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Version = 9
	configs := kmsg.NewPtrDescribeConfigsRequest()
	configs.Version, configs.IncludeDocumentation, configs.IncludeSynonyms = 4, true, true
	for range 100 {
		configs.Resources = append(configs.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "0"})
	}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Version, commit.Group, commit.Generation = 7, "wide", -1
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "wide"}}
	for id := range int32(5000) {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = id, 7
		commit.Topics[0].Partitions = append(commit.Topics[0].Partitions, p)
	}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.Version, find.CoordinatorKey = 1, "wide"
	if _, err := c.RoundTrip(find, patience); err != nil { // which creates the topic of offsets
		t.Fatal(err)
	}
	eventually(t, "offsets are committed", func() error {
		answer, err := c.RoundTrip(commit, patience)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(answer.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
	})
	commit.Topics[0].Partitions = commit.Topics[0].Partitions[:1]
	for i := range 5000 {
		commit.Group = fmt.Sprintf("group-%d", i)
		if _, err := c.RoundTrip(commit, patience); err != nil {
			t.Fatal(err)
		}
	}
	groups := kmsg.NewPtrListGroupsRequest()
	groups.Version = 4
	offsets := kmsg.NewPtrOffsetFetchRequest()
	offsets.Version, offsets.Group = 7, "wide"
	for _, req := range []kmsg.Request{groups, offsets, metadata, configs, old} {
		closed := func() int { return bytes.Count(readFile(t, b.Log), []byte("its client does not read the answers")) }
		before := closed()
		leave := b.deafCrowd(t, 200, bytes.Repeat(frameOf(req), 100))
		eventually(t, "they hold more than they may, and some are closed: "+kmsg.NameForKey(req.Key()), func() error {
			if closed() == before {
				return errors.New("none is")
			}
			return nil
		})
		b.goesOn(t, 50)
		leave()
		b.goesOn(t, 5)
	}
}

// trickling has clients send a large frame a byte at a time, once a part of it has come that takes memory of all. An honest large
// request gets its turn all the same.
func trickling(t *testing.T, b *besieged) {
	head := append(binary.BigEndian.AppendUint32(nil, 1<<20), frameOf(produceTo("healthy", 0, nil))[4:20]...)
	stop := make(chan struct{})
	var writers sync.WaitGroup
	leave := b.crowd(t, 8, func(_ int, c *peers.Conn) error {
		if err := write(c, append(head, make([]byte, 200_000)...)); err != nil {
			return err
		}
		writers.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					if _, err := c.Write([]byte{0}); err != nil {
						return
					}
				}
			}
		})
		return nil
	})
	b.goesOn(t, 20)
	honest := create(t, b.Addr, "honest", 1)
	c, err := peers.Dial(b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	resp, err := c.RoundTrip(produceTo(honest, 0, batchOf(codec.None, make([]byte, 900_000))), patience)
	if err != nil {
		t.Fatal(err)
	}
	if p := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 {
		t.Error(kerr.ErrorForCode(p.ErrorCode))
	}
	close(stop)
	leave()
	writers.Wait()
	b.goesOn(t, 20)
	if log := readFile(t, b.Log); !bytes.Contains(log, []byte("the rest of a request comes slowly")) {
		t.Error("no connection was closed")
	}
}

// largeSessions has clients make fetch sessions of partitions that are not there, and ask for what is new in them over and over, in
// forty bytes each, without reading the answers, each of which tells of all partitions.
func largeSessions(t *testing.T, b *besieged) {
	const partitions = 50_000
	full := fetchOf("nowhere", 11, 0)
	full.SessionEpoch = 0
	one := full.Topics[0].Partitions[0]
	for id := range int32(partitions - 1) {
		one.Partition = id + 1
		full.Topics[0].Partitions = append(full.Topics[0].Partitions, one)
	}
	leave := b.crowd(t, 100, func(_ int, c *peers.Conn) error {
		answer, err := c.RoundTrip(full, patience)
		if err != nil {
			return err
		}
		again := fetchOf("nowhere", 11, 0)
		again.Topics, again.SessionID = nil, answer.(*kmsg.FetchResponse).SessionID
		if again.SessionID == 0 {
			return nil // there is no room for another
		}
		var requests []byte
		for epoch := range int32(100) {
			again.SessionEpoch = epoch + 1
			requests = append(requests, frameOf(again)...)
		}
		return write(c, requests)
	})
	b.goesOn(t, 50)
	leave()
}
