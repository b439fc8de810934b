package broker

import (
	"iter"

	"barnabas/broker/api"
	"barnabas/storage"
)

// logDirs tells clients of the disks.
type logDirs struct{ logs *storage.Manager }

var _ api.LogDirs = logDirs{}

func (l logDirs) LogDirs() []api.LogDir {
	infos := l.logs.Dirs()
	dirs := make([]api.LogDir, len(infos))
	for i, d := range infos {
		dirs[i] = api.LogDir{Path: d.Path, Err: d.Err, Total: d.Total, Usable: d.Usable}
	}
	return dirs
}

func (l logDirs) Held() iter.Seq[api.HeldReplica] {
	return func(yield func(api.HeldReplica) bool) {
		for log := range l.logs.Logs() {
			held := api.HeldReplica{
				Topic: log.Topic(), Partition: log.Partition(), Dir: l.logs.DirOf(log.Topic(), log.Partition()),
				Bytes: log.Bytes(), Lag: max(log.HighWatermark()-log.End(), 0),
			}
			if !yield(held) {
				return
			}
		}
	}
}
