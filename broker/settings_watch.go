package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/storage/clock"
)

// notesLive is how long notes of changed settings are kept: brokers that were cut off meanwhile must still find them.
const notesLive = 15 * time.Minute

// settingsWatch follows the settings that are kept in the store: it loads all entities once and an entity again when a
// note says that it has changed. A note is a hint; what counts is the entity as it is.
type settingsWatch struct {
	store store.Store
	clock clock.Clock
	log   *zap.Logger
	// apply is given an entity's whole config: its type and name are those of store.ConfigPath. No config means that
	// the entity has gone. Calls come one after the other.
	apply func(entityType, name string, config map[string]string)

	mu    sync.Mutex // guards all below; held while apply runs
	last  int64      // the highest note that was seen, -1 for none
	known map[entity]bool
	// again holds a token when something could not be read and everything must be.
	again chan struct{}
}

type entity struct{ kind, name string }

func newSettingsWatch(s store.Store, c clock.Clock, log *zap.Logger, apply func(entityType, name string, config map[string]string)) *settingsWatch {
	return &settingsWatch{store: s, clock: c, log: log, apply: apply, last: -1, known: map[entity]bool{}, again: make(chan struct{}, 1)}
}

// Load applies all settings as they are now. The broker must not serve before it has returned; Run comes after it.
func (w *settingsWatch) Load(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := store.MakeSure(ctx, w.store, store.ConfigChangesPath); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	// What is noted from here on is looked at again later: nothing slips between loading and watching.
	notes, _, err := w.store.Children(ctx, store.ConfigChangesPath)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	w.last = -1 // the counter starts again if somebody has removed the folder
	for _, name := range notes {
		if n, ok := store.SequenceOf(name); ok {
			w.last = max(w.last, n)
		}
	}
	there, err := w.entities(ctx)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	seen := map[entity]bool{}
	for _, e := range there {
		seen[e] = true
		if err := w.read(ctx, e); err != nil {
			return err
		}
	}
	for e := range w.known {
		if !seen[e] {
			delete(w.known, e)
			w.apply(e.kind, e.name, nil)
		}
	}
	return nil
}

// entities lists everything that has settings.
func (w *settingsWatch) entities(ctx context.Context) ([]entity, error) {
	var list []entity
	for _, kind := range []string{store.ConfigTopics, store.ConfigClients, store.ConfigUsers, store.ConfigBrokers, store.ConfigIPs, store.ConfigGroups} {
		names, err := w.children(ctx, store.ConfigTypePath(kind))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			list = append(list, entity{kind, name})
			if kind != store.ConfigUsers {
				continue
			}
			folder := name + "/" + store.ConfigClients
			clients, err := w.children(ctx, store.ConfigPath(kind, folder))
			if err != nil {
				return nil, err
			}
			for _, client := range clients {
				list = append(list, entity{kind, folder + "/" + client})
			}
		}
	}
	return list, nil
}

func (w *settingsWatch) children(ctx context.Context, path string) ([]string, error) {
	names, _, err := w.store.Children(ctx, path)
	if errors.Is(err, store.ErrNoNode) {
		return nil, nil
	}
	return names, err
}

// Learn applies the settings of a topic, of whose creation no note tells: if it is fresh, or was never heard of. What
// cannot be read now is read later by Run.
func (w *settingsWatch) Learn(ctx context.Context, topic string, fresh bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := entity{store.ConfigTopics, topic}
	if w.known[e] && !fresh {
		return nil
	}
	err := w.read(ctx, e)
	if err != nil {
		select {
		case w.again <- struct{}{}:
		default:
		}
	}
	return err
}

// Reread applies an entity as it is now, without waiting for the note of its change. What it applies and what notes do come
// one after the other, so that the last settings stay.
func (w *settingsWatch) Reread(ctx context.Context, kind, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.read(ctx, entity{kind, name}); err != nil {
		w.log.Info("changed settings cannot be read now, the note of the change will tell", zap.Error(err))
	}
}

// Forget applies that a topic has no settings any more.
func (w *settingsWatch) Forget(topic string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := entity{store.ConfigTopics, topic}
	if w.known[e] {
		delete(w.known, e)
		w.apply(e.kind, e.name, nil)
	}
}

// read applies an entity as it is now.
func (w *settingsWatch) read(ctx context.Context, e entity) error {
	data, _, err := w.store.Get(ctx, store.ConfigPath(e.kind, e.name))
	if errors.Is(err, store.ErrNoNode) {
		delete(w.known, e)
		w.apply(e.kind, e.name, nil)
		return nil
	}
	if err != nil {
		return fmt.Errorf("settings of %s %s: %w", e.kind, e.name, err)
	}
	config, err := store.DecodeConfig(data)
	if err != nil {
		w.log.Error("settings are not readable, those before stay in effect", zap.String("type", e.kind), zap.String("name", e.name), zap.Error(err))
		return nil
	}
	w.known[e] = true
	w.apply(e.kind, e.name, config)
	return nil
}

// Run follows the notes until the context ends. After a session has expired everything is loaded again, since notes may
// have been missed.
func (w *settingsWatch) Run(ctx context.Context) error {
	for {
		err := w.follow(ctx)
		for err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, store.ErrClosed) {
				return err
			}
			w.log.Info("reading all settings again", zap.Error(err))
			if _, _, err = w.store.Session(ctx); err == nil {
				err = w.Load(ctx)
			}
			if err == nil {
				break
			}
			select {
			case <-w.clock.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

var errReadAgain = errors.New("settings could not be read")

// follow works notes in, one watch after the other; it returns when that fails.
func (w *settingsWatch) follow(ctx context.Context) error {
	for {
		notes, _, changed, err := w.store.ChildrenW(ctx, store.ConfigChangesPath)
		if err != nil {
			return err
		}
		if err := w.workIn(ctx, notes); err != nil {
			return err
		}
		select {
		case e := <-changed:
			if e.Err != nil {
				return e.Err
			}
		case <-w.again:
			return errReadAgain
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// workIn reads what new notes name, in order, and deletes notes that are old.
func (w *settingsWatch) workIn(ctx context.Context, notes []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	fresh := map[string]bool{}
	for _, name := range notes { // in ascending order of their numbers
		n, ok := store.SequenceOf(name)
		if !ok || n <= w.last {
			continue
		}
		fresh[name] = true
		if err := w.note(ctx, name); err != nil {
			return err
		}
		w.last = n
	}
	if len(fresh) == 0 {
		return nil
	}
	return w.purge(ctx, notes)
}

func (w *settingsWatch) note(ctx context.Context, name string) error {
	data, _, err := w.store.Get(ctx, store.ConfigChangesPath+"/"+name)
	if errors.Is(err, store.ErrNoNode) {
		return nil // old enough for another broker to have deleted it
	}
	if err != nil {
		return err
	}
	kind, entityName, err := store.DecodeConfigChange(data)
	if err != nil {
		w.log.Error("note of changed settings is not readable", zap.String("note", name), zap.Error(err))
		return nil
	}
	if err := store.CheckPath(store.ConfigPath(kind, entityName)); err != nil {
		w.log.Error("note of changed settings names no entity", zap.String("note", name), zap.Error(err))
		return nil
	}
	return w.read(ctx, entity{kind, entityName})
}

// purge deletes notes older than notesLive. Notes are in order, and so are their ages: the first that is young enough
// ends it.
func (w *settingsWatch) purge(ctx context.Context, notes []string) error {
	for _, name := range notes {
		path := store.ConfigChangesPath + "/" + name
		stat, there, err := w.store.Exists(ctx, path)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if clock.Millis(w.clock)-stat.Ctime <= notesLive.Milliseconds() {
			return nil
		}
		if err := w.store.Delete(ctx, path, store.AnyVersion); err != nil && !errors.Is(err, store.ErrNoNode) {
			return err
		}
	}
	return nil
}
