package dump

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"barnabas/storage/checkpoint"
	"barnabas/storage/vfs"
)

// maxSmall bounds the files that are read whole, in bytes: indexes and snapshots.
const maxSmall = 1 << 30

// ErrUnknown is a file whose name says nothing about what it is.
var ErrUnknown = errors.New("not a file of a log directory")

// Decoder says how keys and values of records are printed.
type Decoder int

const (
	Text         Decoder = iota // as they are
	Offsets                     // records of __consumer_offsets
	Transactions                // records of __transaction_state
)

// Options of File. The zero value prints batches without their records, and whole indexes.
type Options struct {
	Deep         bool    // the records of each batch
	Data         bool    // and their keys and values
	Decoder      Decoder // other than Text implies Data
	SkipMetadata bool    // of each record only key and value
	MaxBytes     int64   // of a .log file; 0 is all
	SanityOnly   bool    // of an index: only the check at start
	VerifyOnly   bool    // of an index: compare with the log, print no entries

	// Findings gets what is wrong with a file that could still be read; nil is the same writer as the rest.
	Findings io.Writer
}

// File prints one file. An error is a file that cannot be read, or not be understood; what could be is printed before.
func File(w io.Writer, fsys vfs.FS, path string, o Options) error {
	out := bufio.NewWriter(w)
	d := &dumper{w: out, fs: fsys, path: path, Options: o}
	fmt.Fprintf(out, "Dumping %s\n", path)
	err := d.file()
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	if ferr := out.Flush(); ferr != nil {
		return ferr
	}
	findings := o.Findings
	if findings == nil {
		findings = w
	}
	for _, f := range d.findings {
		if _, ferr := fmt.Fprintln(findings, f); ferr != nil {
			return ferr
		}
	}
	return err
}

type dumper struct {
	Options
	w        *bufio.Writer
	fs       vfs.FS
	path     string
	findings []string
}

func (d *dumper) printf(format string, args ...any) { fmt.Fprintf(d.w, format, args...) }

func (d *dumper) found(format string, args ...any) {
	d.findings = append(d.findings, fmt.Sprintf(format, args...))
}

// file chooses by the name, without the suffixes of files on their way out or in.
func (d *dumper) file() error {
	name := filepath.Base(d.path)
	for _, s := range []string{".deleted", ".cleaned", ".swap", ".tmp"} {
		name = strings.TrimSuffix(name, s)
	}
	switch name {
	case checkpoint.RecoveryPoints, checkpoint.HighWatermarks, checkpoint.LogStarts, checkpoint.FirstDirty:
		return d.offsets()
	case checkpoint.LeaderEpochs:
		return d.epochs()
	case checkpoint.PartitionMetadata:
		return d.partition()
	case checkpoint.MetaProperties:
		return d.meta()
	case checkpoint.CleanShutdown:
		return d.marker()
	}
	base, suffix, _ := strings.Cut(name, ".")
	offset, err := strconv.ParseInt(base, 10, 64)
	if err != nil || offset < 0 {
		return ErrUnknown
	}
	switch suffix {
	case "log":
		return d.log(offset)
	case "index":
		return d.offsetIndex(offset)
	case "timeindex":
		return d.timeIndex(offset)
	case "txnindex":
		return d.txnIndex(offset)
	case "snapshot":
		return d.snapshot()
	}
	return ErrUnknown
}

// sibling is another file of the same segment.
func (d *dumper) sibling(suffix string) string {
	dir, name := filepath.Split(d.path)
	base, _, _ := strings.Cut(name, ".")
	return dir + base + suffix
}

func (d *dumper) readAll() ([]byte, error) { return vfs.ReadFile(d.fs, d.path, maxSmall) }
