package broker

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"barnabas/coordinator/store"
	"barnabas/coordinator/store/embedded"
)

// TestOffsetsOfATopicDeletedWhileAway: the wish to delete a topic is carried out when the broker comes back, while the offsets are
// still being loaded. What was committed of it goes all the same: a new topic of that name begins at its own beginning.
func TestOffsetsOfATopicDeletedWhileAway(t *testing.T) {
	folder := t.TempDir()
	start := func() (*Broker, *kadm.Client) {
		settings, err := Alone("127.0.0.1:0", folder)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Start(t.Context(), Options{Config: settings})
		if err != nil {
			t.Fatal(err)
		}
		client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return b, kadm.NewClient(client)
	}
	b, admin := start()
	for _, topic := range []string{"doomed", "kept"} {
		if _, err := admin.CreateTopic(t.Context(), 2, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
		var offsets kadm.Offsets
		offsets.AddOffset(topic, 1, 7, -1)
		if err := admin.CommitAllOffsets(t.Context(), "g", offsets); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	db, err := embedded.Open(filepath.Join(folder, embeddedStore), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.NewSession().Create(t.Context(), store.DeleteTopicPath("doomed"), nil, store.Persistent); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	b, admin = start()
	defer b.Close(t.Context())
	if err := b.admin.AwaitDeleted(t.Context(), "doomed"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateTopic(t.Context(), 2, 1, nil, "doomed"); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		offsets, err := admin.FetchOffsets(soon, "g")
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := offsets.Lookup("kept", 1); !ok || at.At != 7 {
			t.Fatal(offsets)
		}
		if _, ok := offsets.Lookup("doomed", 1); !ok {
			return
		}
	}
}
