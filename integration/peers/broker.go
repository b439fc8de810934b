package peers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Kind of broker to start.
type Kind string

// The kinds.
const (
	Barnabas Kind = "barnabas"
	Kafka    Kind = "kafka" // Apache Kafka 3.9.2; needs ZooKeeper
)

// Options of a broker. The zero value is a barnabas that stands alone, as node 0.
type Options struct {
	Kind      Kind
	ID        int
	ZooKeeper string            // zookeeper.connect; "" = alone (barnabas only)
	Settings  map[string]string // on top of the defaults, or instead of them
	DataDir   string            // log.dirs; "" = a folder in the broker's own
	Binary    string            // of barnabas; "" = $BARNABAS_BINARY, else bin/barnabas of the repository
	JVM       []string          // flags; nil = a small heap
	Env       []string          // added to the environment
}

// A Broker is a broker process; it keeps its address, settings and data over restarts.
type Broker struct {
	*Process
	Addr    string // host:port
	Dir     string // settings and logs
	DataDir string
	Opts    Options
	Startup time.Duration // from exec to the first Metadata answer that lists it
}

// StartBroker writes the settings into dir, starts the broker on a free port and waits until it serves.
func StartBroker(ctx context.Context, dir string, o Options) (*Broker, error) {
	b, err := NewBroker(dir, o)
	if err != nil {
		return nil, err
	}
	return b, b.Restart(ctx)
}

// NewBroker is a broker that is not started, with a port that is free now.
func NewBroker(dir string, o Options) (*Broker, error) {
	if o.Kind == "" {
		o.Kind = Barnabas
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	b := &Broker{Addr: fmt.Sprintf("127.0.0.1:%d", port), Dir: dir, DataDir: o.DataDir, Opts: o}
	if b.DataDir == "" {
		b.DataDir = filepath.Join(dir, "data")
	}
	return b, nil
}

// Restart starts the broker, which must not be running, on its old address and data, and waits until it serves.
func (b *Broker) Restart(ctx context.Context) error {
	if err := b.Launch(); err != nil {
		return err
	}
	return b.Ready(ctx)
}

// Launch starts the process without waiting.
func (b *Broker) Launch() error {
	cmd, err := b.Command()
	if err != nil {
		return err
	}
	cmd.Env = append(os.Environ(), b.Opts.Env...)
	b.Startup = -time.Duration(time.Now().UnixNano())
	b.Process, err = Start(string(b.Opts.Kind)+"-"+strconv.Itoa(b.Opts.ID), b.Dir, cmd)
	return err
}

// Ready waits until a Metadata answer lists the broker.
func (b *Broker) Ready(ctx context.Context) error {
	err := Until(ctx, b.Process, "Metadata of "+b.Addr+" lists the broker", func() error { return listed(b.Addr, int32(b.Opts.ID)) })
	b.Startup += time.Duration(time.Now().UnixNano())
	return err
}

// Binary is the barnabas to run: $BARNABAS_BINARY, else bin/barnabas of the repository.
func Binary() string {
	return cmp.Or(os.Getenv("BARNABAS_BINARY"), filepath.Join(Root(), "bin", "barnabas"))
}

// Command is how Launch would start the broker, with its settings written, for one who starts it itself.
func (b *Broker) Command() (*exec.Cmd, error) {
	settings := map[string]string{
		"broker.id":                                strconv.Itoa(b.Opts.ID),
		"listeners":                                "PLAINTEXT://" + b.Addr,
		"log.dirs":                                 b.DataDir,
		"num.partitions":                           "1",
		"log.retention.hours":                      "-1", // the tests write records that are years old
		"offsets.topic.num.partitions":             "5",
		"offsets.topic.replication.factor":         "1",
		"transaction.state.log.num.partitions":     "2",
		"transaction.state.log.replication.factor": "1",
		"transaction.state.log.min.isr":            "1",
		"group.initial.rebalance.delay.ms":         "0",
	}
	if b.Opts.ZooKeeper != "" {
		settings["zookeeper.connect"] = b.Opts.ZooKeeper
	}
	maps.Copy(settings, b.Opts.Settings)
	var text strings.Builder
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s=%s\n", k, settings[k])
	}
	err := writeFiles(b.Dir, map[string]string{"server.properties": text.String(), "log4j.properties": log4j})
	if err != nil {
		return nil, err
	}
	props := filepath.Join(b.Dir, "server.properties")
	if b.Opts.Kind == Barnabas {
		return exec.Command(cmp.Or(b.Opts.Binary, Binary()), "serve", "--config", props), nil
	}
	jars, err := Installed("kafka-3.9.2")
	if err != nil {
		return nil, err
	}
	flags := b.Opts.JVM
	if flags == nil {
		flags = []string{"-Xmx512m", "-XX:+UseSerialGC"}
	}
	args := append(slices.Clone(flags), "-Dlog4j.configuration=file:"+filepath.Join(b.Dir, "log4j.properties"),
		"-cp", jars+"/*", "kafka.Kafka", props)
	return exec.Command("java", args...), nil
}
