package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barnabas/coordinator/store"
)

// A file that was cut off or overwritten ended the process with a fault, or with a panic in a goroutine of bbolt's.
func TestADamagedFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	db, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := db.NewSession()
	for i := range 2000 { // several levels of pages
		if _, err := s.Create(t.Context(), fmt.Sprintf("/node-%d", i), make([]byte, 100), store.Persistent); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	overwritten := func(from, to int, with func([]byte)) []byte {
		b := append([]byte{}, whole...)
		with(b[from:min(to, len(b))])
		return b
	}
	noise := func(b []byte) { _, _ = rand.Read(b) }
	zeros := func(b []byte) { clear(b) }
	for name, b := range map[string][]byte{
		"cut within the first page": whole[:page/2],
		"cut behind the meta pages": whole[:2*page],
		"cut to a third":            whole[:len(whole)/3/page*page],
		"zeros":                     overwritten(2*page, len(whole), zeros),
		"noise":                     overwritten(2*page, len(whole), noise),
		"noise everywhere":          overwritten(0, len(whole), noise),
		"no meta pages":             overwritten(0, 2*page, zeros),
		"text":                      []byte(strings.Repeat("this is no store\n", 10_000)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := Open(path, Options{})
			if err == nil {
				_ = db.Close()
			}
			if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v", err)
			}
		})
	}
	for name, b := range map[string][]byte{"whole": whole, "a torn meta page": overwritten(0, page, noise), "empty": nil} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := Open(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
