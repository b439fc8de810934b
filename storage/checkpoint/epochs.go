package checkpoint

import (
	"bytes"
	"strconv"

	"barnabas/storage/epochs"
	"barnabas/storage/vfs"
)

// LeaderEpochs is the name of the leader epoch checkpoint in a replica's directory.
const LeaderEpochs = "leader-epoch-checkpoint"

// EncodeEpochs is the file, entries as they come.
func EncodeEpochs(es []epochs.Entry) []byte {
	return encode(len(es), func(b *bytes.Buffer, i int) {
		b.WriteString(strconv.Itoa(int(es[i].Epoch)))
		b.WriteByte(' ')
		b.WriteString(strconv.FormatInt(es[i].Start, 10))
	})
}

// DecodeEpochs reads the file. Errors wrap ErrMalformed.
func DecodeEpochs(text []byte) ([]epochs.Entry, error) {
	var es []epochs.Entry
	err := decode(text, 2, func(f []string) error {
		epoch, err := strconv.ParseInt(f[0], 10, 32)
		if err != nil {
			return err
		}
		start, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return err
		}
		es = append(es, epochs.Entry{Epoch: int32(epoch), Start: start})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return es, nil
}

// ReadEpochs reads a leader epoch checkpoint; a missing file has no entries.
func ReadEpochs(fsys vfs.FS, name string) ([]epochs.Entry, error) {
	b, err := read(fsys, name)
	if err != nil {
		return nil, err
	}
	es, err := DecodeEpochs(b)
	return es, named(name, err)
}

// WriteEpochs replaces a leader epoch checkpoint; it is durable on return.
func WriteEpochs(fsys vfs.FS, name string, es []epochs.Entry) error {
	return vfs.ReplaceFile(fsys, name, EncodeEpochs(es))
}
