package storage

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/storage/vfs"
)

// DiskError is a failure of the disk under a log dir. It unwraps to KAFKA_STORAGE_ERROR and to the cause. A log that
// had one refuses everything from then on: what the page cache holds after a failed write or sync is not known. But see
// Passing.
type DiskError struct {
	Dir string // the log dir
	Op  string // what was tried, with the partition's directory
	Err error
}

func (e *DiskError) Error() string {
	return fmt.Sprintf("log dir %s: %s: %v", e.Dir, e.Op, e.Err)
}

// Unwrap makes both errors.As(err, **kerr.Error) and errors.Is(err, syscall.ENOSPC) work.
func (e *DiskError) Unwrap() []error { return []error{kerr.KafkaStorageError, e.Err} }

// Passing says that nothing is wrong with the disk: there were too many open files, or mappings. Only what was asked for is
// refused, and may be asked for again; clients do so upon KAFKA_STORAGE_ERROR.
func (e *DiskError) Passing() bool { return vfs.OutOfFiles(e.Err) || vfs.OutOfMaps(e.Err) }

// isPassing says whether an error is such a DiskError.
func isPassing(err error) bool {
	var d *DiskError
	return errors.As(err, &d) && d.Passing()
}

// errClosed is the answer of a log that was closed or is being deleted. Clients ask for metadata and find its successor.
var errClosed = fmt.Errorf("log is closed: %w", kerr.NotLeaderForPartition)

// fail notes the first disk error and tells the log dir. It may run under the log's locks, see LogOptions.OnDiskError. Too
// many open files are told of and not noted: the caller must leave the log as it was.
func (l *Log) fail(op string, err error) error {
	d := &DiskError{Dir: filepath.Dir(l.dir), Op: op + " in " + filepath.Base(l.dir), Err: err}
	if vfs.OutOfFiles(err) {
		l.files.shortage.tell(l.logger, l.clock, d.Op, err)
		return d
	}
	if !l.failure.CompareAndSwap(nil, d) {
		return l.failure.Load()
	}
	l.logger.Error("disk failed", zap.String("dir", l.dir), zap.String("op", op), zap.Error(err))
	if l.onDiskError != nil {
		l.onDiskError(d)
	}
	return d
}

// Fail takes the log offline because its log dir failed elsewhere. It takes no lock and calls nobody back.
func (l *Log) Fail(d *DiskError) { l.failure.CompareAndSwap(nil, d) }

// Failed is the disk error that took the log offline, or nil.
func (l *Log) Failed() *DiskError { return l.failure.Load() }

// usable says why the log cannot be used any more.
func (l *Log) usable() error {
	if d := l.failure.Load(); d != nil {
		return d
	}
	if l.closed.Load() {
		return errClosed
	}
	return nil
}
