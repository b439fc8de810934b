package embedded

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// errDamaged says that the file is not what bbolt left, and what can be done.
var errDamaged = errors.New("the file is damaged: put a copy of it in its place; or move it away to begin without it, " +
	"and the topics that lie in the log dirs are taken in, without their settings")

// checkSound reads the keys of the file, if there is one. bbolt trusts what it maps: a page that was cut off or overwritten ends
// the process with nothing but a stack when bbolt opens the file for writing, in a goroutine of bbolt's own.
func checkSound(path string) (err error) {
	var info unix.Stat_t
	if unix.Stat(path, &info) != nil || info.Mode&unix.S_IFMT != unix.S_IFREG || info.Size == 0 {
		return nil // it will be made, or opening it says best what is wrong
	}
	if info.Size < 2*int64(unix.Getpagesize()) {
		return fmt.Errorf("%w (%d bytes)", errDamaged, info.Size)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockPatience, ReadOnly: true})
	if errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrVersionMismatch) || errors.Is(err, bolterrors.ErrChecksum) {
		return fmt.Errorf("%w (%w)", errDamaged, err)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var tx *bbolt.Tx
	defer func() {
		if why := recover(); why != nil {
			_ = tx.Rollback()
			if _, fault := why.(runtime.Error); fault {
				why = "a part of it is missing"
			}
			err = fmt.Errorf("%w (%v)", errDamaged, why)
		}
	}()
	if tx, err = db.Begin(false); err != nil {
		return err
	}
	if tx.Size() > info.Size {
		_ = tx.Rollback()
		return fmt.Errorf("%w (%d bytes of %d)", errDamaged, info.Size, tx.Size())
	}
	err = tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
		return b.ForEach(func(_, _ []byte) error { return nil })
	})
	return errors.Join(err, tx.Rollback())
}
