package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// parseStart reads --from.
func parseStart(text string, now time.Time) (kgo.Offset, error) {
	switch strings.ToLower(text) {
	case "beginning", "earliest", "start":
		return kgo.NewOffset().AtStart(), nil
	case "end", "latest":
		return kgo.NewOffset().AtEnd(), nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < 0 {
			return kgo.NewOffset().AtEnd().Relative(n), nil
		}
		return kgo.NewOffset().At(n), nil
	}
	at, err := parseTime(text, now)
	if err != nil {
		return kgo.Offset{}, fmt.Errorf("--from %q is not beginning, end, an offset, -N, or a time", text)
	}
	return kgo.NewOffset().AfterMilli(at.UnixMilli()), nil
}

// parseTime reads a time: RFC 3339 (a day alone, or without a zone, is local), @ and milliseconds, or a duration and "-ago".
func parseTime(text string, now time.Time) (time.Time, error) {
	if ms, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseInt(ms, 10, 64)
		return time.UnixMilli(n), err
	}
	if ago, ok := strings.CutSuffix(text, "-ago"); ok {
		d, err := parseDuration(ago)
		return now.Add(-d), err
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999", "2006-01-02T15:04:05", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write 2025-01-31T12:00:00Z, @ and milliseconds, or 90m-ago", text)
}

var duration = regexp.MustCompile(`(?i)^P?(?:(\d+)D)?T?((?:[\d.]+(?:h|m|s|ms|us|ns))*)$`)

// parseDuration reads a duration as Go writes it, with days too (7d, 1d12h), or as ISO 8601 does (P7D, PT1H30M).
func parseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a duration such as 90m, 24h or 7d", text)
	m := duration.FindStringSubmatch(text)
	if m == nil || m[1]+m[2] == "" {
		return 0, wrong
	}
	var total time.Duration
	if m[1] != "" {
		days, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || days > maxDays {
			return 0, wrong
		}
		total = time.Duration(days) * 24 * time.Hour
	}
	if m[2] != "" {
		rest, err := time.ParseDuration(strings.ToLower(m[2]))
		if err != nil || total+rest < 0 {
			return 0, wrong
		}
		total += rest
	}
	return total, nil
}

// maxDays is what a time.Duration holds.
const maxDays = int64(math.MaxInt64 / (24 * time.Hour))

// shownTime prints a time of the protocol, in ms since 1970; negative is none.
func shownTime(ms int64) string {
	if ms < 0 {
		return "-"
	}
	return time.UnixMilli(ms).Format("2006-01-02T15:04:05.000Z07:00")
}
