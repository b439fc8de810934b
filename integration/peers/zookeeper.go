package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ZooKeeper is one standalone server on the loopback address; it keeps its port and data over restarts.
type ZooKeeper struct {
	*Process
	Addr string // host:port
	dir  string
}

const log4j = `log4j.rootLogger=INFO, out
log4j.logger.kafka.request.logger=WARN
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
`

// StartZooKeeper starts ZooKeeper 3.8 (of Kafka 3.9.2's jars) with its files in dir and waits until it answers.
func StartZooKeeper(ctx context.Context, dir string) (*ZooKeeper, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	z := &ZooKeeper{Addr: fmt.Sprintf("127.0.0.1:%d", port), dir: dir}
	props := fmt.Sprintf("dataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n",
		filepath.Join(dir, "data"), port)
	if err := writeFiles(dir, map[string]string{"zk.properties": props, "log4j.properties": log4j}); err != nil {
		return nil, err
	}
	return z, z.Restart(ctx)
}

// Restart starts the server, which must not be running, on its old port and data.
func (z *ZooKeeper) Restart(ctx context.Context) error {
	jars, err := Installed("kafka-3.9.2")
	if err != nil {
		return err
	}
	z.Process, err = Start("zookeeper", z.dir, exec.Command("java", "-Xmx256m", "-XX:+UseSerialGC",
		"-Dlog4j.configuration=file:"+filepath.Join(z.dir, "log4j.properties"), "-cp", jars+"/*",
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", filepath.Join(z.dir, "zk.properties")))
	if err != nil {
		return err
	}
	return Until(ctx, z.Process, "ZooKeeper serves", func() error {
		c, err := net.DialTimeout("tcp", z.Addr, time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if _, err := io.WriteString(c, "srvr"); err != nil {
			return err
		}
		b, err := io.ReadAll(c)
		if err == nil && !strings.HasPrefix(string(b), "Zookeeper version") {
			err = errors.New("answered " + string(b))
		}
		return err
	})
}

func writeFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
