package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/store"
)

// Versions of an entity's config that no node has.
const (
	// AnyConfig is whatever config is there.
	AnyConfig int32 = store.AnyVersion
	// NoConfig is that of an entity without a node.
	NoConfig int32 = -2
)

// ErrConfigChanged says that an entity's config is not of the version any more that a change was made from.
var ErrConfigChanged = errors.New("the config has changed meanwhile")

// EntityConfig reads the settings of an entity, and their version: kind is one of the store's Config constants, name as in
// store.ConfigPath. They are empty where there are none.
func (a *Admin) EntityConfig(ctx context.Context, kind, name string) (map[string]string, int32, error) {
	data, stat, err := a.o.Store.Get(ctx, store.ConfigPath(kind, name))
	if errors.Is(err, store.ErrNoNode) {
		return map[string]string{}, NoConfig, nil
	}
	if err != nil {
		return nil, 0, err
	}
	config, err := store.DecodeConfig(data)
	return config, stat.Version, err
}

// SetConfigs makes settings the whole config of an entity and tells all brokers, if it is still of the version that
// EntityConfig gave; else it returns ErrConfigChanged. AnyConfig replaces what is there. Clients, users, ips and
// groups that have no settings left lose their node. It does not judge the settings; the caller has.
func (a *Admin) SetConfigs(ctx context.Context, kind, name string, settings map[string]string, version int32) error {
	err := a.setConfigs(ctx, kind, name, settings, version)
	if errors.Is(err, ErrConfigChanged) {
		return err
	}
	return a.tell("settings of "+kind, name, err)
}

func (a *Admin) setConfigs(ctx context.Context, kind, name string, settings map[string]string, version int32) error {
	for range maxAttempts {
		check, err := a.controllerCheck(ctx, kind, name)
		if err != nil {
			return err
		}
		ops, err := a.configOps(ctx, kind, name, settings, version)
		if err != nil {
			return err
		}
		// The note goes with the change in one step, so that no change is ever made without being told of.
		ops = append(append([]store.Op{check}, ops...), store.Create(store.ConfigChangePrefix, store.EncodeConfigChange(kind, name), store.Persistent|store.Sequential))
		_, err = a.o.Store.Multi(ctx, ops...)
		switch {
		case errors.Is(err, store.ErrNotEmpty):
		case !conflicting(err):
			return err
		}
		if err := store.MakeSure(ctx, a.o.Store, store.ConfigChangesPath); err != nil {
			return err
		}
	}
	return fmt.Errorf("config of %s %s: the store keeps changing: %w", kind, name, kerr.UnknownServerError)
}

// configOps are the steps that make settings an entity's config, as the store is now. They fail when it is not so any more.
func (a *Admin) configOps(ctx context.Context, kind, name string, settings map[string]string, version int32) ([]store.Op, error) {
	path := store.ConfigPath(kind, name)
	stat, there, err := a.o.Store.Exists(ctx, path)
	if err != nil {
		return nil, err
	}
	if version != AnyConfig && (there != (version != NoConfig) || there && stat.Version != version) {
		return nil, fmt.Errorf("config of %s %s: %w", kind, name, ErrConfigChanged)
	}
	switch {
	case kind != store.ConfigTopics && kind != store.ConfigBrokers && len(settings) == 0 && stat.NumChildren == 0:
		return a.emptiedOps(ctx, kind, name, there, version)
	case there:
		return []store.Op{store.Set(path, store.EncodeConfig(settings), version)}, nil
	}
	var ops []store.Op
	for above := store.Parent(path); above != "/"; above = store.Parent(above) {
		if _, there, err := a.o.Store.Exists(ctx, above); err != nil {
			return nil, err
		} else if there {
			break
		}
		ops = append([]store.Op{store.Create(above, nil, store.Persistent)}, ops...)
	}
	return append(ops, store.Create(path, store.EncodeConfig(settings), store.Persistent)), nil
}

// emptiedOps removes the node of an entity without settings, and for a user's client the folders above that hold nothing
// else.
func (a *Admin) emptiedOps(ctx context.Context, kind, name string, there bool, version int32) ([]store.Op, error) {
	if !there {
		return nil, nil
	}
	ops := []store.Op{store.Delete(store.ConfigPath(kind, name), version)}
	user, _, nested := strings.Cut(name, "/")
	if kind != store.ConfigUsers || !nested {
		return ops, nil
	}
	clients, path := store.ConfigPath(kind, user+"/"+store.ConfigClients), store.ConfigPath(kind, user)
	stat, _, err := a.o.Store.Exists(ctx, clients)
	if err != nil || stat.NumChildren != 1 {
		return ops, err
	}
	ops = append(ops, store.Delete(clients, store.AnyVersion))
	config, _, err := a.EntityConfig(ctx, kind, user)
	if err != nil {
		return nil, err
	}
	if stat, _, err = a.o.Store.Exists(ctx, path); err != nil || stat.NumChildren != 1 || len(config) > 0 {
		return ops, err
	}
	return append(ops, store.Delete(path, store.AnyVersion)), nil
}
