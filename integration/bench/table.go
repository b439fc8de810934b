package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

const (
	begin     = "<!-- table: made by make bench; do not edit by hand -->"
	beginMany = "<!-- table: made by make bench BENCH='-partitions 10000'; do not edit by hand -->"
	end       = "<!-- end of table -->"
)

// A row of the table: a figure, and what barnabas aims at, as a multiple of Kafka's (0 = no aim) or as an absolute limit.
type row struct {
	figure   string
	aim      float64
	limit    float64
	moreGood bool // more is better
}

var rows = []row{
	{"produce 100 B, records/s", 1, 0, true},
	{"produce 100 B, broker CPU s/GB", 0.4, 0, false},
	{"produce 1024 B, records/s", 1, 0, true},
	{"produce 1024 B, broker CPU s/GB", 0.4, 0, false},
	{"produce 100 B, linger.ms=5, records/s", 1, 0, true},
	{"produce 100 B, linger.ms=5, broker CPU s/GB", 0.4, 0, false},
	{"produce 1024 B, linger.ms=5, records/s", 1, 0, true},
	{"produce 1024 B, linger.ms=5, broker CPU s/GB", 0.4, 0, false},
	{"consume 100 B, records/s", 1, 0, true},
	{"consume 100 B, broker CPU s/GB", 0.65, 0, false},
	{"consume 1024 B, records/s", 1, 0, true},
	{"consume 1024 B, broker CPU s/GB", 0.65, 0, false},
	{"produce at 1,000/s, p50 ms", 0, 0, false},
	{"produce at 1,000/s, p99 ms", 0, 0, false},
	{"produce at 1,000/s, p99.9 ms", 0, 0, false},
	{"end to end at 1,000/s, p50 ms", 0, 0, false},
	{"end to end at 1,000/s, p99 ms", 0.4, 0, false},
	{"end to end at 1,000/s, p99.9 ms", 0, 0, false},
	{"at 1,000/s, broker CPU s/s", 0, 0, false},
	{"produce in a crowd, p50 ms", 0, 0, false},
	{"produce in a crowd, p99 ms", 0, 0, false},
	{"cleaning, MB/s", 0, 0, true},
	{"cleaning, broker CPU s/GB", 0, 0, false},
	{"cleaning a million keys takes, MB", 0, 0, false},
	{"offsets committed, 1/s", 0, 0, true},
	{"broker CPU, us per offset committed", 0, 0, false},
	{"rebalance of 10 members, p50 ms", 0, 0, false},
	{"rebalance of 100 members, p50 ms", 0, 0, false},
	{"rebalance of 1000 members, p50 ms", 0, 0, false},
	{"restart until all groups are served, s", 0, 0, false},
	{"resident memory idle", 0, 30, false},
	{"resident memory under load", 0.1, 0, false},
	{"exec to first answer, ms", 0, 60, false},
	{"exec to first Metadata answer, ms", 0, 0, false},
}

// table compares the sides, Kafka first; floor has the figures of the bare server.
func table(rows []row, sides []*side, floor side) string {
	var out strings.Builder
	fmt.Fprintf(&out, "| figure | Apache Kafka 3.9.2 | barnabas | barnabas / Kafka | aim | bare server |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		kafka, ours := sides[0].figures[r.figure], sides[1].figures[r.figure]
		ratio, quotient := median(ours)/median(kafka), "–"
		if len(kafka) > 0 {
			quotient = fmt.Sprintf("%.2f", ratio)
		}
		bare := ""
		if f := floor.figures[r.figure]; f != nil {
			bare = spread(f)
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s |\n", r.figure+unit(r.figure), spread(kafka), spread(ours), quotient, r.verdict(median(ours), ratio), bare)
	}
	return out.String()
}

func (r row) verdict(ours, ratio float64) string {
	reached := map[bool]string{true: "reached", false: "**missed**"}
	switch {
	case r.limit > 0:
		return fmt.Sprintf("≤ %g: %s", r.limit, reached[ours <= r.limit])
	case r.aim == 0:
		return ""
	case r.moreGood:
		return fmt.Sprintf("≥ %g x: %s", r.aim, reached[ratio >= r.aim])
	}
	return fmt.Sprintf("≤ %g x: %s", r.aim, reached[ratio <= r.aim])
}

func unit(figure string) string {
	if strings.HasPrefix(figure, "resident") && !strings.HasSuffix(figure, "MB") {
		return ", MB"
	}
	return ""
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// spread is a median with its range.
func spread(v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	return fmt.Sprintf("%s [%s..%s]", short(median(v)), short(slices.Min(v)), short(slices.Max(v)))
}

func short(f float64) string {
	switch {
	case f >= 100_000:
		return fmt.Sprintf("%.0f k", f/1000)
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.3g", f)
}

// machine says where and how the table was made.
func machine(where string) string {
	command := "make bench"
	if flags := strings.Join(os.Args[1:], " "); flags != "" {
		command += " BENCH='" + flags + "'"
	}
	return fmt.Sprintf("Made by `%s` on %d CPUs (%s), %s of memory, Linux %s, %s, %s; in %s.\n", command, runtime.NumCPU(),
		firstOf("/proc/cpuinfo", "model name"), firstOf("/proc/meminfo", "MemTotal"), firstOf("/proc/sys/kernel/osrelease", ""), runtime.Version(), javaVersion(), where)
}

// firstOf is the value of the first line of a file that starts with a key, or the first line.
func firstOf(path, key string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "?"
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, key) {
			continue
		}
		if _, value, ok := strings.Cut(line, ":"); ok && key != "" {
			return strings.TrimSpace(value)
		}
		return strings.TrimSpace(line)
	}
	return "?"
}

func javaVersion() string {
	out, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		return "no Java"
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.ReplaceAll(first, `"`, "")
}

// rewrite replaces the part of the document between a mark and the next end mark.
func rewrite(path, begin, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s lacks the marks between which the table goes", path)
	}
	return os.WriteFile(path, []byte(before+begin+"\n\n"+text+"\n"+end+after), 0o644)
}
