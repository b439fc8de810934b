package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

func useSarama(ctx context.Context, addr string) error {
	for _, v := range []sarama.KafkaVersion{sarama.V0_11_0_0, sarama.V2_8_0_0, sarama.MaxVersion} {
		step("version " + v.String())
		if err := saramaVersion(ctx, addr, v); err != nil {
			return fmt.Errorf("at protocol version %v: %w", v, err)
		}
	}
	step("each call of ClusterAdmin")
	return saramaAdmin(addr)
}

func saramaConfig(v sarama.KafkaVersion) *sarama.Config {
	conf := sarama.NewConfig()
	conf.Version = v
	conf.Producer.Return.Successes = true
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Consumer.Offsets.Initial = sarama.OffsetOldest
	conf.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	return conf
}

func saramaVersion(ctx context.Context, addr string, v sarama.KafkaVersion) error {
	admin, err := sarama.NewClusterAdmin([]string{addr}, saramaConfig(v))
	if err != nil {
		return err
	}
	defer admin.Close()
	topic := name("sarama")
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false); err != nil {
		return fmt.Errorf("create the topic: %w", err)
	}
	codecs := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4}
	if v.IsAtLeast(sarama.V2_1_0_0) {
		codecs = append(codecs, sarama.CompressionZSTD)
	}
	for _, c := range codecs {
		if err := saramaProduce(addr, topic, v, c); err != nil {
			return fmt.Errorf("produce with %v: %w", c, err)
		}
	}
	want := perCodec * len(codecs)
	if err := saramaGroup(ctx, addr, topic, v, want); err != nil {
		return err
	}
	if v.IsAtLeast(sarama.V1_0_0_0) {
		if err := admin.CreatePartitions(topic, 4, nil, false); err != nil {
			return fmt.Errorf("create partitions: %w", err)
		}
	}
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	if err != nil || len(entries) < 20 {
		return fmt.Errorf("describe configs: %d entries, %w", len(entries), err)
	}
	if _, err := admin.ListConsumerGroups(); err != nil {
		return fmt.Errorf("list groups: %w", err)
	}
	if err := admin.DeleteRecords(topic, map[int32]int64{0: 5}); err != nil {
		return fmt.Errorf("delete records: %w", err)
	}
	if err := admin.DeleteTopic(topic); err != nil {
		return fmt.Errorf("delete the topic: %w", err)
	}
	return nil
}

func saramaProduce(addr, topic string, v sarama.KafkaVersion, codec sarama.CompressionCodec) error {
	conf := saramaConfig(v)
	conf.Producer.Compression = codec
	conf.Producer.Idempotent = true
	conf.Net.MaxOpenRequests = 1
	p, err := sarama.NewSyncProducer([]string{addr}, conf)
	if err != nil {
		return err
	}
	defer p.Close()
	for i := range perCodec {
		_, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprint("k", i)), Value: sarama.StringEncoder(fmt.Sprint(codec, i)),
			Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte("v")}}})
		if err != nil {
			return err
		}
	}
	return nil
}

// saramaMember counts what its claims bring and says how many partitions it holds.
type saramaMember struct {
	mu    sync.Mutex
	held  int
	seen  map[string]bool
	moved chan struct{}
}

func (m *saramaMember) Setup(s sarama.ConsumerGroupSession) error {
	m.mu.Lock()
	m.held = 0
	for _, parts := range s.Claims() {
		m.held += len(parts)
	}
	m.mu.Unlock()
	m.tell()
	return nil
}

func (m *saramaMember) tell() {
	select {
	case m.moved <- struct{}{}:
	default:
	}
}

func (m *saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *saramaMember) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for msg := range c.Messages() {
		m.mu.Lock()
		m.seen[fmt.Sprint(msg.Partition, "/", msg.Offset)] = true
		m.mu.Unlock()
		s.MarkMessage(msg, "")
		m.tell()
	}
	return nil
}

func (m *saramaMember) until(ctx context.Context, what string, ok func() bool) error {
	for {
		m.mu.Lock()
		done := ok()
		m.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-m.moved:
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting until %s: %w", what, ctx.Err())
		}
	}
}

func saramaGroup(ctx context.Context, addr, topic string, v sarama.KafkaVersion, want int) error {
	group := name("sarama-group")
	start := func() (*saramaMember, func() error, error) {
		g, err := sarama.NewConsumerGroup([]string{addr}, group, saramaConfig(v))
		if err != nil {
			return nil, nil, err
		}
		m := &saramaMember{seen: map[string]bool{}, moved: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for ctx.Err() == nil {
				if err := g.Consume(ctx, []string{topic}, m); err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
					fmt.Println("consume:", err)
				}
			}
		}()
		return m, func() error { cancel(); err := g.Close(); <-ended; return err }, nil
	}
	a, stopA, err := start()
	if err != nil {
		return err
	}
	if err := a.until(ctx, "all records came", func() bool { return len(a.seen) == want && a.held == 2 }); err != nil {
		return err
	}
	b, stopB, err := start()
	if err != nil {
		return err
	}
	if err := b.until(ctx, "the second member holds one", func() bool { return b.held == 1 }); err != nil {
		return err
	}
	if err := a.until(ctx, "the first member holds one", func() bool { return a.held == 1 }); err != nil {
		return err
	}
	if err := stopB(); err != nil {
		return err
	}
	if err := a.until(ctx, "the first member holds both again", func() bool { return a.held == 2 }); err != nil {
		return err
	}
	return stopA()
}
