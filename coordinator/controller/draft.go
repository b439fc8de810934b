package controller

import (
	"fmt"
	"iter"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// draft is one atomic step in the making. Decisions read the world through it, so that they see what the draft has
// already changed, and leave in it what is to be written, what changes in the world once it is written, and what brokers
// are then told. It touches neither the world nor the store.
type draft struct {
	w *world

	ops []store.Op
	// causes tells for each operation which partition it is about, so that a conflict can be traced to what must be
	// read again.
	causes []tp

	parts map[tp]*partition // changed copies
	// folders are the topics whose partitions folder this draft makes.
	folders map[string]bool
	// after is run on the world when the draft is done, after parts have entered it.
	after []func(*world)

	mail mail
	// unwritten says that the draft only draws conclusions from what is so, and holds even where an embedded store cannot be
	// written: nobody else leads then, and the next term draws them again.
	unwritten bool
	// refused are the moves that could not be made, with the reason.
	refused map[tp]error
	logs    []note
}

// note is a line for the log, written when the draft is done; one a partition, so for who looks closely only.
type note struct {
	p    tp
	text string
}

func newDraft(w *world) *draft {
	return &draft{w: w, parts: map[tp]*partition{}, folders: map[string]bool{}, refused: map[tp]error{}, mail: newMail()}
}

// partition finds one as the draft leaves it; nil when it is unknown.
func (d *draft) partition(p tp) *partition {
	if part := d.parts[p]; part != nil {
		return part
	}
	return d.w.partition(p)
}

// edit gives copies of partitions that belong to the draft; those that are gone from the world are left out.
func (d *draft) edit(list []tp) iter.Seq[*partition] {
	return func(yield func(*partition) bool) {
		for _, p := range list {
			part := d.parts[p]
			if part == nil {
				known := d.w.partition(p)
				if known == nil {
					continue
				}
				part = known.clone()
				d.parts[p] = part
			}
			if !yield(part) {
				return
			}
		}
	}
}

// refuse keeps why a partition was not moved.
func (d *draft) refuse(p tp, format string, args ...any) {
	d.refused[p] = fmt.Errorf(format, args...)
}

func (d *draft) note(p tp, format string, args ...any) {
	d.logs = append(d.logs, note{p, fmt.Sprintf(format, args...)})
}

func (d *draft) op(p tp, op store.Op) {
	d.ops = append(d.ops, op)
	d.causes = append(d.causes, p)
}

// lead makes next the partition's state, on condition that nobody has written it since it was read.
func (d *draft) lead(part *partition, next store.PartitionState) {
	next.ControllerEpoch = d.w.epoch
	data := store.EncodePartitionState(next)
	path := store.PartitionStatePath(part.Topic, part.Partition)
	if part.leadership != nil {
		d.op(part.tp, store.Set(path, data, part.leadership.version))
		part.leadership = &leadership{next, part.leadership.version + 1}
		return
	}
	if t := d.w.topics[part.Topic]; !t.folder && !d.folders[part.Topic] {
		d.folders[part.Topic] = true
		d.op(part.tp, store.Create(store.PartitionsPath(part.Topic), nil, store.Persistent))
	}
	if !part.folder {
		part.folder = true
		d.op(part.tp, store.Create(store.PartitionPath(part.Topic, part.Partition), nil, store.Persistent))
	}
	d.op(part.tp, store.Create(path, data, store.Persistent))
	part.leadership = &leadership{next, 0}
}

// done lets the draft's changes into the world.
func (d *draft) done() {
	for p, part := range d.parts {
		if t := d.w.topics[p.Topic]; t != nil {
			t.partitions[p.Partition] = part
		}
	}
	for name := range d.folders {
		if t := d.w.topics[name]; t != nil {
			t.folder = true
		}
	}
	for _, f := range d.after {
		f(d.w)
	}
}

// state is a partition as brokers are told of it.
func (d *draft) state(part *partition) cluster.PartitionState {
	s := cluster.PartitionState{ID: part.Partition}
	s.Replicas, s.Adding, s.Removing = part.assigned, part.adding, part.removing
	s.Leader, s.LeaderEpoch, s.ControllerEpoch, s.PartitionEpoch = cluster.NoLeader, -1, d.w.epoch, 0
	if l := part.leadership; l != nil {
		s.Leader, s.LeaderEpoch, s.PartitionEpoch = l.Leader, l.LeaderEpoch, l.version
		s.ISR, s.Recovering, s.ControllerEpoch = l.ISR, l.Recovering, l.ControllerEpoch
	}
	s.Offline = filter(part.assigned, func(b int32) bool { return !d.w.online(b, part.tp) })
	return s
}
