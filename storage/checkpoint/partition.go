package checkpoint

import (
	"encoding/base64"
	"fmt"
	"strings"

	"barnabas/storage/vfs"
)

// PartitionMetadata is the name of the file in a replica's directory that ties it to a topic id.
const PartitionMetadata = "partition.metadata"

// EncodePartition is the file; 43 bytes, no newline at the end.
func EncodePartition(topicID [16]byte) []byte {
	return fmt.Appendf(nil, "version: 0\ntopic_id: %s", base64.RawURLEncoding.EncodeToString(topicID[:]))
}

// DecodePartition reads the file. Errors wrap ErrMalformed; the zero id is one.
func DecodePartition(text []byte) (id [16]byte, err error) {
	head, rest, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	if v, ok := field(head, "version"); !ok || v != "0" {
		return id, fmt.Errorf("version line %.80q: %w", head, ErrMalformed)
	}
	line, rest, _ := strings.Cut(rest, "\n")
	text22, ok := field(line, "topic_id")
	b, err := base64.RawURLEncoding.Strict().DecodeString(text22)
	if !ok || err != nil || len(b) != len(id) || strings.TrimSpace(rest) != "" {
		return id, fmt.Errorf("topic id line %.80q: %w", line, ErrMalformed)
	}
	copy(id[:], b)
	if id == ([16]byte{}) {
		return id, fmt.Errorf("the topic id is zero: %w", ErrMalformed)
	}
	return id, nil
}

func field(line, key string) (string, bool) {
	k, v, ok := strings.Cut(line, ":")
	return strings.TrimSpace(v), ok && k == key
}

// ReadPartition reads partition.metadata; found is false when there is none.
func ReadPartition(fsys vfs.FS, name string) (id [16]byte, found bool, err error) {
	b, err := read(fsys, name)
	if b == nil || err != nil {
		return id, false, err
	}
	id, err = DecodePartition(b)
	return id, err == nil, named(name, err)
}

// WritePartition replaces partition.metadata; it is durable on return.
func WritePartition(fsys vfs.FS, name string, topicID [16]byte) error {
	return vfs.ReplaceFile(fsys, name, EncodePartition(topicID))
}
