package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/store"
)

// EntityConfig reads the settings of an entity: kind is one of the store's Config constants, name as in
// store.ConfigPath. They are empty where there are none.
func (a *Admin) EntityConfig(ctx context.Context, kind, name string) (map[string]string, error) {
	data, _, err := a.o.Store.Get(ctx, store.ConfigPath(kind, name))
	if errors.Is(err, store.ErrNoNode) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	return store.DecodeConfig(data)
}

// SetConfigs makes settings the whole config of an entity and tells all brokers. Clients, users and ips that have no
// settings left lose their node. It does not judge the settings; the caller has.
func (a *Admin) SetConfigs(ctx context.Context, kind, name string, settings map[string]string) error {
	for range maxAttempts {
		check, err := a.controllerCheck(ctx, kind, name)
		if err != nil {
			return err
		}
		ops, err := a.configOps(ctx, kind, name, settings)
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

// configOps are the steps that make settings an entity's config, as the store is now.
func (a *Admin) configOps(ctx context.Context, kind, name string, settings map[string]string) ([]store.Op, error) {
	path := store.ConfigPath(kind, name)
	stat, there, err := a.o.Store.Exists(ctx, path)
	if err != nil {
		return nil, err
	}
	quota := kind == store.ConfigClients || kind == store.ConfigUsers || kind == store.ConfigIPs
	switch {
	case quota && len(settings) == 0 && stat.NumChildren == 0:
		return a.emptiedOps(ctx, kind, name, there)
	case there:
		return []store.Op{store.Set(path, store.EncodeConfig(settings), store.AnyVersion)}, nil
	}
	var ops []store.Op
	for above := store.Parent(path); above != store.ConfigTypePath(kind) && above != "/"; above = store.Parent(above) {
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
func (a *Admin) emptiedOps(ctx context.Context, kind, name string, there bool) ([]store.Op, error) {
	if !there {
		return nil, nil
	}
	ops := []store.Op{store.Delete(store.ConfigPath(kind, name), store.AnyVersion)}
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
	config, err := a.EntityConfig(ctx, kind, user)
	if err != nil {
		return nil, err
	}
	if stat, _, err = a.o.Store.Exists(ctx, path); err != nil || stat.NumChildren != 1 || len(config) > 0 {
		return ops, err
	}
	return append(ops, store.Delete(path, store.AnyVersion)), nil
}
