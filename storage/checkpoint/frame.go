package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"barnabas/storage/vfs"
)

// version is the only version of a checkpoint.
const version = 0

// maxFile bounds what is read into memory, in bytes: a checkpoint of a million partitions with the longest names.
const maxFile = 256 << 20

// ErrMalformed is a file that cannot be understood.
var ErrMalformed = errors.New("malformed")

// encode is the frame of every checkpoint: version, number of entries, one line each.
func encode(lines int, line func(b *bytes.Buffer, i int)) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n%d\n", version, lines)
	for i := range lines {
		line(&b, i)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// decode calls line with the fields of each entry.
func decode(text []byte, fields int, line func(f []string) error) error {
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), "\n")
	if lines[0] == "" && len(lines) == 1 {
		return nil
	}
	if v, err := strconv.ParseInt(lines[0], 10, 32); err != nil || v != version {
		return fmt.Errorf("version %.40q: %w", lines[0], ErrMalformed)
	}
	if len(lines) == 1 {
		return nil
	}
	want, err := strconv.ParseInt(lines[1], 10, 32)
	if err != nil {
		return fmt.Errorf("number of entries %.40q: %w", lines[1], ErrMalformed)
	}
	for _, l := range lines[2:] {
		f := strings.Fields(l)
		if len(f) != fields {
			return fmt.Errorf("line %.200q: %w", l, ErrMalformed)
		}
		if err := line(f); err != nil {
			return fmt.Errorf("line %.200q: %w", l, ErrMalformed)
		}
	}
	if got := int64(len(lines) - 2); got != want {
		return fmt.Errorf("%d entries where the second line says %d: %w", got, want, ErrMalformed)
	}
	return nil
}

// read is the content of a file; nil when there is none.
func read(fsys vfs.FS, name string) ([]byte, error) {
	b, err := vfs.ReadFile(fsys, name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

func named(name string, err error) error {
	if err != nil && errors.Is(err, ErrMalformed) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}
