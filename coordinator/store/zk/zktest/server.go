// Package zktest runs a real ZooKeeper server for tests, and a proxy that comes between it and a client.
//
// It needs Java and a folder with the jars of ZooKeeper 3.8.4 (zookeeper, and at run time metrics-core and snappy-java),
// named by BARNABAS_ZK_JARS. Without them Start fails the test: a test that means to use it stands behind the build tag
// integration.
package zktest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// JarsVariable names the folder of jars.
const JarsVariable = "BARNABAS_ZK_JARS"

// patience bounds a server's start. It is no measure of anything: only a failure takes that long.
const patience = 60 * time.Second

// Server is a ZooKeeper of its own, on a free port of the loopback, with ticks of 100 ms, so that sessions of 200 ms are
// possible. It stops when the test ends.
type Server struct {
	Addr string // 127.0.0.1:port; the same after a restart
	dir  string
	jars string
	run  *run // nil while it is stopped
}

// run is one life of the server's process.
type run struct {
	process *os.Process
	ended   chan struct{}
	err     error // why it could not be started, or how it ended
}

// Start starts a server on an empty tree.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{Addr: FreeAddr(t), dir: t.TempDir(), jars: os.Getenv(JarsVariable)}
	if s.jars == "" {
		t.Fatalf("%s is not set: it must name a folder with the jars of ZooKeeper 3.8.4", JarsVariable)
	}
	if found, _ := filepath.Glob(filepath.Join(s.jars, "zookeeper-3*.jar")); len(found) == 0 {
		t.Fatalf("%s=%s has no zookeeper-3*.jar", JarsVariable, s.jars)
	}
	_, port, _ := net.SplitHostPort(s.Addr)
	lines := []string{
		"dataDir=" + filepath.Join(s.dir, "data"), "clientPortAddress=127.0.0.1", "clientPort=" + port,
		"tickTime=100", "maxSessionTimeout=60000", "maxClientCnxns=0", "admin.enableServer=false",
		"4lw.commands.whitelist=srvr,dump",
	}
	if err := os.WriteFile(s.config(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Kill(t) })
	s.Restart(t)
	return s
}

func (s *Server) config() string { return filepath.Join(s.dir, "zk.cfg") }

// FreeAddr is an address of the loopback that nobody listens on now.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Restart starts the server again, after Kill, with the tree and the sessions as they were.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if s.run != nil {
		t.Fatal("the server runs already")
	}
	output := filepath.Join(s.dir, "output")
	log, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dzookeeper.forceSync=no", "-Dzookeeper.preAllocSize=1024",
		"-cp", filepath.Join(s.jars, "*"), "org.apache.zookeeper.server.quorum.QuorumPeerMain", s.config())
	cmd.Stdout, cmd.Stderr = log, log
	// The server must not outlive a test that is killed. The signal comes when the thread that started it ends, so that
	// thread stays until the server has ended.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r := &run{ended: make(chan struct{})}
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(r.ended)
		r.err = cmd.Start()
		r.process = cmd.Process
		close(started)
		if r.err == nil {
			r.err = cmd.Wait()
		}
	}()
	<-started
	if r.process == nil {
		t.Fatalf("java: %v", r.err)
	}
	s.run = r
	if err := s.ready(r); err != nil {
		said, _ := os.ReadFile(output)
		t.Fatalf("ZooKeeper did not start: %v\n%s", err, said)
	}
}

// ready waits until the server serves.
func (s *Server) ready(r *run) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := s.ask("srvr")
		if err == nil && strings.Contains(answer, "Mode:") {
			return nil
		}
		select {
		case <-tick.C:
		case <-r.ended:
			return fmt.Errorf("it ended: %w", r.err)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// ask sends one of the four-letter commands.
func (s *Server) ask(command string) (string, error) {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	// A server that is still starting may take the connection and never answer.
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, command); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(bufio.NewReader(c))
	return string(answer), err
}

// Kill ends the server at once, as kill -9 does.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if s.run == nil {
		return
	}
	if err := s.run.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill: %v", err)
	}
	<-s.run.ended
	s.run = nil
}

// Gone waits until the server has forgotten a session: it has expired, or been closed.
func (s *Server) Gone(t testing.TB, session int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := s.ask("dump")
		if err == nil && !strings.Contains(answer, fmt.Sprintf("0x%x", uint64(session))) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("session 0x%x is still there: %v\n%s", uint64(session), err, answer)
		}
	}
}
