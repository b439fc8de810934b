//go:build integration

package integration

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"barnabas/integration/peers"
	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	mutations = 10_000
	// memoryBound is what the broker may keep resident at any time of it, in bytes. Frames are limited to 1 MiB and eight connections
	// send them; an idle broker takes some 15 MiB, and the Go runtime lets garbage double what is used.
	memoryBound = 96 << 20
	// partitionBound is what comes on top for each partition: a number in CreatePartitions is easily mutated into tens of thousands,
	// which are then there, and are told of by each answer to Metadata.
	partitionBound = 8 << 10
)

// TestMutatedRequests sends ten thousand requests that were valid before something was done to them: every API at every version that
// the broker advertises, eight connections at a time. It must go on serving, in bounded memory, without a fault of its own.
func TestMutatedRequests(t *testing.T) {
	t.Parallel()
	b := start(t, peers.Options{Settings: map[string]string{
		"socket.request.max.bytes": "1048576", "log.retention.check.interval.ms": "500", "group.min.session.timeout.ms": "10",
	}})
	first, _ := seed(t)
	m := &mutator{addr: b.Addr}
	m.prepare(t)
	var next, answered, closed atomic.Int64
	current := make([]atomic.Pointer[[]byte], 8)
	var workers sync.WaitGroup
	for w := range current {
		workers.Go(func() {
			for !t.Failed() {
				n := next.Add(1)
				if n > mutations {
					return
				}
				rng := rand.New(rand.NewPCG(first, uint64(n)))
				frame := m.mutated(rng, m.routes[int(n)%len(m.routes)])
				current[w].Store(&frame)
				switch err := send(b.Addr, frame); {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, peers.ErrClosed):
					closed.Add(1)
				}
				if n%500 == 0 {
					m.serves(t, b)
				}
			}
		})
	}
	workers.Wait()
	select {
	case <-b.Gone():
		for i := range current {
			if f := current[i].Load(); f != nil {
				t.Errorf("the broker ended; one of the last requests: %s", hex.EncodeToString(*f))
			}
		}
	default:
	}
	m.serves(t, b)
	usage, err := b.Usage()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d routes; of %d requests %d were answered, for %d the connection was closed; at most %d MiB resident",
		len(m.routes), mutations, answered.Load(), closed.Load(), usage.PeakRSS>>20)
	if answered.Load() < mutations/3 {
		t.Errorf("only %d requests were answered: they are too broken to show anything", answered.Load())
	}
	for line := range strings.Lines(string(readFile(t, b.Log))) {
		if faults.MatchString(line) {
			t.Errorf("the broker's log: %.2000s", line)
		}
	}
	if err := b.Stop(30 * time.Second); err != nil {
		t.Error(err)
	}
}

var faults = regexp.MustCompile(`panic|goroutine \d|runtime error|fatal error|DATA RACE`)

// A route is one version of an API.
type route struct{ key, version int16 }

// A mutator makes requests.
type mutator struct {
	addr   string
	routes []route
	topics []string
	ids    [][16]byte
	bombs  [][]byte     // batches within a frame's limit that inflate to 64 MiB
	alive  atomic.Int64 // numbers the records of serves
}

// prepare makes what the requests name, and asks which there are.
func (m *mutator) prepare(t *testing.T) {
	t.Helper()
	for i := range 3 {
		m.topics = append(m.topics, create(t, m.addr, fmt.Sprintf("mutated-%d", i), 3, "segment.bytes", "10000"))
		if err := produceOne(soon(t), m.addr, m.topics[i]); err != nil {
			t.Fatal(err)
		}
	}
	create(t, m.addr, "alive", 1)
	details, err := admin(t, m.addr).ListTopics(soon(t), m.topics...)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range details {
		m.ids = append(m.ids, d.ID)
	}
	for _, c := range []codec.Type{codec.Gzip, codec.LZ4, codec.Zstd} {
		b := record.NewBuilder(record.BatchSpec{Codec: c, ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None})
		for range 16 {
			b.Append(1_700_000_000_000, nil, make([]byte, 4<<20))
		}
		bomb, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		m.bombs = append(m.bombs, bomb)
	}
	c, err := peers.Dial(m.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, "integration", "1"
	resp, err := c.RoundTrip(req, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		known := kmsg.RequestForKey(k.ApiKey)
		if known == nil {
			t.Fatalf("API %d is advertised, and kmsg does not know it", k.ApiKey)
		}
		for v := k.MinVersion; v <= min(k.MaxVersion, known.MaxVersion()); v++ {
			m.routes = append(m.routes, route{k.ApiKey, v})
		}
	}
	if len(m.routes) < 100 {
		t.Fatalf("only %d routes", len(m.routes))
	}
}

// send sends one frame on a connection of its own. Some requests are answered late or never, since what is left of them says so.
func send(addr string, frame []byte) error {
	c, err := peers.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	// A reset instead of an end: ten thousand ports in TIME_WAIT are more than there are.
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	_, err = c.Send(frame, 50*time.Millisecond)
	return err
}

// serves writes and reads a record, and looks at the broker's memory.
func (m *mutator) serves(t *testing.T, b *peers.Broker) {
	t.Helper()
	usage, err := b.Usage()
	if err != nil {
		t.Errorf("the broker is gone: %v", err)
		return
	}
	value := fmt.Sprint(m.alive.Add(1))
	c, err := kgo.NewClient(kgo.SeedBrokers(m.addr))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	topics, err := kadm.NewClient(c).ListTopics(soon(t))
	if err != nil {
		t.Errorf("it does not tell its topics any more: %v", err)
		return
	}
	partitions := 0
	topics.EachPartition(func(kadm.PartitionDetail) { partitions++ })
	if usage.RSS > memoryBound+int64(partitions)*partitionBound {
		t.Errorf("the broker has %d MiB resident, with %d partitions", usage.RSS>>20, partitions)
	}
	r, err := c.ProduceSync(soon(t), &kgo.Record{Topic: "alive", Value: []byte(value)}).First()
	if err != nil {
		t.Errorf("it does not take records any more: %v", err)
		return
	}
	c.AddConsumePartitions(map[string]map[int32]kgo.Offset{"alive": {0: kgo.NewOffset().At(r.Offset)}})
	fs := c.PollFetches(soon(t))
	if rs := fs.Records(); fs.Err() != nil || len(rs) == 0 || string(rs[0].Value) != value {
		t.Errorf("it does not give back what it took: %v", fs.Err())
	}
}

// mutated is a frame with something wrong.
func (m *mutator) mutated(rng *rand.Rand, r route) []byte {
	req := kmsg.RequestForKey(r.key)
	req.SetVersion(r.version)
	m.fill(rng, reflect.ValueOf(req).Elem(), 0)
	frame := peers.Frame(r.key, r.version, int32(rng.Uint32()), "mutant", req.IsFlexible(), req.AppendTo(nil))
	const header = 4 + 2 + 2 + 4                     // size, key, version, correlation: mostly left alone, or the broker sees another request
	for range []int{0, 1, 1, 1, 2, 3}[rng.IntN(6)] { // none: the fields are odd enough
		from := header
		if rng.IntN(20) == 0 {
			from = 0
		}
		if len(frame) <= from {
			break
		}
		at := from + rng.IntN(len(frame)-from)
		switch rng.IntN(7) {
		case 0:
			frame[at] ^= 1 << rng.IntN(8)
		case 1:
			frame[at] = byte(rng.Uint32())
		case 2: // a length, a count, an id
			value := []uint32{0xffffffff, 0xfffffffe, 0x7fffffff, 0x80000000, 1 << 16, 1 << 24, 0, 1, uint32(len(frame))}[rng.IntN(9)]
			copy(frame[at:], binary.BigEndian.AppendUint32(nil, value))
		case 3: // a varint
			copy(frame[at:], []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")[rng.IntN(9):])
		case 4:
			frame = append(frame[:at], frame[min(len(frame), at+1+rng.IntN(8)):]...)
		case 5:
			twice := append([]byte(nil), frame[at:min(len(frame), at+1+rng.IntN(64))]...)
			frame = append(frame[:at], append(twice, frame[at:]...)...)
		case 6:
			frame = frame[:at]
		}
	}
	if len(frame) >= 4 && rng.IntN(20) > 0 {
		binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	}
	return frame
}

// fill gives a request's fields values that mean something, by their names, with odd ones between.
func (m *mutator) fill(rng *rand.Rand, v reflect.Value, depth int) {
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if name == "Version" || name == "UnknownTags" || !f.CanSet() {
			continue
		}
		m.value(rng, f, name, depth)
	}
}

func (m *mutator) value(rng *rand.Rand, f reflect.Value, name string, depth int) {
	switch f.Kind() {
	case reflect.Struct:
		m.fill(rng, f, depth)
	case reflect.Pointer:
		if rng.IntN(2) == 0 && !strings.HasPrefix(name, "Transaction") {
			f.Set(reflect.New(f.Type().Elem()))
			m.value(rng, f.Elem(), name, depth)
		}
	case reflect.Slice:
		if f.Type().Elem().Kind() == reflect.Uint8 {
			f.SetBytes(m.bytes(rng, name))
			return
		}
		n := rng.IntN(3)
		if depth == 0 {
			n = 1 + rng.IntN(2)
		}
		f.Set(reflect.MakeSlice(f.Type(), n, n))
		for i := range n {
			m.value(rng, f.Index(i), name, depth+1)
		}
	case reflect.Array: // a topic's id
		if f.Type().Elem().Kind() == reflect.Uint8 && f.Len() == 16 {
			f.Set(reflect.ValueOf(m.ids[rng.IntN(len(m.ids))]))
		}
	case reflect.String:
		f.SetString(m.text(rng, name))
	case reflect.Bool:
		f.SetBool(rng.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.SetInt(m.number(rng, name))
	case reflect.Float64:
		f.SetFloat(float64(rng.IntN(100)))
	}
}

func (m *mutator) text(rng *rand.Rand, name string) string {
	if rng.IntN(20) == 0 {
		return []string{"", "..", strings.Repeat("x", 300), "a/b", "\x00\xff", "__consumer_offsets"}[rng.IntN(6)]
	}
	switch {
	case strings.HasPrefix(name, "Topic"), name == "ResourceName":
		if rng.IntN(10) == 0 {
			return fmt.Sprintf("new-%d", rng.IntN(1000))
		}
		return m.topics[rng.IntN(len(m.topics))]
	case strings.HasPrefix(name, "Group"):
		return fmt.Sprintf("group-%d", rng.IntN(5))
	case name == "ProtocolType":
		return "consumer"
	case name == "Name", strings.HasPrefix(name, "Config"):
		return []string{"retention.ms", "segment.bytes", "cleanup.policy", "max.message.bytes", "range"}[rng.IntN(5)]
	case name == "Value":
		return []string{"1000", "-1", "compact", "delete", "100000"}[rng.IntN(5)]
	default:
		return fmt.Sprintf("text-%d", rng.IntN(5))
	}
}

func (m *mutator) number(rng *rand.Rand, name string) int64 {
	if rng.IntN(10) == 0 {
		return []int64{-1, -2, 1 << 31, 1<<63 - 1, -1 << 63, 1 << 20}[rng.IntN(6)]
	}
	switch {
	case strings.Contains(name, "Wait"), strings.Contains(name, "Timeout"):
		return int64(10 + rng.IntN(50))
	case name == "ReplicaID", strings.HasSuffix(name, "Epoch"), strings.HasPrefix(name, "Producer"), name == "ReplicationFactor":
		return -1
	case strings.Contains(name, "Bytes"):
		return 1 << 20
	case name == "Acks":
		return int64(rng.IntN(3)) - 1
	case name == "ResourceType":
		return []int64{2, 2, 2, 4, 8}[rng.IntN(5)]
	case name == "Timestamp":
		return []int64{-1, -2, -3, 1_700_000_000_000}[rng.IntN(4)]
	default:
		return int64(rng.IntN(4))
	}
}

// bytes are a batch of records where records belong: some are cut or changed within, with a checksum that is right.
func (m *mutator) bytes(rng *rand.Rand, name string) []byte {
	if name != "Records" {
		return []byte(fmt.Sprintf("bytes-%d", rng.IntN(100)))[:rng.IntN(8)]
	}
	if rng.IntN(30) == 0 {
		return m.bombs[rng.IntN(len(m.bombs))]
	}
	b := record.NewBuilder(record.BatchSpec{Codec: codec.Type(rng.IntN(5)), ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None})
	for i := range 1 + rng.IntN(20) {
		b.Append(1_700_000_000_000+int64(i), []byte("key"), []byte(strings.Repeat("value ", rng.IntN(50))), record.Header{Key: "h", Value: nil})
	}
	built, err := b.Build()
	if err != nil {
		panic(err)
	}
	out := append([]byte(nil), built...)
	if rng.IntN(2) == 0 {
		for range 1 + rng.IntN(3) {
			at := 21 + rng.IntN(len(out)-21)
			out[at] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(rng.Uint32())}[rng.IntN(6)]
		}
		binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	}
	return out
}
