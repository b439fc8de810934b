package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"barnabas/coordinator/store"
)

// The file has three buckets. In nodes the key is the parent's path, a NUL, and the name, so that the children of a node
// lie together in the order of their names; the root's key is a lone NUL. ephemerals has the paths of ephemeral nodes, so
// that Open finds them. meta has the numbers.
var (
	nodesBucket      = []byte("nodes")
	ephemeralsBucket = []byte("ephemerals")
	metaBucket       = []byte("meta")
	zxidKey          = []byte("zxid")
	openingKey       = []byte("opening")
)

// maxPath keeps keys below bbolt's limit of 32 KiB.
const maxPath = 32_000

type boltFile struct{ db *bbolt.DB }

// lockPatience is how long the lock on the file may take.
const lockPatience = time.Second

func openBolt(path string) (*boltFile, error) {
	var db *bbolt.DB
	err := checkSound(path)
	if err == nil {
		db, err = openSound(path)
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("store %s: another process has it open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		db.Close()
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	return &boltFile{db}, nil
}

// openSound opens a file for which checkSound is nil.
func openSound(path string) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         lockPatience,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: 1 << 20,
		NoStatistics:    true,
	})
}

// syncDir makes the file's name as durable as its content.
func syncDir(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsync(fd)
}

func (f *boltFile) close() error { return f.db.Close() }

func (f *boltFile) start() (opening, zxid int64, ephemerals []string, err error) {
	err = f.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{nodesBucket, ephemeralsBucket, metaBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		nodes, meta := tx.Bucket(nodesBucket), tx.Bucket(metaBucket)
		if nodes.Get(nodeKey("/")) == nil {
			if err := nodes.Put(nodeKey("/"), (&node{}).append(nil)); err != nil {
				return err
			}
		}
		opening, zxid = number(meta.Get(openingKey))+1, number(meta.Get(zxidKey))
		if err := meta.Put(openingKey, binary.BigEndian.AppendUint64(nil, uint64(opening))); err != nil {
			return err
		}
		return tx.Bucket(ephemeralsBucket).ForEach(func(path, _ []byte) error {
			ephemerals = append(ephemerals, string(path))
			return nil
		})
	})
	return opening, zxid, ephemerals, err
}

func (f *boltFile) read(do func(view) error) error {
	return f.db.View(func(tx *bbolt.Tx) error { return do(boltView{tx.Bucket(nodesBucket)}) })
}

func (f *boltFile) commit(changes map[string]*node, zxid int64) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		nodes, ephemerals := tx.Bucket(nodesBucket), tx.Bucket(ephemeralsBucket)
		for path, n := range changes {
			key := nodeKey(path)
			if n == nil {
				if err := errors.Join(nodes.Delete(key), ephemerals.Delete([]byte(path))); err != nil {
					return err
				}
				continue
			}
			if err := nodes.Put(key, n.append(nil)); err != nil {
				return err
			}
			if n.owner != 0 {
				if err := ephemerals.Put([]byte(path), nil); err != nil {
					return err
				}
			}
		}
		return tx.Bucket(metaBucket).Put(zxidKey, binary.BigEndian.AppendUint64(nil, uint64(zxid)))
	})
}

type boltView struct{ nodes *bbolt.Bucket }

func (v boltView) node(path string) (*node, error) {
	b := v.nodes.Get(nodeKey(path))
	if b == nil {
		return nil, nil
	}
	return parseNode(b)
}

func (v boltView) children(path string) (names []string) {
	prefix := append([]byte(path), 0)
	c := v.nodes.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		names = append(names, string(k[len(prefix):]))
	}
	return names
}

func nodeKey(path string) []byte {
	if path == "/" {
		return []byte{0}
	}
	key := append(make([]byte, 0, len(path)+1), store.Parent(path)...)
	return append(append(key, 0), store.Name(path)...)
}

// number reads what meta holds; 0 when there is nothing yet.
func number(b []byte) int64 {
	if len(b) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}
