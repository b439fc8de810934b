package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

const inside = "BARNABAS_BENCH_ISOLATED"

// isolate runs this program again in a network namespace of its own and returns true when that run is over; false in the child, and
// an error where it cannot be done.
func isolate() (bool, error) {
	if os.Getenv(inside) != "" {
		return false, cubic()
	}
	if os.Geteuid() != 0 {
		return false, errors.New("not root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return false, err
	}
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	return err == nil, err
}

// cubic brings loopback up and sets its congestion control; the sysctl itself is refused in a namespace, routes are not.
func cubic() error {
	for _, args := range []string{
		"link set lo up",
		"route change table local local 127.0.0.0/8 dev lo proto kernel scope host src 127.0.0.1 congctl cubic",
		"route change table local local 127.0.0.1 dev lo proto kernel scope host src 127.0.0.1 congctl cubic",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	return nil
}
