package peers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Cache is the folder in which the set-up scripts keep the peers: $BARNABAS_CACHE, else barnabas-peers in the user's cache.
func Cache() string {
	if dir := os.Getenv("BARNABAS_CACHE"); dir != "" {
		return dir
	}
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		base = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(base, "barnabas-peers")
}

// Root is the folder of the repository.
func Root() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(here)))
}

// Installed returns the path of a thing in the cache, or an error that names the command which installs it.
func Installed(name ...string) (string, error) {
	path := filepath.Join(append([]string{Cache()}, name...)...)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s is not installed: run make peers", path)
	} else if err != nil {
		return "", err
	}
	return path, nil
}
