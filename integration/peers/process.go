package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Process is a child with its output in a file. It is killed together with this process.
type Process struct {
	Name string
	Log  string // path of stdout and stderr together
	cmd  *exec.Cmd
	gone chan struct{} // closed after Wait
	err  error         // of Wait; read after gone
}

// Start runs the command with its output appended to dir/name.log.
func Start(name, dir string, cmd *exec.Cmd) (*Process, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &Process{Name: name, Log: path, cmd: cmd, gone: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The parent-death signal follows the thread that forked, not the process: this goroutine keeps its thread.
		lockThread()
		started <- cmd.Start()
		if cmd.Process != nil {
			p.err = cmd.Wait()
		}
		close(p.gone)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// Pid is the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Gone is closed once the child has ended.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// ExitCode is the child's, after Gone; -1 when a signal ended it.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Signal sends the child a signal; a child that is gone is no error.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Kill ends the child at once and waits until it is gone.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.gone
}

// Stop asks the child to end and waits for it; a child that has not ended within the limit is killed and an error returned.
func (p *Process) Stop(limit time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.gone:
		return nil
	case <-time.After(limit):
		_ = p.Signal(syscall.SIGQUIT) // goroutines or threads go into the log
		select {
		case <-p.gone:
		case <-time.After(2 * time.Second):
		}
		p.Kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM; its log is %s", p.Name, limit, p.Log)
	}
}

// Tail is the end of the child's log, at most n bytes.
func (p *Process) Tail(n int) string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}

// Usage is what a process has taken from the machine.
type Usage struct {
	CPU     time.Duration // user and system
	RSS     int64         // bytes resident now
	PeakRSS int64         // bytes, the most so far
}

// Usage reads /proc.
func (p *Process) Usage() (Usage, error) {
	dir := filepath.Join("/proc", strconv.Itoa(p.Pid()))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Usage{}, err
	}
	// Fields after the name in parentheses, which may hold blanks; user and system time are fields 14 and 15 in ticks of 10 ms.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	u := Usage{CPU: time.Duration(user+system) * 10 * time.Millisecond}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return Usage{}, err
	}
	for _, line := range strings.Split(string(status), "\n") {
		name, rest, _ := strings.Cut(line, ":")
		kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
		switch name {
		case "VmRSS":
			u.RSS = kb << 10
		case "VmHWM":
			u.PeakRSS = kb << 10
		}
	}
	return u, nil
}

// Until polls until ok, the context's end, or the end of the process (which may be nil).
func Until(ctx context.Context, p *Process, what string, ok func() error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var gone <-chan struct{}
	if p != nil {
		gone = p.gone
	}
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("%s ended (%v) while waiting until %s; the end of its log:\n%s", p.Name, p.err, what, p.Tail(4000))
		case <-ctx.Done():
			tail := ""
			if p != nil {
				tail = "; the end of its log:\n" + p.Tail(4000)
			}
			return fmt.Errorf("gave up waiting until %s: %w (last: %v)%s", what, ctx.Err(), err, tail)
		case <-tick.C:
		}
	}
}

// FreePort finds a TCP port of the loopback address that nobody listens on now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
