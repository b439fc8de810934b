package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Difference is one field on which the two sides disagree, at one or more versions.
type Difference struct {
	API                 int16
	Script, Label, Path string
	KafkaSays, OursSays string
	Versions            []int16
	Allowed             *Rule // why it may be, nil if it may not
}

// A Report collects what the scripts found.
type Report struct {
	Questions int                // answers compared
	Scripts   int                // scripts run, each version counted
	Silent    []string           // questions that a side did not answer in time
	PerAPI    map[int16][2]int16 // lowest and highest version compared
	Common    map[int16][2]int16 // those that both sides and kmsg know
	Covered   map[int16]map[int16]Counts

	mu    sync.Mutex // a script's second client reports meanwhile
	found map[string]*Difference
	used  map[*Rule]int
}

func newReport() *Report {
	return &Report{PerAPI: map[int16][2]int16{}, Common: map[int16][2]int16{}, Covered: map[int16]map[int16]Counts{}, found: map[string]*Difference{}, used: map[*Rule]int{}}
}

func (s *Session) compare(label string, answers [2]Answer) {
	s.step++
	label = fmt.Sprintf("%d %s", s.step, label)
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.Questions++
	if answers[0].Outcome == "silent" || answers[1].Outcome == "silent" {
		s.out.Silent = append(s.out.Silent, fmt.Sprintf("%s v%d %s: %s", kmsg.NameForKey(s.script.API), s.V, s.script.Name, label))
	}
	s.out.diff(s.script, label, s.V, flatten(s.Kafka, answers[0]), flatten(s.Barnabas, answers[1]))
}

func (r *Report) diff(sc *Script, label string, version int16, kafka, ours []field) {
	left, right := asMap(kafka), asMap(ours)
	if left["outcome"] != right["outcome"] {
		r.add(sc, label, version, "outcome", left["outcome"], right["outcome"])
		return
	}
	// An element that only one side has is one difference, not one for each of its fields.
	missing := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(union(left, right))) {
		l, inLeft := left[path]
		o, inRight := right[path]
		switch {
		case inLeft && inRight:
			if l != o {
				r.add(sc, label, version, path, l, o)
			}
		default:
			element := path[:strings.LastIndexByte(path, ']')+1]
			if element == "" {
				element = path
			}
			if missing[element] {
				continue
			}
			missing[element] = true
			if inLeft {
				r.add(sc, label, version, element, "there", "absent")
			} else {
				r.add(sc, label, version, element, "absent", "there")
			}
		}
	}
}

func (r *Report) add(sc *Script, label string, version int16, path, kafka, ours string) {
	d := Difference{API: sc.API, Script: sc.Name, Label: label, Path: path, KafkaSays: kafka, OursSays: ours}
	key := fmt.Sprint(d.API, "|", d.Script, "|", label, "|", path, "|", kafka, "|", ours)
	if r.found[key] == nil {
		d.Allowed = allowed(&d)
		r.found[key] = &d
	}
	known := r.found[key]
	known.Versions = append(known.Versions, version)
	if known.Allowed != nil {
		r.used[known.Allowed]++
	}
}

// Forbidden are the differences without a reason, in order of API.
func (r *Report) Forbidden() []*Difference {
	var out []*Difference
	for _, d := range r.found {
		if d.Allowed == nil {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *Difference) int {
		return cmp.Or(cmp.Compare(a.API, b.API), cmp.Compare(a.Script, b.Script), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.KafkaSays, b.KafkaSays))
	})
	return out
}

// Unused are the rules that allowed nothing in this run.
func (r *Report) Unused() []*Rule {
	var out []*Rule
	for i := range rules {
		if r.used[&rules[i]] == 0 && !rules[i].Unasked {
			out = append(out, &rules[i])
		}
	}
	return out
}

// Print writes the differences for a human, then one line that counts.
func (r *Report) Print(w io.Writer, verbose bool) {
	last := ""
	for _, d := range r.Forbidden() {
		if head := fmt.Sprintf("%s (%d) / %s", kmsg.NameForKey(d.API), d.API, d.Script); head != last {
			fmt.Fprintf(w, "\n%s\n", head)
			last = head
		}
		fmt.Fprintf(w, "  v%s  [%s] %s\n      kafka:    %s\n      barnabas: %s\n", versions(d.Versions), d.Label, d.Path, d.KafkaSays, d.OursSays)
	}
	if verbose {
		for _, rule := range r.Unused() {
			fmt.Fprintf(w, "\nunused rule: %s\n", rule.Reason)
		}
	}
	for _, q := range r.Silent {
		fmt.Fprintf(w, "\nno answer from a side: %s\n", q)
	}
	fmt.Fprintf(w, "\n%d scripts, %d answers compared, %d differences, of which %d allowed\n", r.Scripts, r.Questions, len(r.found), len(r.found)-len(r.Forbidden()))
}

// versions prints 0,1,2,5 as 0-2,5.
func versions(v []int16) string {
	v = slices.Compact(slices.Sorted(slices.Values(v)))
	var parts []string
	for i := 0; i < len(v); {
		j := i
		for j+1 < len(v) && v[j+1] == v[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, fmt.Sprint(v[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", v[i], v[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

func asMap(fields []field) map[string]string {
	m := make(map[string]string, len(fields))
	for _, f := range fields {
		m[f.path] = f.value
	}
	return m
}

func union(a, b map[string]string) map[string]struct{} {
	m := make(map[string]struct{}, len(a))
	for k := range a {
		m[k] = struct{}{}
	}
	for k := range b {
		m[k] = struct{}{}
	}
	return m
}
