package main

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

func useKafkaGo(ctx context.Context, addr string) error {
	client := &kafka.Client{Addr: kafka.TCP(addr), Timeout: 30 * time.Second}
	topic := name("kafka-go")
	step("admin: topics")
	made, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 2, ReplicationFactor: 1}}})
	if err != nil || made.Errors[topic] != nil {
		return fmt.Errorf("create: %w %w", err, made.Errors[topic])
	}
	step("producer")
	for c, codec := range codecNames {
		w := &kafka.Writer{Addr: kafka.TCP(addr), Topic: topic, Balancer: &kafka.RoundRobin{}, RequiredAcks: kafka.RequireAll, Compression: kafka.Compression(c), BatchTimeout: 5 * time.Millisecond}
		var batch []kafka.Message
		for i := range perCodec {
			batch = append(batch, kafka.Message{Key: []byte("k"), Value: fmt.Append(nil, codec, i), Headers: []kafka.Header{{Key: "h", Value: []byte("v")}}})
		}
		if err := w.WriteMessages(ctx, batch...); err != nil {
			return fmt.Errorf("produce with %s: %w", codec, err)
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	step("consumer: a group and a rebalance")
	if err := kafkaGoGroup(ctx, addr, topic); err != nil {
		return err
	}
	step("old fixed versions")
	conn, err := kafka.DialLeader(ctx, "tcp", addr, topic, 0)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.WriteMessages(kafka.Message{Value: []byte("by a Conn")}); err != nil {
		return fmt.Errorf("write on a Conn: %w", err)
	}
	first, last, err := conn.ReadOffsets()
	if err != nil || first != 0 || last < 1 {
		return fmt.Errorf("offsets %d to %d: %w", first, last, err)
	}
	if m, err := readBack(conn, last-1); err != nil || string(m.Value) != "by a Conn" {
		return fmt.Errorf("read on a Conn: %q %w", m.Value, err)
	}
	step("each call of Client")
	if err := kafkaGoClient(ctx, addr); err != nil {
		return err
	}
	gone, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil || gone.Errors[topic] != nil {
		return fmt.Errorf("delete: %w %w", err, gone.Errors[topic])
	}
	return nil
}

// readBack reads the message at an offset on a Conn, by which older programs use kafka-go.
func readBack(conn *kafka.Conn, offset int64) (kafka.Message, error) {
	if _, err := conn.Seek(offset, kafka.SeekAbsolute); err != nil {
		return kafka.Message{}, err
	}
	if partitions, err := conn.ReadPartitions(); err != nil || len(partitions) == 0 {
		return kafka.Message{}, fmt.Errorf("%d partitions: %w", len(partitions), err)
	}
	return conn.ReadMessage(1 << 20)
}

func kafkaGoGroup(ctx context.Context, addr, topic string) error {
	group := name("kafka-go-group")
	conf := kafka.ReaderConfig{Brokers: []string{addr}, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset, MaxWait: 200 * time.Millisecond,
		HeartbeatInterval: 300 * time.Millisecond, JoinGroupBackoff: 100 * time.Millisecond}
	a := kafka.NewReader(conf)
	next := map[int]int64{}
	for range perCodec * len(codecNames) {
		m, err := a.FetchMessage(ctx)
		if err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		if m.Offset != next[m.Partition] {
			return fmt.Errorf("partition %d: offset %d instead of %d", m.Partition, m.Offset, next[m.Partition])
		}
		next[m.Partition]++
		if err := a.CommitMessages(ctx, m); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	b := kafka.NewReader(conf)
	client := &kafka.Client{Addr: kafka.TCP(addr), Timeout: 10 * time.Second}
	if err := members(ctx, client, group, 2); err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		return err
	}
	if err := members(ctx, client, group, 1); err != nil {
		return err
	}
	return a.Close()
}

// members waits until the group is stable with n members that share the two partitions.
func members(ctx context.Context, client *kafka.Client, group string, n int) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
		if err == nil && len(r.Groups) == 1 && r.Groups[0].GroupState == "Stable" && len(r.Groups[0].Members) == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting until the group has %d members: %w (%v)", n, ctx.Err(), err)
		case <-tick.C:
		}
	}
}
