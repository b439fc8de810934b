package vfs

import (
	"errors"
	"math"
	"syscall"
)

// OutOfFiles says that an open failed because the process, or the system, has too many files open: nothing is wrong with
// the disk.
func OutOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// OutOfMaps says that a file could not be mapped because the process has too many mappings (vm.max_map_count) or too little
// room for more: nothing is wrong with the disk.
func OutOfMaps(err error) bool { return errors.Is(err, syscall.ENOMEM) }

// FileLimit is how many files and sockets this process may have open.
func FileLimit() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || l.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(l.Cur)
}
