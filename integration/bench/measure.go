package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// shipped are the JVM flags of Kafka's own start script.
var shipped = []string{"-Xms1G", "-Xmx1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"}

// settings are Kafka's defaults, but for what one broker needs.
var settings = map[string]string{"num.partitions": "1", "offsets.topic.num.partitions": "50"}

const partitions = 4

// A side is one of the two brokers with its figures, by name.
type side struct {
	*peers.Broker
	kind    peers.Kind
	figures map[string][]float64
}

func (s *side) note(figure string, value float64) {
	s.figures[figure] = append(s.figures[figure], value)
}

type bench struct {
	options
	dir   string
	z     *peers.ZooKeeper
	sides []*side // Kafka first
	// floor is a server without a log (load bare), for the paced load alone: what sockets, wake-ups and the load itself cost.
	floor     side
	floorAddr string
	bare      *exec.Cmd // floor's process
	tools     *peers.Tools
	load      string // the program
}

func newBench(ctx context.Context, dir string, o options) (*bench, error) {
	b := &bench{options: o, dir: dir, load: filepath.Join(dir, "load"), floor: side{figures: map[string][]float64{}}}
	build := exec.CommandContext(ctx, "go", "build", "-o", b.load, "./integration/bench/load")
	build.Dir = peers.Root()
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the load: %w: %s", err, out)
	}
	soon, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var err error
	if b.z, err = peers.StartZooKeeper(soon, filepath.Join(dir, "zookeeper")); err != nil {
		return b, err
	}
	b.sides = []*side{{kind: peers.Kafka, figures: map[string][]float64{}}, {kind: peers.Barnabas, figures: map[string][]float64{}}}
	for _, s := range b.sides {
		if err := b.starts(soon, s); err != nil {
			b.close()
			return nil, err
		}
		if s.Broker, err = peers.StartBroker(soon, filepath.Join(dir, string(s.kind)), b.broker(s.kind)); err != nil {
			b.close()
			return nil, err
		}
	}
	if err := b.startFloor(ctx); err != nil {
		b.close()
		return nil, err
	}
	b.tools, err = peers.StartTools("3.9.2", filepath.Join(dir, "tools"), "-Xmx1G", "-XX:+UseG1GC")
	if err != nil {
		b.close()
	}
	return b, err
}

func (b *bench) broker(k peers.Kind) peers.Options {
	o := peers.Options{Kind: k, Settings: settings, JVM: shipped}
	if k == peers.Kafka {
		o.ZooKeeper = b.z.Addr + "/bench"
	}
	return o
}

func (b *bench) close() {
	if b.tools != nil {
		b.tools.Close()
	}
	for _, s := range b.sides {
		if s.Broker != nil && s.Process != nil {
			_ = s.Stop(30 * time.Second)
		}
	}
	if b.z != nil && b.z.Process != nil {
		b.z.Kill()
	}
	if b.bare != nil {
		_ = b.bare.Process.Kill()
		_ = b.bare.Wait()
	}
}

// startFloor starts the bare server, whose first line is its address.
func (b *bench) startFloor(ctx context.Context) error {
	b.bare = exec.CommandContext(ctx, b.load, "bare", "-addr", "127.0.0.1:0")
	out, err := b.bare.StdoutPipe()
	if err == nil {
		err = b.bare.Start()
	}
	if err != nil {
		b.bare = nil
		return err
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	b.floorAddr = strings.TrimSpace(addr)
	return err
}

func (b *bench) all(ctx context.Context) error {
	for round := 0; round <= b.rounds; round++ {
		for _, size := range slices.Sorted(maps.Keys(b.records)) {
			for _, s := range b.sides {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				fmt.Fprintf(os.Stderr, "round %d of %d: %s, records of %d bytes\n", round, b.rounds, s.kind, size)
				if err := b.volume(ctx, s, size, round); err != nil {
					return fmt.Errorf("%s: %w", s.kind, err)
				}
			}
		}
		for _, s := range b.sides {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s, 1,000 records a second\n", round, b.rounds, s.kind)
			if err := b.paced(ctx, s, s.Addr, s.Pid(), round); err != nil {
				return fmt.Errorf("%s: %w", s.kind, err)
			}
		}
		if err := b.paced(ctx, &b.floor, b.floorAddr, b.bare.Process.Pid, round); err != nil {
			return fmt.Errorf("the bare server: %w", err)
		}
	}
	for _, s := range b.sides {
		u, err := s.Usage()
		if err != nil {
			return err
		}
		s.note("resident memory under load", float64(u.PeakRSS)/1e6)
	}
	for _, s := range b.sides {
		for _, part := range []func(context.Context, *side) error{b.cleaning, b.groups, b.crowded} {
			if err := part(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s.kind, err)
			}
		}
	}
	return nil
}

var (
	produced = regexp.MustCompile(`(?m)^\d+ records sent, ([0-9.]+) records/sec .* ([0-9]+) ms 99th, ([0-9]+) ms 99\.9th`)
	consumed = regexp.MustCompile(`(?m)^\S+ \S+, \S+ \S+, [0-9.]+, [0-9.]+, ([0-9]+), [0-9.]+, -?[0-9]+, [0-9]+, [0-9.]+, ([0-9.]+)`)
)

// linger is the linger.ms of the rows that name it: the default of Kafka's clients since 4.0 (KIP-1030). The tools here have that of 3.9, 0.
const linger = "5"

// volume has kafka-producer-perf-test fill a topic, kafka-consumer-perf-test read it, and the first fill another with linger.ms.
func (b *bench) volume(ctx context.Context, s *side, size, round int) error {
	topic := fmt.Sprintf("bench-%d-%d", size, round)
	if err := b.create(ctx, s, topic); err != nil {
		return err
	}
	if err := b.produce(s, topic, size, fmt.Sprintf("produce %d B", size), round); err != nil {
		return err
	}
	if err := b.consume(s, topic, size, round); err != nil {
		return err
	}
	if err := b.remove(ctx, s, topic); err != nil {
		return err
	}
	topic += "-linger"
	if err := b.create(ctx, s, topic); err != nil {
		return err
	}
	if err := b.produce(s, topic, size, fmt.Sprintf("produce %d B, linger.ms=%s", size, linger), round, "linger.ms="+linger); err != nil {
		return err
	}
	return b.remove(ctx, s, topic)
}

func (b *bench) produce(s *side, topic string, size int, figure string, round int, props ...string) error {
	n := b.records[size]
	if err := b.warmPages(int64(n) * int64(size) * 5 / 4); err != nil {
		return err
	}
	args := []string{"--topic", topic, "--num-records", fmt.Sprint(n), "--record-size", fmt.Sprint(size), "--throughput", "-1",
		"--producer-props", "bootstrap.servers=" + s.Addr, "acks=all"}
	cpu, out, err := b.during(s, "org.apache.kafka.tools.ProducerPerformance", append(args, props...)...)
	if err != nil {
		return err
	}
	all := produced.FindAllStringSubmatch(out, -1)
	if all == nil {
		return fmt.Errorf("producer-perf-test said %q", out)
	}
	if m := all[len(all)-1]; round > 0 {
		s.note(figure+", records/s", number(m[1]))
		s.note(figure+", broker CPU s/GB", cpu.Seconds()/(float64(n)*float64(size)/1e9))
	}
	return nil
}

// consume reads but nine tenths of a topic: partitions are filled unevenly, and a fetch of an empty one alone waits fetch.max.wait.ms, half
// a second in which the consumer has nothing else under way. How often that happens is the partitioner's luck, not the broker's work.
func (b *bench) consume(s *side, topic string, size, round int) error {
	read := b.records[size] * 9 / 10
	cpu, out, err := b.during(s, "org.apache.kafka.tools.ConsumerPerformance", "--bootstrap-server", s.Addr, "--topic", topic, "--messages", fmt.Sprint(read), "--timeout", "60000")
	if err != nil {
		return err
	}
	m := consumed.FindStringSubmatch(out)
	if m == nil || number(m[1]) < float64(read) {
		return fmt.Errorf("consumer-perf-test said %q", out)
	}
	if round > 0 {
		s.note(fmt.Sprintf("consume %d B, records/s", size), number(m[2]))
		s.note(fmt.Sprintf("consume %d B, broker CPU s/GB", size), cpu.Seconds()/(number(m[1])*float64(size)/1e9))
	}
	return nil
}

// warmPages has the system hand out memory for so many bytes of page cache before a run, by a file that is written and removed: a
// virtual machine gives unused memory back to its host, and the first touch of it costs more than all the rest of an append.
func (b *bench) warmPages(size int64) error {
	path := filepath.Join(b.dir, "warm")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	block := make([]byte, 1<<20)
	for ; size > 0; size -= int64(len(block)) {
		if _, err := f.Write(block); err != nil {
			f.Close()
			return err
		}
	}
	return f.Close()
}

// during runs a tool and tells the broker's processor time meanwhile.
func (b *bench) during(s *side, class string, args ...string) (time.Duration, string, error) {
	before, err := s.Usage()
	if err != nil {
		return 0, "", err
	}
	r, err := b.tools.Run(5*time.Minute, "", class, args...)
	if err != nil {
		return 0, "", err
	}
	if r.Exit != 0 {
		return 0, "", fmt.Errorf("%s: exit code %d: %s%s", class, r.Exit, r.Stdout, r.Stderr)
	}
	after, err := s.Usage()
	return after.CPU - before.CPU, r.Stdout, err
}

func (b *bench) paced(ctx context.Context, s *side, addr string, pid, round int) error {
	m, err := b.run(ctx, "pace", "-json", "-addr", addr, "-pid", fmt.Sprint(pid), "-topic", fmt.Sprintf("pace-%d", round), "-rate", "1000", "-record", "1024", "-duration", b.pace.String())
	if err != nil || round == 0 {
		return err
	}
	for _, what := range []string{"produce", "end to end"} {
		for _, q := range []string{"p50", "p99", "p99.9"} {
			s.note(what+" at 1,000/s, "+q+" ms", m[what+" "+q+" ms"])
		}
	}
	s.note("at 1,000/s, broker CPU s/s", m["broker CPU s/s"])
	return nil
}

// starts times starts on a log directory of their own, the first of which (files not cached, directory not formatted) does not count.
func (b *bench) starts(ctx context.Context, s *side) error {
	starter, err := peers.NewBroker(filepath.Join(b.dir, string(s.kind)+"-starts"), b.broker(s.kind))
	if err != nil {
		return err
	}
	if s.kind == peers.Kafka {
		starter.Opts.ZooKeeper = b.z.Addr + "/starts"
	}
	for i := 0; i <= b.options.starts; i++ {
		fmt.Fprintf(os.Stderr, "start %d of %d: %s\n", i, b.options.starts, s.kind)
		cmd, err := starter.Command()
		if err != nil {
			return err
		}
		m, err := b.run(ctx, append([]string{"start", "-json", "-addr", starter.Addr, "--"}, cmd.Args...)...)
		if err != nil {
			return err
		}
		if i > 0 {
			s.note("exec to first answer, ms", m["first ApiVersions answer ms"])
			s.note("exec to first Metadata answer, ms", m["first Metadata answer ms"])
			s.note("resident memory idle", m["RSS MB"])
		}
	}
	return nil
}

// run runs the load and reads the line of JSON that ends its output; brokers that it starts print there too.
func (b *bench) run(ctx context.Context, args ...string) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, b.load, args...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("load %s: %w: %s", args[0], err, complaints.String())
	}
	var raw map[string]any
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, `"load":`) {
			if err := json.Unmarshal([]byte(line), &raw); err != nil {
				return nil, err
			}
		}
	}
	m := map[string]float64{}
	for k, v := range raw {
		if f, ok := v.(float64); ok {
			m[k] = f
		}
	}
	if len(m) == 0 {
		return nil, fmt.Errorf("load %s printed no figures: %s", args[0], out)
	}
	return m, nil
}

func (b *bench) create(ctx context.Context, s *side, topic string) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(s.Addr))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = kadm.NewClient(c).CreateTopic(ctx, partitions, 1, nil, topic)
	return err
}

func (b *bench) remove(ctx context.Context, s *side, topic string) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(s.Addr))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = kadm.NewClient(c).DeleteTopic(ctx, topic)
	return err
}

func number(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}
