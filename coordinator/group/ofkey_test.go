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
		{"an epoch of a consumer group", []byte{0, 3, 0, 1, 'g'}, "g", true},
		{"a member of a consumer group", []byte{0, 5, 0, 1, 'g', 0, 1, 'm'}, "g", true},
		{"a regular expression", []byte{0, 16, 0, 1, 'g', 0, 1, '.'}, "g", true},
		{"a member that is cut", []byte{0, 5, 0, 1, 'g', 0, 9, 'm'}, "", false},
		{"a later protocol", []byte{0, 9, 0, 1, 'g'}, "", false},
		{"a negative version", []byte{0xff, 0xff, 0, 1, 'g'}, "", false},
		{"no version", []byte{0}, "", false},
		{"a group that is cut", []byte{0, 2, 0, 9, 'g'}, "", false},
	} {
		if got, ok := OfKey(c.key); ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %q, %v", c.name, got, ok)
		}
	}
}
