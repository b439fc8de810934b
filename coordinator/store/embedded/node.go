package embedded

import (
	"encoding/binary"
	"errors"

	"barnabas/coordinator/store"
)

// node is one node of the tree. Nodes that have been published are never edited.
type node struct {
	czxid, mzxid, pzxid int64
	ctime, mtime        int64 // ms since 1970
	owner               int64 // session of an ephemeral node, else 0
	version             int32
	creates             int32 // children that were ever made here: the source of sequence numbers
	children            int32 // children that are here now
	data                []byte
}

func (n *node) stat() store.Stat {
	return store.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Cversion: 2*n.creates - n.children, Owner: n.owner, NumChildren: n.children,
	}
}

// A node in the file: format (1), whether its data is null (0) or there (1), the fields big-endian, the data.
const (
	nodeFormat = 1
	nodeHeader = 2 + 6*8 + 3*4
)

var errNode = errors.New("a node of the store file is damaged or of a later version")

func (n *node) append(b []byte) []byte {
	b = append(b, nodeFormat, 0)
	if n.data != nil {
		b[len(b)-1] = 1
	}
	for _, v := range [...]int64{n.czxid, n.mzxid, n.pzxid, n.ctime, n.mtime, n.owner} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	for _, v := range [...]int32{n.version, n.creates, n.children} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return append(b, n.data...)
}

// parseNode copies what it takes out of b.
func parseNode(b []byte) (*node, error) {
	if len(b) < nodeHeader || b[0] != nodeFormat {
		return nil, errNode
	}
	n := &node{}
	null := b[1] == 0
	b = b[2:]
	for _, v := range [...]*int64{&n.czxid, &n.mzxid, &n.pzxid, &n.ctime, &n.mtime, &n.owner} {
		*v = int64(binary.BigEndian.Uint64(b))
		b = b[8:]
	}
	for _, v := range [...]*int32{&n.version, &n.creates, &n.children} {
		*v = int32(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if !null {
		n.data = append([]byte{}, b...)
	}
	return n, nil
}
