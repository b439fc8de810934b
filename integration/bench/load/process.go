package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// process is the broker's, 0 for none.
type process int

// ticks is how many units of /proc's times a second has; Linux shows 100 on every architecture.
const ticks = 100

// cpu is the processor time that the process has used, user and system.
func (p process) cpu() time.Duration {
	if p == 0 {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", int(p)))
	if err != nil {
		return 0
	}
	// The second field, the name in parentheses, may hold blanks.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticks
}

// memory is a size from /proc/PID/status, in megabytes: VmRSS or VmHWM.
func (p process) memory(field string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", int(p)))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// meter measures a stretch of work.
type meter struct {
	process process
	began   time.Time
	cpu     time.Duration
}

func measure(pid int) meter {
	m := meter{process: process(pid), began: time.Now()}
	m.cpu = m.process.cpu()
	return m
}

// moved adds the rates of a load that moved records and bytes.
func (m meter) moved(r *result, records, bytes int64) {
	took, cpu := time.Since(m.began).Seconds(), (m.process.cpu() - m.cpu).Seconds()
	gb := float64(bytes) / 1e9
	r.add("rate", float64(records)/took, "rec/s")
	r.add("throughput", gb/took, "GB/s")
	if m.process != 0 {
		r.add("broker CPU", cpu/gb, "s/GB")
		r.add("RSS", m.process.memory("VmRSS"), "MB")
		r.add("RSS peak", m.process.memory("VmHWM"), "MB")
	}
}

// busy adds how much of a processor the broker used.
func (m meter) busy(r *result) {
	if m.process != 0 {
		r.add("broker CPU", (m.process.cpu()-m.cpu).Seconds()/time.Since(m.began).Seconds(), "s/s")
		r.add("RSS", m.process.memory("VmRSS"), "MB")
	}
}

// times are durations that were measured.
type times []time.Duration

// percentiles adds the usual ones in milliseconds.
func (t times) percentiles(r *result, name string) {
	if len(t) == 0 {
		return
	}
	slices.Sort(t)
	for _, p := range []struct {
		name string
		at   float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}} {
		i := min(int(p.at*float64(len(t))), len(t)-1)
		r.add(name+" "+p.name, float64(t[i].Microseconds())/1000, "ms")
	}
}
