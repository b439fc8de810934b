package embedded

import (
	"bytes"
	"testing"
)

func FuzzParseNode(f *testing.F) {
	f.Add((&node{czxid: 1, mzxid: 2, owner: 3, version: 4, creates: 5, children: 6, data: []byte("x")}).append(nil))
	f.Add((&node{}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := parseNode(b)
		if err != nil {
			return
		}
		again, err := parseNode(n.append(nil))
		if err != nil || again.stat() != n.stat() || !bytes.Equal(again.data, n.data) || (again.data == nil) != (n.data == nil) {
			t.Errorf("%+v, %+v, %v", n, again, err)
		}
	})
}
