package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"barnabas/broker"
	"barnabas/broker/config"
	"barnabas/storage/vfs"
)

// descriptors is how many files and sockets this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// filled makes log dirs with a topic and a group in them, as a clean stop leaves them.
func filled(t *testing.T, dirs ...string) *config.Static {
	t.Helper()
	static, err := config.NewStatic(map[string]string{
		"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": strings.Join(dirs, ","), "group.initial.rebalance.delay.ms": "0",
		"offsets.topic.num.partitions": "2", "num.partitions": "4",
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(t.Context(), broker.Options{Config: static})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(t.Context())
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.AllowAutoTopicCreation(), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := c.CommitRecords(t.Context(), c.PollFetches(t.Context()).Records()...); err != nil {
		t.Fatal(err)
	}
	return static
}

// A broker leaves no goroutine, descriptor or lock behind, whether it was started in full or its start failed at any of
// its disk operations, and the next start is as good as new.
func TestNothingIsLeftOfABrokerThatHasStopped(t *testing.T) {
	for _, dirs := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d log dirs", dirs), func(t *testing.T) {
			var folders []string
			for range dirs {
				folders = append(folders, t.TempDir())
			}
			static := filled(t, folders...)
			ignored := goleak.IgnoreCurrent()
			before := descriptors(t)
			bad := folders[dirs-1]
			for n := int64(1); ; n++ {
				var ops atomic.Int64
				fs := vfs.WithHook(vfs.OS, func(_ vfs.Op, name string) error {
					if strings.HasPrefix(name, bad) && ops.Add(1) >= n {
						return syscall.EIO
					}
					return nil
				})
				b, err := broker.Start(t.Context(), broker.Options{Config: static, FS: fs, Logger: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))})
				failed := ops.Load() >= n
				if err == nil {
					_ = b.Close(context.Background()) // one that has lost all its disks may say so
				} else if dirs == 2 {
					t.Fatalf("one of two disks failed at operation %d: %v", n, err)
				}
				if !failed {
					break
				}
				if err := goleak.Find(ignored); err != nil {
					t.Fatalf("operation %d: %v", n, err)
				}
				if now := descriptors(t); now > before {
					t.Fatalf("operation %d: %d descriptors, %d before", n, now, before)
				}
			}
			b, err := broker.Start(t.Context(), broker.Options{Config: static})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := goleak.Find(ignored); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A start that is given up, whenever that is, leaves nothing either.
func TestAStartThatIsGivenUp(t *testing.T) {
	folder := t.TempDir()
	static := filled(t, folder)
	ignored := goleak.IgnoreCurrent()
	before := descriptors(t)
	for n := int64(1); ; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		var ops atomic.Int64
		fs := vfs.WithHook(vfs.OS, func(vfs.Op, string) error {
			if ops.Add(1) == n {
				cancel()
			}
			return nil
		})
		b, err := broker.Start(ctx, broker.Options{Config: static, FS: fs})
		over := ops.Load() < n
		cancel()
		switch {
		case err == nil:
			if err := b.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
		case !errors.Is(err, context.Canceled):
			t.Fatalf("operation %d: %v", n, err)
		}
		if err := goleak.Find(ignored); err != nil {
			t.Fatalf("operation %d: %v", n, err)
		}
		if now := descriptors(t); now > before {
			t.Fatalf("operation %d: %d descriptors, %d before", n, now, before)
		}
		if _, err := os.Stat(filepath.Join(folder, ".lock")); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("operation %d: the lock file: %v", n, err)
		}
		if over {
			return
		}
	}
}
