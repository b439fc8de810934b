package main

import (
	"bufio"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// printer prints one record. Errors of the writer show when it is flushed.
type printer func(w *bufio.Writer, r *kgo.Record)

var verbs = map[byte]printer{
	't': func(w *bufio.Writer, r *kgo.Record) { _, _ = w.WriteString(r.Topic) },
	'p': func(w *bufio.Writer, r *kgo.Record) { _, _ = w.WriteString(strconv.Itoa(int(r.Partition))) },
	'o': func(w *bufio.Writer, r *kgo.Record) { _, _ = w.WriteString(strconv.FormatInt(r.Offset, 10)) },
	'k': func(w *bufio.Writer, r *kgo.Record) { _, _ = w.Write(r.Key) },
	'v': func(w *bufio.Writer, r *kgo.Record) { _, _ = w.Write(r.Value) },
	'T': func(w *bufio.Writer, r *kgo.Record) {
		_, _ = w.WriteString(strconv.FormatInt(r.Timestamp.UnixMilli(), 10))
	},
	'd': func(w *bufio.Writer, r *kgo.Record) {
		_, _ = w.WriteString(r.Timestamp.Format("2006-01-02T15:04:05.000Z07:00"))
	},
	's': func(w *bufio.Writer, r *kgo.Record) { _, _ = w.WriteString(strconv.Itoa(len(r.Value))) },
	'h': func(w *bufio.Writer, r *kgo.Record) {
		for i, h := range r.Headers {
			if i > 0 {
				_ = w.WriteByte(',')
			}
			fmt.Fprintf(w, "%s=%s", h.Key, h.Value)
		}
	},
}

var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '0': 0, '\\': '\\'}

// parseFormat reads a format once, so that printing a record parses nothing.
func parseFormat(format string) (printer, error) {
	var parts []printer
	var literal []byte
	text := func() {
		if len(literal) > 0 {
			fixed := literal
			parts = append(parts, func(w *bufio.Writer, _ *kgo.Record) { _, _ = w.Write(fixed) })
			literal = nil
		}
	}
	for i := 0; i < len(format); i++ {
		c := format[i]
		if c != '%' && c != '\\' {
			literal = append(literal, c)
			continue
		}
		if i++; i == len(format) {
			return nil, fmt.Errorf("--format ends in a lone %c", c)
		}
		next := format[i]
		switch {
		case c == '%' && next == '%':
			literal = append(literal, '%')
		case c == '%':
			verb, ok := verbs[next]
			if !ok {
				return nil, fmt.Errorf("--format has %%%c: there are %%t %%p %%o %%k %%v %%h %%T %%d %%s and %%%%", next)
			}
			text()
			parts = append(parts, verb)
		default:
			b, ok := escapes[next]
			if !ok {
				return nil, fmt.Errorf(`--format has \%c: there are \n \t \r \0 and \\`, next)
			}
			literal = append(literal, b)
		}
	}
	text()
	return func(w *bufio.Writer, r *kgo.Record) {
		for _, p := range parts {
			p(w, r)
		}
	}, nil
}
