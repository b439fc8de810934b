package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// appendString appends s as Jackson writes it: only quote, backslash and control characters are escaped, all else is
// UTF-8. encoding/json would also escape <, >, & and two line separators.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// appendField appends `"name":` with a comma before it unless it opens the object.
func appendField(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = appendString(dst, name)
	return append(dst, ':')
}

func appendIntField(dst []byte, name string, v int64) []byte {
	return strconv.AppendInt(appendField(dst, name), v, 10)
}

func appendStringField(dst []byte, name, v string) []byte {
	return appendString(appendField(dst, name), v)
}

func appendInts(dst []byte, ids []int32) []byte {
	dst = append(dst, '[')
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	return append(dst, ']')
}

// decode parses the JSON of a node into v; what names the node's kind in the error.
func decode(what string, data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: not the expected JSON: %w: %.200q", what, err, data)
	}
	return nil
}

// missing is the error of a node that lacks a key that it must have.
func missing(what, key string, data []byte) error {
	return fmt.Errorf("%s: no %q in %.200q", what, key, data)
}
