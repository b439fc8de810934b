package store

import "context"

// Multier is the part of a Store that the single writes below are made of: each is a Multi of one step.
type Multier interface {
	Multi(ctx context.Context, ops ...Op) ([]Result, error)
}

// CreateBy is Store.Create by a Multi.
func CreateBy(ctx context.Context, m Multier, path string, data []byte, mode Mode) (string, error) {
	r, err := m.Multi(ctx, Create(path, data, mode))
	if err != nil {
		return "", err
	}
	return r[0].Path, nil
}

// SetBy is Store.Set by a Multi.
func SetBy(ctx context.Context, m Multier, path string, data []byte, version int32) (Stat, error) {
	r, err := m.Multi(ctx, Set(path, data, version))
	if err != nil {
		return Stat{}, err
	}
	return r[0].Stat, nil
}

// DeleteBy is Store.Delete by a Multi.
func DeleteBy(ctx context.Context, m Multier, path string, version int32) error {
	_, err := m.Multi(ctx, Delete(path, version))
	return err
}
