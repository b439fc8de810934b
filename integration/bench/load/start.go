package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// settled is how long an idle broker is left alone before its memory is read.
const settled = 2 * time.Second

// start runs a broker's command and asks it from the first moment on.
func start(o *options) (*result, error) {
	if len(o.command) == 0 {
		return nil, errors.New("no command: load start -addr host:port -- command")
	}
	cmd := exec.Command(o.command[0], o.command[1:]...)
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	c, versions, err := firstAnswer(o.addr, began)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.Version = metadataVersion
	for limit := time.Now().Add(patience); ; {
		resp, err := c.ask(req)
		if err != nil {
			return nil, err
		}
		if len(resp.(*kmsg.MetadataResponse).Brokers) > 0 {
			break
		}
		if time.Now().After(limit) {
			return nil, errors.New("Metadata names no broker")
		}
		time.Sleep(time.Millisecond)
	}
	metadata := time.Since(began)
	p := process(cmd.Process.Pid)
	r := &result{}
	r.add("first ApiVersions answer", float64(versions.Microseconds())/1000, "ms")
	r.add("first Metadata answer", float64(metadata.Microseconds())/1000, "ms")
	r.add("start CPU", p.cpu().Seconds(), "s")
	idle := measure(int(p))
	time.Sleep(settled)
	idle.busy(r)
	return r, nil
}

// firstAnswer connects and asks for ApiVersions until it is answered.
func firstAnswer(addr string, began time.Time) (*connection, time.Duration, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	for {
		c, err := dial(addr)
		if err == nil {
			if _, err = c.ask(req); err == nil {
				return c, time.Since(began), nil
			}
			c.Close()
		}
		if time.Since(began) > 4*patience {
			return nil, 0, err
		}
		time.Sleep(500 * time.Microsecond)
	}
}
