package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	begin = "<!-- differences: made by go run ./integration/differential --write-compatibility; do not edit by hand -->"
	end   = "<!-- end of differences -->"
)

// writeCompatibility replaces the part of the document between the two marks by a list of the rules.
func writeCompatibility(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s lacks the marks between which the differences go", path)
	}
	return os.WriteFile(path, []byte(before+begin+"\n\n"+list()+"\n"+end+after), 0o644)
}

func list() string {
	byAPI := map[int16][]string{}
	for _, r := range rules {
		if !slices.Contains(byAPI[r.API], r.Reason) {
			byAPI[r.API] = append(byAPI[r.API], r.Reason)
		}
	}
	var out strings.Builder
	out.WriteString("| API | difference and reason |\n|---|---|\n")
	for api := int16(-1); api < 100; api++ {
		for _, reason := range byAPI[api] {
			name := "all"
			if api >= 0 {
				name = fmt.Sprintf("%s (%d)", kmsg.NameForKey(api), api)
			}
			fmt.Fprintf(&out, "| %s | %s |\n", name, reason)
		}
	}
	return out.String()
}
