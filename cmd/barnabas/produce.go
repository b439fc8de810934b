package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// longestLine bounds a record read from a line: brokers refuse more than a megabyte by default.
const longestLine = 128 << 20

const (
	deliveryTime = 2 * time.Minute // how long a record may wait for its acknowledgement, as in Kafka's producer
	lastSending  = 5 * time.Second // how long what was read may take after an interrupt
)

type produceFlags struct {
	separator   string
	headers     []string
	partition   int32
	acks        string
	compression string
	file        string
	autoCreate  bool
	tombstones  bool
	quiet       bool
	properties  []string
}

func newProduce() *cobra.Command {
	conn := &connection{}
	f := &produceFlags{}
	cmd := &cobra.Command{
		Use:   "produce TOPIC",
		Short: "Produce lines of the standard input or of a file as records",
		Long: `Produce each line of the standard input, or of a file, as a record.
Records with a key go to the partition that every Kafka client would choose, others spread.
An interrupt ends the reading; what was read is still sent. A record that nobody acknowledges for two minutes, or for
--timeout when that is given, ends the command.`,
		Example: `  echo hello | barnabas produce orders
  barnabas produce orders --key-separator : --header source=import --file orders.txt
  barnabas produce orders --partition 2 --compression zstd --acks 1 < orders.txt`,
		Args:              arguments(1, 1),
		ValidArgsFunction: conn.completeTopics,
		PreRunE:           func(*cobra.Command, []string) error { return f.console(f.properties) },
		RunE:              func(cmd *cobra.Command, args []string) error { return produce(cmd, conn, args[0], f) },
	}
	conn.addTo(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.separator, "key-separator", "K", "", "text between key and value of a line; without it records have no key")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "a header of every record as key=value; may be given several times")
	flags.Int32VarP(&f.partition, "partition", "p", -1, "partition to produce to, -1 to choose by key")
	flags.StringVar(&f.acks, "acks", "all", "who must have a record before it counts: all, 1 (the leader) or 0 (nobody)")
	flags.StringVarP(&f.compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	flags.StringVarP(&f.file, "file", "f", "", "read lines from this file")
	flags.BoolVar(&f.autoCreate, "auto-create", false, "let the broker create the topic")
	flags.BoolVar(&f.tombstones, "tombstones", false, "an empty value after a key deletes the key (a null value)")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print no progress and no count")
	flags.StringArrayVar(&f.properties, "property", nil, "a property of Kafka's console producer: parse.key, key.separator")
	must(flags.MarkHidden("property"))
	completeWords(cmd, "acks", "all", "1", "0")
	completeWords(cmd, "compression", "none", "gzip", "snappy", "lz4", "zstd")
	return cmd
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func (f *produceFlags) options(topic string) ([]kgo.Opt, error) {
	codec, ok := codecs[f.compression]
	if !ok {
		return nil, fmt.Errorf("compression %q is not none, gzip, snappy, lz4 or zstd", f.compression)
	}
	opts := []kgo.Opt{kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codec)}
	switch f.acks {
	case "all", "-1":
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, fmt.Errorf("acks %q is not all, 1 or 0", f.acks)
	}
	if f.partition < -1 {
		return nil, fmt.Errorf("--partition %d: give a partition's number, or -1 to choose by key", f.partition)
	}
	if f.partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	if f.autoCreate {
		opts = append(opts, kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(10))
	}
	return opts, nil
}

func produce(cmd *cobra.Command, conn *connection, topic string, f *produceFlags) error {
	opts, err := f.options(topic)
	if err != nil {
		return err
	}
	headers, err := recordHeaders(f.headers)
	if err != nil {
		return err
	}
	in := cmd.InOrStdin()
	if f.file != "" {
		file, err := os.Open(f.file)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	patience := deliveryTime
	if cmd.Flags().Changed("timeout") {
		patience = max(conn.timeout, time.Second) // less the client does not take
	}
	watch := &vigil{w: cmd.ErrOrStderr()}
	opts = append(opts, kgo.WithHooks(watch), kgo.RecordDeliveryTimeout(patience), kgo.AllowIdempotentProduceCancellation())
	cl, err := conn.open(cmd.Context(), opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	watch.begin()
	if err := f.checkTarget(cmd.Context(), cmd.ErrOrStderr(), cl, topic); err != nil {
		return err
	}
	shown := showProgress(cmd.ErrOrStderr(), "produced to "+topic, f.quiet || isTerminal(in))
	err = f.lines(cmd.Context(), cl, in, headers, shown)
	shown.stop()
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return cl.topicError(cmd.Context(), err, topic, "")
	case errors.Is(err, kgo.ErrRecordTimeout):
		return fmt.Errorf("topic %q: no acknowledgement from %s within %v (%s records are in)", topic, strings.Join(conn.brokers, ", "), patience, grouped(shown.count.Load()))
	case err != nil && cmd.Context().Err() == nil:
		return cl.explain(err, fmt.Sprintf("topic %q (%s records are in)", topic, grouped(shown.count.Load())), "")
	}
	if !f.quiet {
		fmt.Fprintln(cmd.ErrOrStderr(), shown.line())
	}
	return err
}

// checkTarget finds a missing topic or partition before the first line is read, and says on w which partitions nobody leads.
func (f *produceFlags) checkTarget(ctx context.Context, w io.Writer, cl *client, topic string) error {
	if f.autoCreate {
		return nil
	}
	details, err := cl.existing(ctx, topic)
	if err != nil {
		return err
	}
	if n := len(details[topic].Partitions); int(f.partition) >= n {
		return fmt.Errorf("topic %q has no partition %d: it has %d, numbered from 0", topic, f.partition, n)
	}
	var without []string
	for _, p := range details[topic].Partitions.Sorted() {
		if p.Leader < 0 && (f.partition < 0 || f.partition == p.Partition) {
			without = append(without, fmt.Sprint(p.Partition))
		}
	}
	if len(without) > 0 && !f.quiet {
		fmt.Fprintf(w, "barnabas: topic %s has no leader now for partition %s: what goes there waits\n", topic, strings.Join(without, ", "))
	}
	return nil
}

func recordHeaders(list []string) ([]kgo.RecordHeader, error) {
	var headers []kgo.RecordHeader
	for _, text := range list {
		k, v, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("--header %q is not of the form key=value", text)
		}
		headers = append(headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
	}
	return headers, nil
}

// lines produces every line and waits until all are acknowledged. It stops at the first that is refused. After an
// interrupt it waits for what is on its way, but not for the input: its reader may hang in a terminal or a pipe.
func (f *produceFlags) lines(ctx context.Context, cl *client, in io.Reader, headers []kgo.RecordHeader, shown *progress) error {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var failed atomic.Pointer[error]
	acknowledged := func(r *kgo.Record, err error) {
		if err != nil {
			if failed.CompareAndSwap(nil, &err) {
				cancel() // what is still buffered fails too, and the reading ends
			}
			return
		}
		shown.add(len(r.Key) + len(r.Value))
	}
	read := make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(in)
		lines.Buffer(make([]byte, 64<<10), longestLine)
		for sending.Err() == nil && lines.Scan() && ctx.Err() == nil {
			cl.Produce(sending, f.record(lines.Bytes(), headers), acknowledged)
		}
		read <- lines.Err()
	}()
	var unread error
	select {
	case unread = <-read:
	case <-sending.Done():
	case <-ctx.Done():
	}
	// The interrupt may come before or while the last records are on their way.
	defer context.AfterFunc(ctx, func() {
		last := time.AfterFunc(lastSending, cancel)
		context.AfterFunc(sending, func() { last.Stop() })
	})()
	flushed := cl.Flush(sending)
	switch err := failed.Load(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return *err
	case errors.Is(unread, bufio.ErrTooLong):
		return fmt.Errorf("a line is longer than %d bytes", longestLine)
	case unread != nil:
		return fmt.Errorf("reading lines: %w", unread)
	}
	return flushed
}

// record makes a record of a line, which it copies.
func (f *produceFlags) record(line []byte, headers []kgo.RecordHeader) *kgo.Record {
	r := &kgo.Record{Value: append([]byte{}, line...), Headers: headers, Partition: max(f.partition, 0)}
	if f.separator == "" {
		return r
	}
	if key, value, ok := strings.Cut(string(r.Value), f.separator); ok {
		r.Key, r.Value = []byte(key), []byte(value)
		if f.tombstones && value == "" {
			r.Value = nil
		}
	}
	return r
}
