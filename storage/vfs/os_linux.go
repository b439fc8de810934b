package vfs

import "golang.org/x/sys/unix"

func datasync(fd int) error { return unix.Fdatasync(fd) }

func lock(fd int) error {
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}
