//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// mounted is a broker with two log dirs, one of them an ext4 file system of its own, in a file, that only the broker's mount namespace
// has. That takes root; who cannot be root sets BARNABAS_NO_MOUNTS=1.
type mounted struct {
	*peers.Broker
	t               *testing.T
	image           string
	good, bad       string
	in              map[string]int32 // which partition of the topic "disks" lies in which log dir
	before, options string           // commands of a shell before the broker starts, and of mount
}

func mountDisk(t *testing.T) *mounted {
	t.Helper()
	if os.Getenv("BARNABAS_NO_MOUNTS") == "1" {
		t.Skip("BARNABAS_NO_MOUNTS=1: nothing is mounted")
	}
	m := &mounted{t: t, image: filepath.Join(folder(t), "disk.ext4"), good: filepath.Join(folder(t), "good"), bad: filepath.Join(folder(t), "bad"), options: "rw"}
	for _, dir := range []string{m.good, m.bad} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run(t, nil, "", "sh", "-c", `truncate -s 16M "$0" && mkfs.ext4 -q -m 0 -E root_owner=$(id -u):$(id -g) "$0"`, m.image)
	b, err := peers.NewBroker(filepath.Join(folder(t), "broker"), peers.Options{DataDir: m.good + "," + m.bad, Settings: map[string]string{
		"log.flush.interval.messages": "1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	m.Broker = b
	t.Cleanup(func() {
		if m.Process != nil {
			m.Kill()
		}
	})
	return m
}

// start starts the broker on the disk.
func (m *mounted) start() {
	m.t.Helper()
	cmd, err := m.Command()
	if err != nil {
		m.t.Fatal(err)
	}
	// ext4 makes a directory of its own, which is foreign to a log dir.
	script := `set -e; e2fsck -fp "$0" >&2 || [ $? -le 1 ]; mount -o loop,errors=remount-ro "$0" "$1"; rm -rf "$1/lost+found"; ` + m.before +
		`; mount -o remount,` + m.options + ` "$1"; shift; exec "$@"`
	wrapped := exec.Command("unshare", append([]string{"-m", "--propagation", "private", "sh", "-c", script, m.image, m.bad}, cmd.Args...)...)
	if m.Process, err = peers.Start("barnabas-0", m.Dir, wrapped); err != nil {
		m.t.Fatal(err)
	}
	if err := m.Ready(soon(m.t)); err != nil {
		m.t.Fatalf("%v\nBARNABAS_NO_MOUNTS=1 leaves out what takes root", err)
	}
}

// place creates the topic, with a partition in each log dir, and finds out which is where.
func (m *mounted) place() {
	m.t.Helper()
	create(m.t, m.Addr, "disks", 2)
	for p := range int32(2) {
		if err := m.produce(p, 10); err != nil {
			m.t.Fatal(err)
		}
	}
	dirs, err := admin(m.t, m.Addr).DescribeBrokerLogDirs(soon(m.t), 0, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	m.in = map[string]int32{}
	dirs.EachPartition(func(p kadm.DescribedLogDirPartition) { m.in[p.Dir] = p.Partition })
	if len(m.in) != 2 {
		m.t.Fatalf("two partitions in %v", m.in)
	}
}

func (m *mounted) produce(partition int32, size int) error {
	c := client(m.t, m.Addr, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer c.Close()
	return c.ProduceSync(soon(m.t), &kgo.Record{Topic: "disks", Partition: partition, Value: make([]byte, size)}).FirstErr()
}

// failed wants the log dir offline, said so with a reason, and the other one in service.
func (m *mounted) failed(why string) {
	m.t.Helper()
	err := m.produce(m.in[m.bad], 10)
	if !errors.Is(err, kerr.KafkaStorageError) && !errors.Is(err, kerr.LeaderNotAvailable) && !errors.Is(err, kerr.NotLeaderForPartition) {
		m.t.Errorf("produce to the failed log dir: %v", err)
	}
	if err := m.produce(m.in[m.good], 10); err != nil {
		m.t.Errorf("produce to the other log dir: %v", err)
	}
	dirs, err := admin(m.t, m.Addr).DescribeBrokerLogDirs(soon(m.t), 0, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	if !errors.Is(dirs[m.bad].Err, kerr.KafkaStorageError) || dirs[m.good].Err != nil {
		m.t.Errorf("DescribeLogDirs says %v and %v", dirs[m.bad].Err, dirs[m.good].Err)
	}
	for line := range strings.Lines(string(readFile(m.t, m.Log))) {
		if strings.Contains(line, `"level":"error"`) && strings.Contains(line, m.bad) && strings.Contains(line, why) {
			return
		}
	}
	m.t.Errorf("the log has no error with %q and the log dir:\n%s", why, m.Tail(2000))
}

// holds wants that many records in the log dir's partition, each readable.
func (m *mounted) holds(dir string, records int64) {
	m.t.Helper()
	c := client(m.t, m.Addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"disks": {m.in[dir]: kgo.NewOffset().AtStart()}}))
	ends, err := kadm.NewClient(c).ListEndOffsets(soon(m.t), "disks")
	if err = errors.Join(err, ends.Error()); err != nil {
		m.t.Fatal(err)
	}
	if o, _ := ends.Lookup("disks", m.in[dir]); o.Offset < records || o.Offset > records+1 { // the refused one may be there
		m.t.Errorf("%d records in %s, acknowledged were %d", o.Offset, dir, records)
	}
	for n := int64(0); n < records; {
		fs := c.PollFetches(soon(m.t))
		if err := fs.Err(); err != nil {
			m.t.Fatal(err)
		}
		n += int64(fs.NumRecords())
	}
}

// A disk that is full takes its log dir offline; with room again, the next start has all that was acknowledged, and goes on.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	m := mountDisk(t)
	m.before = `[ -e "$1/filler" ] || dd if=/dev/zero of="$1/filler" bs=1M count=6 2>&1` // a plain file, which is nobody's business
	m.start()
	m.place()
	acked, err := int64(1), error(nil)
	for ; err == nil; acked++ {
		if err = m.produce(m.in[m.bad], 200_000); err != nil {
			break
		}
	}
	if !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("the record that there was no room for: %v", err)
	}
	if acked < 5 || acked > 80 {
		t.Errorf("%d records of 200 kB had room", acked)
	}
	m.failed("no space left on device")
	if err := m.Stop(20e9); err != nil {
		t.Fatal(err)
	}
	m.before = `rm "$1/filler"`
	m.start()
	m.holds(m.bad, acked)
	if err := m.produce(m.in[m.bad], 200_000); err != nil {
		t.Errorf("with room again: %v", err)
	}
	t.Logf("%d records had room", acked)
}

// A file system that the kernel makes read-only, as it does upon an error, is a failed disk; so is one that is read-only from the start.
func TestADiskTurnsReadOnly(t *testing.T) {
	t.Parallel()
	m := mountDisk(t)
	m.before = ":"
	m.start()
	m.place()
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mounts", m.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	device := ""
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == m.bad {
			device = filepath.Base(f[0])
		}
	}
	if err := os.WriteFile(filepath.Join("/sys/fs/ext4", device, "trigger_fs_error"), []byte("a test"), 0); err != nil {
		t.Fatal(err)
	}
	if err := m.produce(m.in[m.bad], 10); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("the record that the disk did not take: %v", err)
	}
	m.failed("read-only file system")
	if err := m.Stop(20e9); err != nil {
		t.Fatal(err)
	}

	m.options = "ro" // and so it stays
	m.start()
	m.failed("read-only file system")
	if err := m.Stop(20e9); err != nil {
		t.Fatal(err)
	}

	m.options = "rw"
	m.start()
	m.holds(m.bad, 1)
	m.holds(m.good, 3)
	if err := m.produce(m.in[m.bad], 10); err != nil {
		t.Errorf("on a disk that was mended: %v", err)
	}
}

// A second broker on a log dir says whose it is and ends, and the first goes on.
func TestTwoBrokersOnOneLogDir(t *testing.T) {
	t.Parallel()
	b := start(t, peers.Options{})
	second, err := peers.NewBroker(filepath.Join(folder(t), "second"), peers.Options{ID: 1, DataDir: b.DataDir})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Launch(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	select {
	case <-second.Gone():
	case <-ctx.Done():
		second.Kill()
		t.Fatal("it runs")
	}
	if log := second.Tail(2000); second.ExitCode() != 1 || !strings.Contains(log, b.DataDir+" is used by another broker") {
		t.Errorf("exit code %d, it says\n%s", second.ExitCode(), log)
	}
	create(t, b.Addr, "goes-on", 1)
}

// fewDescriptors starts a broker that may have so many files and sockets open.
func fewDescriptors(t *testing.T, b *peers.Broker, limit int) {
	t.Helper()
	cmd, err := b.Command()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`ulimit -n %d; exec "$@"`, limit)
	if b.Process, err = peers.Start("barnabas-0", b.Dir, exec.Command("sh", append([]string{"-c", script, "sh"}, cmd.Args...)...)); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
}

// A crowd of connections takes all descriptors that the broker may have. What it cannot do then it refuses with KAFKA_STORAGE_ERROR; no
// log dir goes offline, the log says what to raise, and when the connections go everything goes on. A restart has all that
// was acknowledged.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{64, 128, 256} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			const partitions = 60
			b, err := peers.NewBroker(filepath.Join(folder(t), "broker"), peers.Options{Settings: map[string]string{
				"log.segment.bytes": "2000", "log.cleanup.policy": "compact", "log.cleaner.min.cleanable.ratio": "0", "log.cleaner.backoff.ms": "50",
				"log.flush.offset.checkpoint.interval.ms": "100", "replica.high.watermark.checkpoint.interval.ms": "100", "log.initial.task.delay.ms": "100",
			}})
			if err != nil {
				t.Fatal(err)
			}
			fewDescriptors(t, b, limit)
			t.Cleanup(func() { b.Kill() })
			create(t, b.Addr, "crowded", partitions)
			c := client(t, b.Addr, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0),
				kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MetadataMinAge(10*time.Millisecond))
			var last [partitions]int // of the acknowledged records, by partition
			n, refusals := 0, 0
			round := func() (bad error) {
				for p := range int32(partitions) {
					n++
					r := &kgo.Record{Topic: "crowded", Partition: p, Key: fmt.Append(nil, n%3), Value: fmt.Appendf(nil, "%d %0400d", n, 0)}
					switch err := c.ProduceSync(soon(t), r).FirstErr(); {
					case err == nil:
						last[p] = n
					case errors.Is(err, kerr.KafkaStorageError):
						refusals++
						bad = err
					default:
						t.Fatalf("produce to partition %d: %v", p, err)
					}
				}
				return bad
			}
			if limit > 64 { // else the crowd is there before any partition has files, and the broker has none to do without
				if err := round(); err != nil {
					t.Fatal(err)
				}
			} else if err := c.ProduceSync(soon(t), &kgo.Record{Topic: "crowded", Key: []byte("k"), Value: []byte("0 ")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			var crowd []net.Conn
			leave := func() {
				for _, c := range crowd {
					_ = c.Close()
				}
			}
			defer leave()
			for range limit + 50 {
				conn, err := net.Dial("tcp", b.Addr) // accepted, or in the backlog
				if err != nil {
					t.Fatal(err)
				}
				crowd = append(crowd, conn)
			}
			if err := peers.Until(soon(t), b.Process, "connections are refused", func() error {
				if !strings.Contains(string(readFile(t, b.Log)), "cannot accept connections") {
					return errors.New("none are")
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for range 6 {
				_ = round()
			}
			t.Logf("%d of %d records were refused", refusals, 6*partitions)
			if limit == 64 && refusals == 0 {
				t.Error("nothing was refused")
			}
			leave()
			if err := peers.Until(soon(t), b.Process, "all are taken again", round); err != nil {
				t.Fatal(err)
			}
			create(t, b.Addr, "after", 3)
			dirs, err := admin(t, b.Addr).DescribeBrokerLogDirs(soon(t), 0, nil)
			if err != nil || dirs.Error() != nil {
				t.Errorf("DescribeLogDirs: %v, %v", err, dirs.Error())
			}
			log := string(readFile(t, b.Log))
			if strings.Contains(log, `"level":"error"`) || strings.Contains(log, "cannot be compacted") {
				t.Errorf("the log has errors:\n%s", b.Tail(4000))
			}
			if lines := strings.Count(log, "refusing what needs more"); refusals > 0 && (lines == 0 || lines > 5) {
				t.Errorf("%d lines for %d refusals", lines, refusals)
			}
			if err := b.Stop(20 * time.Second); err != nil {
				t.Fatal(err)
			}
			if err := b.Restart(soon(t)); err != nil {
				t.Fatal(err)
			}
			reader := client(t, b.Addr, kgo.ConsumeTopics("crowded"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			for left := partitions; left > 0; {
				fs := reader.PollFetches(soon(t))
				if err := fs.Err(); err != nil {
					t.Fatalf("%d partitions lack their last record: %v", left, err)
				}
				fs.EachRecord(func(r *kgo.Record) {
					if strings.HasPrefix(string(r.Value), fmt.Sprintf("%d ", last[r.Partition])) {
						left--
					}
				})
			}
		})
	}
}
