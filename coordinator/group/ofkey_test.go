package group

import "testing"

func TestOfKey(t *testing.T) {
	for _, c := range []struct {
		name string
		key  []byte
		want string
		ok   bool
	}{
		{"an offset", offsetKey("g", "t", 3), "g", true},
		{"a group", groupKey("g"), "g", true},
		{"a later protocol", []byte{0, 3, 0, 1, 'g'}, "", false},
		{"a negative version", []byte{0xff, 0xff, 0, 1, 'g'}, "", false},
		{"no version", []byte{0}, "", false},
		{"a group that is cut", []byte{0, 2, 0, 9, 'g'}, "", false},
	} {
		if got, ok := OfKey(c.key); ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %q, %v", c.name, got, ok)
		}
	}
}
