package peers

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Tools is a JVM that runs the main classes of one Kafka version one after another. Safe for concurrent use; runs queue up.
type Tools struct {
	Version string
	mu      sync.Mutex
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// A Run is what a tool did.
type Run struct {
	Exit           int // -1: it did not end in time
	Stdout, Stderr string
}

// StartTools starts the JVM for a version of which the jars are installed ("3.9.2", "4.3.1"); its own log goes into dir. Without JVM
// flags it gets some that start quickly.
func StartTools(version, dir string, jvm ...string) (*Tools, error) {
	jars, err := Installed("kafka-" + version)
	if err != nil {
		return nil, err
	}
	launcher, err := Installed("launcher")
	if err != nil {
		return nil, err
	}
	const quiet = "log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\nlog4j.appender.out.target=System.err\n" +
		"log4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n\n"
	if err := writeFiles(dir, map[string]string{"tools-log4j.properties": quiet}); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, "tools-"+version+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if jvm == nil {
		jvm = []string{"-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}
	}
	t := &Tools{Version: version}
	t.cmd = exec.Command("java", append(slices.Clone(jvm), "-Djava.security.manager=allow", "--add-opens", "java.base/java.lang=ALL-UNNAMED",
		"-Dlog4j.configuration=file:"+filepath.Join(dir, "tools-log4j.properties"), "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", launcher+":"+jars+"/*", "ToolServer")...)
	t.cmd.Stderr = log
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.out = bufio.NewReader(out)
	if err := t.cmd.Start(); err != nil { // it ends by itself when its stdin closes
		return nil, err
	}
	return t, nil
}

// Close ends the JVM.
func (t *Tools) Close() {
	_ = t.in.Close()
	_ = t.cmd.Wait()
}

// Run runs a main class with what it reads on stdin, and waits at most limit for its end.
func (t *Tools) Run(limit time.Duration, stdin, mainClass string, args ...string) (Run, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := binary.BigEndian.AppendUint32(nil, uint32(limit.Milliseconds()))
	b = appendText(b, mainClass)
	b = binary.BigEndian.AppendUint32(b, uint32(len(args)))
	for _, a := range args {
		b = appendText(b, a)
	}
	b = appendText(b, stdin)
	if _, err := t.in.Write(b); err != nil {
		return Run{}, fmt.Errorf("the tools' JVM is gone: %w", err)
	}
	var exit [4]byte
	if _, err := io.ReadFull(t.out, exit[:]); err != nil {
		return Run{}, fmt.Errorf("the tools' JVM is gone: %w", err)
	}
	run := Run{Exit: int(int32(binary.BigEndian.Uint32(exit[:])))}
	for _, text := range []*string{&run.Stdout, &run.Stderr} {
		var size [4]byte
		if _, err := io.ReadFull(t.out, size[:]); err != nil {
			return Run{}, err
		}
		b := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(t.out, b); err != nil {
			return Run{}, err
		}
		*text = string(b)
	}
	return run, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
