package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf16"
)

// maxPropertiesSize bounds a properties file; real ones have some kilobytes.
const maxPropertiesSize = 8 << 20

// LoadProperties reads a Java properties file.
func LoadProperties(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	defer f.Close()
	props, err := ReadProperties(f)
	if err != nil {
		return nil, fmt.Errorf("settings: %s: %w", path, err)
	}
	return props, nil
}

// ReadProperties reads the format of java.util.Properties: ISO-8859-1 bytes, \uXXXX for the rest, "key=value",
// "key:value" or "key value", comments with # or !, a backslash at the end of a line continues it. A key given twice has
// its last value. The only errors are those of the reader, a \u without four hexadecimal digits, and a file too large.
//
// Our own reader and not a library's: those at hand turn surrogate pairs into garbage, treat ${} as their own, or read
// UTF-8, and a setting that reads differently than in Kafka is a broker that behaves differently.
func ReadProperties(r io.Reader) (map[string]string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPropertiesSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPropertiesSize {
		return nil, fmt.Errorf("larger than %d bytes: not a properties file", maxPropertiesSize)
	}
	props := map[string]string{}
	lines := lineReader{rest: data}
	for {
		line, number, ok := lines.logical()
		if !ok {
			return props, nil
		}
		key, value := splitPair(line)
		k, err := unescape(key)
		if err == nil {
			var v string
			if v, err = unescape(value); err == nil {
				props[k] = v
				continue
			}
		}
		return nil, fmt.Errorf("line %d: %w", number, err)
	}
}

// lineReader gives logical lines: comments and blank lines dropped, continuations joined, leading white space gone.
type lineReader struct {
	rest   []byte
	number int // of the last natural line read, from 1
}

func (l *lineReader) natural() ([]byte, bool) {
	if len(l.rest) == 0 {
		return nil, false
	}
	l.number++
	end := 0
	for end < len(l.rest) && l.rest[end] != '\n' && l.rest[end] != '\r' {
		end++
	}
	line := l.rest[:end]
	switch {
	case end+1 < len(l.rest) && l.rest[end] == '\r' && l.rest[end+1] == '\n':
		l.rest = l.rest[end+2:]
	case end < len(l.rest):
		l.rest = l.rest[end+1:]
	default:
		l.rest = nil
	}
	return line, true
}

// logical gives the next logical line and the number of its first natural line.
func (l *lineReader) logical() (line []byte, number int, ok bool) {
	for {
		first, more := l.natural()
		if !more {
			return nil, 0, false
		}
		first = trimLeft(first)
		if len(first) == 0 || first[0] == '#' || first[0] == '!' {
			continue
		}
		number = l.number
		line = first
		joined := false
		for continues(line) {
			line = line[:len(line)-1]
			next, more := l.natural()
			if !more {
				break
			}
			if !joined { // copy before the first join: natural lines alias the file's bytes
				line, joined = append([]byte(nil), line...), true
			}
			line = append(line, trimLeft(next)...)
		}
		if len(line) == 0 {
			continue
		}
		return line, number, true
	}
}

func trimLeft(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\f' }

// continues says whether a line ends in an odd number of backslashes.
func continues(line []byte) bool {
	n := 0
	for n < len(line) && line[len(line)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// splitPair cuts at the first unescaped separator: white space, with at most one = or : in it.
func splitPair(line []byte) (key, value []byte) {
	end := 0
	for end < len(line) && line[end] != '=' && line[end] != ':' && !isBlank(line[end]) {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(line))
	value = trimLeft(line[end:])
	if len(value) > 0 && (value[0] == '=' || value[0] == ':') {
		value = trimLeft(value[1:])
	}
	return line[:end], value
}

// unescape resolves backslashes and turns ISO-8859-1 into UTF-8. Two \u escapes that are a surrogate pair become one
// character; half a pair becomes U+FFFD, which no setting can use.
func unescape(b []byte) (string, error) {
	units := make([]uint16, 0, len(b))
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c != '\\' {
			units = append(units, uint16(c))
			continue
		}
		if i++; i == len(b) {
			break // a lone backslash at the end of the file
		}
		switch b[i] {
		case 'u':
			if i+4 >= len(b) {
				return "", errEscape
			}
			var u uint16
			for _, h := range b[i+1 : i+5] {
				d, ok := hexDigit(h)
				if !ok {
					return "", errEscape
				}
				u = u<<4 | d
			}
			units = append(units, u)
			i += 4
		case 't':
			units = append(units, '\t')
		case 'n':
			units = append(units, '\n')
		case 'r':
			units = append(units, '\r')
		case 'f':
			units = append(units, '\f')
		default:
			units = append(units, uint16(b[i]))
		}
	}
	return string(utf16.Decode(units)), nil
}

var errEscape = errors.New(`\u without four hexadecimal digits`)

func hexDigit(c byte) (uint16, bool) {
	switch {
	case c >= '0' && c <= '9':
		return uint16(c - '0'), true
	case c >= 'a' && c <= 'f':
		return uint16(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return uint16(c-'A') + 10, true
	}
	return 0, false
}

// ParseOverride splits a key=value of the command line.
func ParseOverride(text string) (key, value string, err error) {
	key, value, ok := strings.Cut(text, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		return "", "", fmt.Errorf("override %q is not of the form key=value", text)
	}
	return key, strings.TrimSpace(value), nil
}
