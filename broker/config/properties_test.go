package config

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/magiconair/properties"
)

func TestReadProperties(t *testing.T) {
	for _, c := range []struct {
		what, text string
		want       map[string]string
	}{
		{"separators", "a=1\nb:2\nc 3\nd = 4\ne\t:\f5\nf==6\ng= :7\nh", map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "=6", "g": ":7", "h": ""}},
		{"comments", "# a=1\n  ! b=2\nc=3 # not a comment\n\n   \n", map[string]string{"c": "3 # not a comment"}},
		{"continuation", "a=1,\\\n   2,\\\r\n\t3\nb=x\\\\\nc=y\\\\\\\n z", map[string]string{"a": "1,2,3", "b": `x\`, "c": `y\z`}},
		{"a comment goes on no line", "# a \\\nb=2", map[string]string{"b": "2"}},
		{"a continuation hides a comment", "a=1\\\n#b=2", map[string]string{"a": "1#b=2"}},
		{"line ends", "a=1\rb=2\r\nc=3", map[string]string{"a": "1", "b": "2", "c": "3"}},
		{"escapes", `a\ b\=c\:d=\t\n\r\f\q\ x`, map[string]string{"a b=c:d": "\t\n\r\fq x"}},
		{"unicode", `a=\u00fc\u20AC\ud83d\ude00`, map[string]string{"a": "ü€😀"}},
		{"half a surrogate pair", `a=\ud83dx`, map[string]string{"a": "\uFFFDx"}},
		{"latin 1", "a=\xfc", map[string]string{"a": "ü"}},
		{"UTF-8 is not understood, as in Java", "a=ü", map[string]string{"a": "Ã¼"}},
		{"trailing white space stays", "a=1 \t", map[string]string{"a": "1 \t"}},
		{"the last one counts", "a=1\na=2", map[string]string{"a": "2"}},
		{"a backslash at the end", "a=1\\", map[string]string{"a": "1"}},
		{"nothing but a backslash", "\\", map[string]string{}},
		{"no key", "=1", map[string]string{"": "1"}},
		{"empty", "", map[string]string{}},
	} {
		got, err := ReadProperties(strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
	for _, bad := range []string{`a=\u`, `a=\u12g4`, "a=1\nb\\u1=2"} {
		if got, err := ReadProperties(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
	if _, err := ReadProperties(bytes.NewReader(make([]byte, maxPropertiesSize+1))); err == nil {
		t.Error("no limit on the size of a file")
	}
}

// FuzzProperties reads anything without a panic, and what was read survives being written and read again. On plain text
// (no escapes, no bytes above ASCII, no lone carriage returns or form feeds) a library reads the same.
func FuzzProperties(f *testing.F) {
	f.Add([]byte("a=1\n# c\nb : 2\\\n 3\n"))
	f.Add([]byte("k\\ ey=\\u00e4\xfc\r\nx"))
	f.Add([]byte("\\\\\\\n\\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		props, err := ReadProperties(bytes.NewReader(data))
		if err != nil {
			return
		}
		var out bytes.Buffer
		for _, k := range slices.Sorted(maps.Keys(props)) {
			fmt.Fprintf(&out, "%s=%s\n", escaped(k), escaped(props[k]))
		}
		again, err := ReadProperties(&out)
		if err != nil {
			t.Fatalf("%q: %v", out.String(), err)
		}
		if diff := cmp.Diff(props, again); diff != "" {
			t.Fatalf("written and read again: %s", diff)
		}
		if bytes.ContainsFunc(data, func(r rune) bool {
			return r == '\\' || r == '\r' || r == '\f' || r < ' ' && r != '\n' && r != '\t' || r > '~'
		}) {
			return
		}
		loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
		theirs, err := loader.LoadBytes(data)
		if err != nil {
			return
		}
		if _, unnamed := props[""]; unnamed {
			return // "=1" has no key there
		}
		if diff := cmp.Diff(theirs.Map(), props); diff != "" {
			t.Fatalf("a library reads %q otherwise: %s", data, diff)
		}
	})
}

// escaped writes every character as \uXXXX.
func escaped(text string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(text)) {
		fmt.Fprintf(&b, `\u%04x`, u)
	}
	return b.String()
}
