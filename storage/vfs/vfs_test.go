package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"barnabas/storage/vfs"
)

// Both implementations must behave alike in all that storage asks of them.
func TestContract(t *testing.T) {
	for name, fsys := range map[string]vfs.FS{"os": vfs.OS, "mem": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b")
			must(t, fsys.MkdirAll(dir))
			must(t, fsys.MkdirAll(dir))
			file := filepath.Join(dir, "f")

			_, err := fsys.Open(file)
			wantErr(t, err, fs.ErrNotExist)
			f, err := fsys.Create(file)
			must(t, err)
			_, err = f.WriteAt([]byte("hello"), 3)
			must(t, err)
			must(t, f.Sync())
			must(t, fsys.SyncDir(dir))
			wantBytes(t, fsys, file, "\x00\x00\x00hello")
			b := make([]byte, 10)
			n, err := f.ReadAt(b, 4)
			if n != 4 || err != io.EOF || string(b[:n]) != "ello" {
				t.Fatalf("read %q %v", b[:n], err)
			}
			_, err = f.ReadAt(b, 100)
			wantErr(t, err, io.EOF)

			m, err := f.Map(8, true)
			must(t, err)
			must(t, m.View(func(b []byte) error {
				if string(b) != "\x00\x00\x00hello" {
					t.Errorf("mapped %q", b)
				}
				return nil
			}))
			wantErr(t, m.View(func([]byte) error { return io.ErrNoProgress }), io.ErrNoProgress)
			must(t, m.Close())
			_, err = f.Map(0, false)
			if err == nil {
				t.Error("an empty mapping was made")
			}

			must(t, f.Truncate(4))
			must(t, f.Truncate(6))
			wantBytes(t, fsys, file, "\x00\x00\x00h\x00\x00")
			must(t, fsys.Remove(file))
			wantErr(t, fsys.Remove(file), fs.ErrNotExist)
			if n, err := f.ReadAt(b[:4], 0); n != 4 || err != nil {
				t.Errorf("an open file must outlive its name: %d %v", n, err)
			}
			must(t, f.Close())
			wantErr(t, f.Close(), fs.ErrClosed)

			must(t, vfs.ReplaceFile(fsys, file, []byte("one")))
			must(t, vfs.ReplaceFile(fsys, file, []byte("two")))
			wantBytes(t, fsys, file, "two")
			_, err = vfs.ReadFile(fsys, file, 2)
			if err == nil {
				t.Error("read past the limit")
			}
			at := time.UnixMilli(1700000000000)
			must(t, fsys.SetModTime(file, at))
			st, err := fsys.Stat(file)
			must(t, err)
			if st.Size != 3 || st.Dir || !st.ModTime.Equal(at) || st.Name != "f" {
				t.Errorf("stat %+v", st)
			}
			must(t, fsys.Rename(file, file+".deleted"))
			infos, err := fsys.ReadDir(dir)
			must(t, err)
			if len(infos) != 1 || infos[0].Name != "f.deleted" {
				t.Errorf("listed %+v", infos)
			}

			lock := filepath.Join(dir, ".lock")
			held, err := fsys.Lock(lock)
			must(t, err)
			_, err = fsys.Lock(lock)
			wantErr(t, err, vfs.ErrLocked)
			must(t, held.Close())
			held, err = fsys.Lock(lock)
			must(t, err)
			must(t, held.Close())

			space, err := fsys.FreeSpace(dir)
			must(t, err)
			if space.Total <= 0 || space.Usable > space.Total {
				t.Errorf("space %+v", space)
			}
			must(t, fsys.RemoveAll(filepath.Dir(dir)))
			must(t, fsys.RemoveAll(filepath.Dir(dir)))
			ok, err := vfs.Exists(fsys, dir)
			if ok || err != nil {
				t.Errorf("exists %v %v", ok, err)
			}
		})
	}
}

// A mapping of a file that was cut must not kill the process.
func TestFaultOfMapping(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	must(t, vfs.WriteFile(vfs.OS, file, make([]byte, 3*65536)))
	f, err := vfs.OS.OpenFile(file)
	must(t, err)
	m, err := f.Map(3*65536, false)
	must(t, err)
	must(t, f.Truncate(0))
	sum := byte(0)
	wantErr(t, m.View(func(b []byte) error { sum += b[2*65536]; return nil }), vfs.ErrFault)
	must(t, m.Close())
	must(t, f.Close())
}

func TestCrashClone(t *testing.T) {
	m := vfs.NewMem()
	must(t, m.MkdirAll("/d"))
	f, err := m.Create("/d/f")
	must(t, err)
	write := func(s string, off int64) {
		t.Helper()
		_, err := f.WriteAt([]byte(s), off)
		must(t, err)
	}
	write("durable", 0)
	must(t, f.Sync())
	if ok, _ := vfs.Exists(m.CrashClone(vfs.Crash{}), "/d"); ok {
		t.Error("a directory whose parent was not synced survived")
	}
	must(t, m.SyncDir("/"))
	if ok, _ := vfs.Exists(m.CrashClone(vfs.Crash{}), "/d/f"); ok {
		t.Error("a file whose directory was not synced survived")
	}
	must(t, m.SyncDir("/d"))
	write("+more", 7)
	must(t, vfs.WriteFile(m, "/d/g", []byte("g")))
	wantBytes(t, m.CrashClone(vfs.Crash{}), "/d/f", "durable")
	wantBytes(t, m.CrashClone(vfs.Crash{Process: true}), "/d/f", "durable+more")
	wantBytes(t, m.CrashClone(vfs.Crash{Process: true}), "/d/g", "g")
	for seed := range uint64(20) {
		c := m.CrashClone(vfs.Crash{Rand: rand.New(rand.NewPCG(seed, 0))})
		if ok, _ := vfs.Exists(c, "/d/f"); !ok {
			t.Fatal("a durable name was lost")
		}
		b, err := vfs.ReadFile(c, "/d/f", 100)
		must(t, err)
		if len(b) < 7 || !bytes.HasPrefix([]byte("durable+more"), b) {
			t.Errorf("torn to %q", b)
		}
	}
	must(t, m.Rename("/d/g", "/d/f"))
	wantBytes(t, m.CrashClone(vfs.Crash{}), "/d/f", "durable")
	wantBytes(t, m, "/d/f", "g")
}

func TestFaults(t *testing.T) {
	fsys := vfs.WithFaults(vfs.NewMem(),
		vfs.Rule{Op: vfs.OpWrite, Glob: "*.log", Nth: 2, Then: true, Err: syscall.ENOSPC, Short: 2},
		vfs.Rule{Op: vfs.OpSync, Nth: 1, Err: syscall.EIO})
	f, err := fsys.Create("/1.log")
	must(t, err)
	n, err := f.WriteAt([]byte("abc"), 0)
	if n != 3 || err != nil {
		t.Fatal(n, err)
	}
	for range 2 {
		n, err = f.WriteAt([]byte("def"), 3)
		if n != 2 {
			t.Errorf("wrote %d", n)
		}
		wantErr(t, err, syscall.ENOSPC)
	}
	wantErr(t, f.Sync(), syscall.EIO)
	must(t, f.Sync())
	must(t, vfs.WriteFile(fsys, "/x", []byte("y")))
	must(t, f.Close())
	wantBytes(t, fsys, "/1.log", "abcde")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func wantBytes(t *testing.T, fsys vfs.FS, name, want string) {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name, 1000)
	must(t, err)
	if string(b) != want {
		t.Errorf("%s holds %q, want %q", name, b, want)
	}
}
