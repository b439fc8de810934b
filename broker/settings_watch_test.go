package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/coordinator/store/embedded"
	"barnabas/storage/clock"
)

// watched is a settings watch that runs in a bubble, and what it applied.
type watched struct {
	*settingsWatch
	t       *testing.T
	session *embedded.Store
	outside *embedded.Store
	clock   *clock.Manual

	mu      sync.Mutex
	applied []string
}

func newWatched(t *testing.T) *watched {
	c := clock.NewManual(time.UnixMilli(1700000000000))
	db := testTree(t, c)
	w := &watched{t: t, session: db.NewSession(), outside: db.NewSession(), clock: c}
	w.settingsWatch = newSettingsWatch(w.session, c, zap.NewNop(), func(kind, name string, config map[string]string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.applied = append(w.applied, fmt.Sprint(kind, " ", name, " ", config))
	})
	t.Cleanup(func() { db.Close() })
	return w
}

// change writes an entity's settings; nil removes it. With tell it leaves a note.
func (w *watched) change(kind, name string, config map[string]string, tell bool) {
	w.t.Helper()
	path := store.ConfigPath(kind, name)
	var err error
	if config == nil {
		err = w.outside.Delete(w.t.Context(), path, store.AnyVersion)
	} else if _, err = store.CreateAll(w.t.Context(), w.outside, path, store.EncodeConfig(config), store.Persistent); errors.Is(err, store.ErrNodeExists) {
		_, err = w.outside.Set(w.t.Context(), path, store.EncodeConfig(config), store.AnyVersion)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if tell {
		w.note(string(store.EncodeConfigChange(kind, name)))
	}
}

func (w *watched) note(text string) {
	w.t.Helper()
	if _, err := w.outside.Create(w.t.Context(), store.ConfigChangePrefix, []byte(text), store.Sequential); err != nil {
		w.t.Fatal(err)
	}
}

// want waits until nothing moves and compares what was applied since the last time.
func (w *watched) want(what ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.applied, what) {
		w.t.Errorf("applied\n  %s\nwant\n  %s", strings.Join(w.applied, "\n  "), strings.Join(what, "\n  "))
	}
	w.applied = nil
}

func TestSettingsWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.change(store.ConfigTopics, "t", map[string]string{"a": "1"}, true)
		w.change(store.ConfigBrokers, store.DefaultEntity, map[string]string{"b": "2"}, false)
		w.change(store.ConfigUsers, "alice/clients/c%201", map[string]string{"c": "3"}, false)
		if err := w.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.want("topics t map[a:1]", "users alice map[]", "users alice/clients/c%201 map[c:3]", "brokers <default> map[b:2]")

		// Changed between loading and watching.
		w.change(store.ConfigTopics, "t", map[string]string{"a": "2"}, true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		w.want("topics t map[a:2]")

		w.change(store.ConfigClients, "x", map[string]string{"r": "5"}, true)
		w.want("clients x map[r:5]")
		w.change(store.ConfigClients, "x", nil, true)
		w.want("clients x map[]")

		// A note is a hint: what counts is the entity as it is. Notes nobody can read do no harm.
		w.note(`{"version":1,"entity_type":"topics","entity_name":"t"}`)
		w.note(`{"version":2,"entity_path":"topics/../x"}`)
		w.note(`nonsense`)
		w.want("topics t map[a:2]")
		if _, err := w.outside.Set(t.Context(), store.ConfigPath(store.ConfigTopics, "t"), []byte("{"), store.AnyVersion); err != nil {
			t.Fatal(err)
		}
		w.note(string(store.EncodeConfigChange(store.ConfigTopics, "t")))
		w.want()

		// The session expires while things change and go: all is read again.
		w.change(store.ConfigTopics, "t", nil, false)
		w.change(store.ConfigTopics, "new", map[string]string{"n": "1"}, false)
		w.session.Expire()
		w.want("topics new map[n:1]", "users alice map[]", "users alice/clients/c%201 map[c:3]", "brokers <default> map[b:2]", "topics t map[]")
		w.change(store.ConfigTopics, "new", map[string]string{"n": "2"}, true)
		w.want("topics new map[n:2]")

		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// What a client has changed is applied before it is answered, and is what the store has: the change of another client, answered
// a moment earlier, may have been the last one.
func TestRereadAppliesWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.change(store.ConfigTopics, "t", map[string]string{"a": "1"}, false)
		w.Reread(t.Context(), store.ConfigTopics, "t")
		w.want("topics t map[a:1]")
		w.change(store.ConfigTopics, "t", map[string]string{"a": "2"}, false)
		w.Reread(t.Context(), store.ConfigTopics, "t") // whoever set a=1 comes late
		w.want("topics t map[a:2]")
		w.Reread(t.Context(), store.ConfigBrokers, "7")
		w.want("brokers 7 map[]")
	})
}

// TestSettingsOfNewTopics: no note tells of a topic's creation.
func TestSettingsOfNewTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		if err := w.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		learn := func(fresh bool) {
			t.Helper()
			if err := w.Learn(t.Context(), "t", fresh); err != nil {
				t.Fatal(err)
			}
		}
		w.change(store.ConfigTopics, "t", map[string]string{"a": "1"}, false)
		learn(true)
		w.want("topics t map[a:1]")
		learn(false)
		w.want()
		w.Forget("t")
		w.want("topics t map[]")
		// Another topic of that name.
		w.change(store.ConfigTopics, "t", map[string]string{}, false)
		learn(false)
		w.want("topics t map[]")
		w.change(store.ConfigTopics, "t", map[string]string{"b": "2"}, false)
		learn(true)
		w.want("topics t map[b:2]")

		// What cannot be read now is read later.
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		w.want()
		w.session.Expire()
		if err := w.Learn(t.Context(), "t", true); err != nil && !errors.Is(err, store.ErrSession) {
			t.Error(err)
		}
		synctest.Wait()
		w.mu.Lock()
		if !slices.Contains(w.applied, "topics t map[b:2]") {
			t.Errorf("%v", w.applied)
		}
		w.mu.Unlock()
		cancel()
		<-done
	})
}

// TestOldNotesGo: notes are kept for a quarter of an hour, for brokers that were cut off.
func TestOldNotesGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		ctx, cancel := context.WithCancel(t.Context())
		if err := w.Load(ctx); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		notes := func() int {
			synctest.Wait()
			names, _, err := w.outside.Children(t.Context(), store.ConfigChangesPath)
			if err != nil {
				t.Fatal(err)
			}
			return len(names)
		}
		w.change(store.ConfigTopics, "t", map[string]string{}, true)
		w.clock.Advance(10 * time.Minute)
		w.change(store.ConfigTopics, "t", map[string]string{}, true)
		w.clock.Advance(5 * time.Minute)
		w.change(store.ConfigTopics, "t", map[string]string{}, true)
		if n := notes(); n != 3 {
			t.Errorf("%d notes are left", n)
		}
		w.clock.Advance(time.Minute)
		w.change(store.ConfigTopics, "t", map[string]string{}, true)
		if n := notes(); n != 3 {
			t.Errorf("%d notes are left", n)
		}
		cancel()
		<-done
	})
}
