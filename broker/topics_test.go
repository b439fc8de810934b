package broker

import (
	"strconv"
	"sync"
	"testing"

	"barnabas/broker/config"
	"barnabas/replication"
)

// Two who change a topic's settings at once, a client's request and the watch of the store, leave in effect what is
// remembered.
func TestTheLastSettingsStayInEffect(t *testing.T) {
	static, err := config.NewStatic(map[string]string{"log.dirs": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	topics := newTopics(config.NewSettings(static, 1))
	var mu sync.Mutex
	var inEffect *replication.Settings
	topics.follow(func(_ string, s *replication.Settings) {
		mu.Lock()
		defer mu.Unlock()
		inEffect = s
	}, func(func(*replication.Partition)) {})
	for range 50 {
		var changing sync.WaitGroup
		for i := range 4 {
			changing.Go(func() { topics.set("t", map[string]string{"segment.bytes": strconv.Itoa(10_000 + i)}) })
		}
		changing.Wait()
		if want, got := topics.get("t").Log.SegmentBytes, inEffect.Log.SegmentBytes; got != want {
			t.Fatalf("segment.bytes is %d, in effect is %d", want, got)
		}
	}
}
