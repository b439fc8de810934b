package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func main() {
	kafka := flag.String("kafka", "127.0.0.1:9092", "address of a fresh Apache Kafka 3.9.2")
	ours := flag.String("barnabas", "127.0.0.1:9093", "address of a fresh barnabas")
	apis := flag.String("api", "", "only these API keys, separated by commas")
	pattern := flag.String("script", "", "only scripts whose name matches this regular expression")
	show := flag.Bool("list", false, "list the scripts and stop")
	verbose := flag.Bool("v", false, "name the rules that allowed nothing, and each script as it runs")
	coverage := flag.Bool("coverage", false, "print how many questions each API was asked at each version")
	write := flag.Bool("write-compatibility", false, "rewrite the table in docs/COMPATIBILITY.md and stop")
	flag.Parse()

	chosen, err := choose(*apis, *pattern)
	switch {
	case err != nil:
	case *write:
		err = writeCompatibility(filepath.Join(peers.Root(), "docs", "COMPATIBILITY.md"))
	case *show:
		for _, sc := range chosen {
			fmt.Printf("%-3d %s: %s\n", sc.API, kmsg.NameForKey(sc.API), sc.Name)
		}
	default:
		var r *Report
		if r, err = compareBrokers(*kafka, *ours, chosen, *verbose); err == nil {
			r.Print(os.Stdout, *verbose)
			if *coverage {
				r.PrintCoverage(os.Stdout)
			}
			if len(r.Forbidden()) > 0 {
				os.Exit(1)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(2)
	}
}

func choose(apis, pattern string) ([]*Script, error) {
	name, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	var keys []int16
	for _, k := range strings.FieldsFunc(apis, func(r rune) bool { return r == ',' }) {
		n, err := strconv.ParseInt(k, 10, 16)
		if err != nil {
			return nil, err
		}
		keys = append(keys, int16(n))
	}
	var out []*Script
	for i, sc := range scripts() {
		if (keys == nil || slices.Contains(keys, sc.API)) && name.MatchString(sc.Name) {
			out = append(out, &scriptTable[i])
		}
	}
	return out, nil
}

// compareBrokers runs every script at every version that both sides and kmsg know.
func compareBrokers(kafka, ours string, chosen []*Script, verbose bool) (*Report, error) {
	left, err := newSide("kafka", kafka)
	if err != nil {
		return nil, err
	}
	right, err := newSide("barnabas", ours)
	if err != nil {
		return nil, err
	}
	r := newReport()
	for api := range left.known {
		if low, high, ok := common(left, right, &Script{API: api}); ok {
			r.Common[api] = [2]int16{low, high}
		}
	}
	for _, sc := range chosen {
		low, high, ok := common(left, right, sc)
		if !ok {
			k := left.known[sc.API]
			r.add(sc, "- advertised", k[1], "ApiVersions", "there", "absent")
			continue
		}
		for v := max(low, sc.Min); v <= high && (sc.Max == 0 || v <= sc.Max); v++ {
			begin := time.Now()
			run(left, right, sc, v, r)
			if verbose {
				fmt.Fprintf(os.Stderr, "%s v%d: %s (%v)\n", kmsg.NameForKey(sc.API), v, sc.Name, time.Since(begin).Round(time.Millisecond))
			}
			r.Scripts++
		}
		if _, seen := r.PerAPI[sc.API]; !seen {
			r.PerAPI[sc.API] = [2]int16{low, high}
			if k := left.known[sc.API]; low > k[0] || high < min(k[1], kmsg.RequestForKey(sc.API).MaxVersion()) {
				r.add(sc, "- advertised", k[1], "ApiVersions", fmt.Sprint("versions ", k[0], " to ", k[1]), fmt.Sprint("versions ", low, " to ", high))
			}
		}
	}
	left.close()
	right.close()
	return r, nil
}

func run(left, right *Side, sc *Script, v int16, r *Report) {
	for _, p := range []*Side{left, right} {
		p.vars = map[string]any{}
		p.close()
	}
	sc.Run(&Session{Kafka: left, Barnabas: right, V: v, script: sc, out: r})
}

// common is the range of versions that both sides advertise and kmsg can write.
func common(left, right *Side, sc *Script) (low, high int16, ok bool) {
	l, okLeft := left.known[sc.API]
	o, okRight := right.known[sc.API]
	if !okLeft || !okRight || kmsg.RequestForKey(sc.API) == nil {
		return 0, 0, false
	}
	return max(l[0], o[0]), min(l[1], o[1], kmsg.RequestForKey(sc.API).MaxVersion()), true
}
