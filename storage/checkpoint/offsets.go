package checkpoint

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strconv"

	"barnabas/storage/vfs"
)

// Names of the offset checkpoints in a log directory.
const (
	RecoveryPoints = "recovery-point-offset-checkpoint"
	HighWatermarks = "replication-offset-checkpoint"
	LogStarts      = "log-start-offset-checkpoint"
	FirstDirty     = "cleaner-offset-checkpoint"
)

// Partition names a replica.
type Partition struct {
	Topic string
	ID    int32
}

// String is the name of the replica's directory.
func (p Partition) String() string { return p.Topic + "-" + strconv.Itoa(int(p.ID)) }

// Compare orders by topic, then id.
func (p Partition) Compare(q Partition) int {
	return cmp.Or(cmp.Compare(p.Topic, q.Topic), cmp.Compare(p.ID, q.ID))
}

// Offsets is the content of an offset checkpoint.
type Offsets map[Partition]int64

// EncodeOffsets is the file, entries in the order of the partitions.
func EncodeOffsets(o Offsets) []byte {
	ps := slices.SortedFunc(maps.Keys(o), Partition.Compare)
	return encode(len(ps), func(b *bytes.Buffer, i int) {
		b.WriteString(ps[i].Topic)
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(int(ps[i].ID)))
		b.WriteByte(' ')
		b.WriteString(strconv.FormatInt(o[ps[i]], 10))
	})
}

// DecodeOffsets reads the file. Of two lines for a partition the later counts. Errors wrap ErrMalformed.
func DecodeOffsets(text []byte) (Offsets, error) {
	o := Offsets{}
	err := decode(text, 3, func(f []string) error {
		id, err := strconv.ParseInt(f[1], 10, 32)
		if err != nil {
			return err
		}
		at, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return err
		}
		o[Partition{Topic: f[0], ID: int32(id)}] = at
		return nil
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// ReadOffsets reads an offset checkpoint; a missing file has no entries.
func ReadOffsets(fsys vfs.FS, name string) (Offsets, error) {
	b, err := read(fsys, name)
	if err != nil {
		return nil, err
	}
	o, err := DecodeOffsets(b)
	return o, named(name, err)
}

// WriteOffsets replaces an offset checkpoint; it is durable on return.
func WriteOffsets(fsys vfs.FS, name string, o Offsets) error {
	return vfs.ReplaceFile(fsys, name, EncodeOffsets(o))
}
