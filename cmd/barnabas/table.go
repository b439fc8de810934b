package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/twmb/franz-go/pkg/kadm"
)

// table prints rows in aligned columns under a header.
func table(w io.Writer, header string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(strings.Fields(header), "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// ids prints broker ids with commas.
func ids(list []int32) string {
	if len(list) == 0 {
		return "-"
	}
	parts := make([]string, len(list))
	for i, id := range list {
		parts[i] = fmt.Sprint(id)
	}
	return strings.Join(parts, ",")
}

// orDash prints a dash for nothing, so that columns stay columns.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// pairs splits key=value arguments.
func pairs(what string, list []string) (map[string]*string, error) {
	m := map[string]*string{}
	for _, text := range list {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("%s %q is not of the form key=value", what, text)
		}
		m[k] = &v
	}
	return m, nil
}

// sortedOffsets gives listed offsets by topic and partition.
func sortedOffsets(listed kadm.ListedOffsets) []kadm.ListedOffset {
	var list []kadm.ListedOffset
	listed.Each(func(o kadm.ListedOffset) { list = append(list, o) })
	slices.SortFunc(list, func(a, b kadm.ListedOffset) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition) - int(b.Partition)
	})
	return list
}

// grouped prints a count with commas between thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
