package storage

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"barnabas/storage/checkpoint"
	"barnabas/storage/vfs"
)

// listing lists the directory, after dealing with what interrupted deletions and compactions left; nil without a directory.
func (ld *loader) listing() ([]vfs.Info, error) {
	// Without a directory no descriptor is wanted, so that a partition can always be made.
	if there, err := vfs.Exists(ld.fs, ld.dir); err != nil || !there {
		return nil, err
	}
	infos, err := ld.fs.ReadDir(ld.dir)
	if err != nil {
		return nil, err
	}
	changed, err := ld.tidy(infos)
	if err != nil || !changed {
		return slices.Clip(append([]vfs.Info{}, infos...)), err
	}
	// A truncation that was cut short, or a swap, must not be undone behind what is written from now on.
	if err := ld.fs.SyncDir(ld.dir); err != nil {
		return nil, err
	}
	return ld.fs.ReadDir(ld.dir)
}

// tidy removes .deleted and .cleaned files and finishes swaps, as Kafka does: a .swap whose base is not below the
// smallest .cleaned belongs to a split that did not come to its end. A small file that was being replaced leaves its
// temporary one, which would stay for ever where the file is not written again.
func (ld *loader) tidy(infos []vfs.Info) (changed bool, err error) {
	minCleaned := int64(math.MaxInt64)
	var swaps []string
	for _, info := range infos {
		switch filepath.Ext(info.Name) {
		case deletedSuffix:
			changed = true
			if err := ld.fs.Remove(filepath.Join(ld.dir, info.Name)); err != nil {
				return false, err
			}
		case cleanedSuffix:
			changed = true
			if at, _, ok := parseName(info.Name); ok {
				minCleaned = min(minCleaned, at)
			}
		case swapSuffix:
			changed = true
			swaps = append(swaps, info.Name)
		case vfs.TemporarySuffix:
			if of := strings.TrimSuffix(info.Name, vfs.TemporarySuffix); of == checkpoint.PartitionMetadata || of == checkpoint.LeaderEpochs {
				if err := ld.fs.Remove(filepath.Join(ld.dir, info.Name)); err != nil {
					return false, err
				}
			}
		}
	}
	if !changed {
		return false, nil
	}
	var valid []string
	for _, name := range swaps {
		if at, _, ok := parseName(name); ok && at < minCleaned {
			valid = append(valid, name)
		} else if err := ld.fs.Remove(filepath.Join(ld.dir, name)); err != nil {
			return false, err
		}
	}
	for _, info := range infos {
		if filepath.Ext(info.Name) == cleanedSuffix {
			if err := ld.fs.Remove(filepath.Join(ld.dir, info.Name)); err != nil {
				return false, err
			}
		}
	}
	return true, ld.swapIn(infos, valid)
}

// swapIn removes the originals that complete swap files replace, then gives those their names. A crash in between finds
// the swap files again.
func (ld *loader) swapIn(infos []vfs.Info, swaps []string) error {
	from, upTo := int64(math.MaxInt64), int64(math.MinInt64)
	for _, name := range swaps {
		base, suffix, _ := parseName(name)
		if suffix != logSuffix+swapSuffix {
			continue
		}
		next, err := ld.endOfFile(filepath.Join(ld.dir, name), base)
		if err != nil {
			return err
		}
		from, upTo = min(from, base), max(upTo, next)
	}
	for _, info := range infos {
		at, suffix, ok := parseName(info.Name)
		if !ok || at < from || at >= upTo || strings.HasSuffix(suffix, swapSuffix) {
			continue
		}
		if err := ld.fs.Remove(filepath.Join(ld.dir, info.Name)); err != nil && !isMissing(err) {
			return err
		}
	}
	for _, name := range swaps {
		path := filepath.Join(ld.dir, name)
		if err := ld.fs.Rename(path, strings.TrimSuffix(path, swapSuffix)); err != nil {
			return err
		}
	}
	return nil
}

// endOfFile is the offset behind the last batch of a .log file.
func (ld *loader) endOfFile(path string, base int64) (int64, error) {
	f, err := ld.fs.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size == 0 {
		return base, err
	}
	end := base
	err = walkFile(f, 0, size, func(e entry, _ []byte) bool { end = e.last + 1; return true })
	if errors.Is(err, errCut) || isCorrupt(err) {
		err = nil
	}
	return end, err
}
