package checkpoint

import (
	"errors"
	"io/fs"
	"path/filepath"

	"barnabas/storage/vfs"
)

// CleanShutdown is the name of the marker in a log directory that says: everything was flushed and closed.
const CleanShutdown = ".kafka_cleanshutdown"

// WroteCleanly says whether the directory was left by a clean stop.
func WroteCleanly(fsys vfs.FS, dir string) (bool, error) {
	return vfs.Exists(fsys, filepath.Join(dir, CleanShutdown))
}

// MarkClean writes the marker, last of all at a clean stop. Outside KRaft the broker epoch in it is -1.
func MarkClean(fsys vfs.FS, dir string) error {
	return vfs.ReplaceFile(fsys, filepath.Join(dir, CleanShutdown), []byte(`{"version":0,"brokerEpoch":-1}`))
}

// MarkInUse removes the marker, before anything else is written at a start, and makes that durable: a crash from now on
// must not look like a clean stop.
func MarkInUse(fsys vfs.FS, dir string) error {
	err := fsys.Remove(filepath.Join(dir, CleanShutdown))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}
