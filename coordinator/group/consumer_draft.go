package group

import (
	"maps"
	"slices"

	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime"
	"barnabas/replication/cluster"
)

// draft is a consumer group as it will be, with the records that make it so. A conversation computes on it, writes the records all
// at once, and replay does the rest; nothing has happened when the write fails, or the conversation ends in an error.
type draft struct {
	group   string
	base    *consumerGroup // as it is; for a group that is about to become one, as it would be
	image   *cluster.Image
	now     int64
	records []runtime.Record

	epoch       int32
	hash        int64
	targetEpoch int32
	members     map[string]*consumerMember // base's until one is put
	target      map[string]assign.Set      // as members
	regexes     map[string][]string        // as members
	owned       struct{ members, target, regexes bool }
	// hashed and resolved say that the topics, and the regular expressions, were held against the image.
	hashed, resolved bool
	erased           bool // the record of the topics
	// successor is the new id of a static member that came back, by its old one.
	successor map[string]string
}

func (m *machine) draft(group string, base *consumerGroup) *draft {
	return &draft{group: group, base: base, image: m.o.image(), now: m.now(), epoch: base.epoch, hash: base.hash,
		targetEpoch: base.targetEpoch, members: base.members, target: base.target, regexes: base.regexes}
}

// commit writes the records, batches of which have the first sequence 0 since Kafka 4.0.
func (m *machine) commitDraft(d *draft) error { return m.host.Write(commitKind, d.records...) }

func (d *draft) write(r ...runtime.Record) { d.records = append(d.records, r...) }

func (d *draft) set(mb *consumerMember) {
	if !d.owned.members {
		d.members, d.owned.members = maps.Clone(d.members), true
	}
	d.members[mb.id] = mb
}

// subscribe puts a member with a new subscription.
func (d *draft) subscribe(mb *consumerMember) {
	d.set(mb)
	d.write(memberRecord(d.group, mb))
}

// move puts a member with a new assignment.
func (d *draft) move(mb *consumerMember) {
	d.set(mb)
	d.write(currentRecord(d.group, mb))
}

func (d *draft) setTarget(id string, s assign.Set) {
	if !d.owned.target {
		d.target, d.owned.target = maps.Clone(d.target), true
	}
	d.target[id] = s
	d.write(targetRecord(d.group, id, s))
}

func (d *draft) remove(id string) {
	if !d.owned.members {
		d.members, d.owned.members = maps.Clone(d.members), true
	}
	if !d.owned.target {
		d.target, d.owned.target = maps.Clone(d.target), true
	}
	delete(d.members, id)
	delete(d.target, id)
	d.write(runtime.Record{Key: consumerKey(currentKeyOf, d.group, id)}, runtime.Record{Key: consumerKey(targetMemberKeyOf, d.group, id)},
		runtime.Record{Key: consumerKey(consumerMemberKeyOf, d.group, id)})
}

// replace gives a static member that came back its new id, and what belonged to the old one.
func (d *draft) replace(old, mb *consumerMember) {
	target := d.target[old.id]
	d.remove(old.id)
	d.subscribe(mb)
	d.setTarget(mb.id, target)
	d.move(mb)
	d.successor = map[string]string{old.id: mb.id}
}

// setEpoch begins a new epoch of the group.
func (d *draft) setEpoch(hash int64) {
	d.epoch, d.hash = d.epoch+1, hash
	d.write(epochRecord(d.group, d.epoch, d.hash))
	if d.base.topicRecord && !d.erased { // the hash takes its place
		d.erased = true
		d.write(runtime.Record{Key: consumerKey(consumerTopicsKeyOf, d.group)})
	}
}

func (d *draft) setRegex(regex string, topics []string) {
	if !d.owned.regexes {
		d.regexes, d.owned.regexes = maps.Clone(d.regexes), true
	}
	d.regexes[regex] = topics
	d.write(regexRecord(d.group, regex, topics, d.now))
}

func (d *draft) dropRegex(regex string) {
	if !d.owned.regexes {
		d.regexes, d.owned.regexes = maps.Clone(d.regexes), true
	}
	delete(d.regexes, regex)
	d.write(runtime.Record{Key: consumerKey(regexKeyOf, d.group, regex)})
}

// free says that nobody but a member holds a partition.
func (d *draft) free(p assign.Partition, id string) bool {
	owner, held := d.base.owners[p]
	return !held || owner == id || d.successor[owner] == id
}

// topicIDs are the ids of the topics that a member subscribes to and that exist.
func (d *draft) topicIDs(mb *consumerMember) []assign.TopicID {
	var ids []assign.TopicID
	for _, names := range [][]string{mb.topics, d.regexes[mb.regex]} {
		for _, name := range names {
			if t := d.image.Topics[name]; t != nil {
				ids = append(ids, t.ID)
			}
		}
	}
	return ids
}

// tombstones erase all records of a consumer group, but for its offsets.
func (c *consumerGroup) tombstones(group string) []runtime.Record {
	ids := c.ids()
	var rs []runtime.Record
	gone := func(version int16, names ...string) {
		rs = append(rs, runtime.Record{Key: consumerKey(version, append([]string{group}, names...)...)})
	}
	for _, id := range ids {
		gone(currentKeyOf, id)
	}
	for _, id := range ids {
		gone(targetMemberKeyOf, id)
	}
	gone(targetKeyOf)
	for _, id := range ids {
		gone(consumerMemberKeyOf, id)
	}
	for _, regex := range slices.Sorted(maps.Keys(c.regexes)) {
		gone(regexKeyOf, regex)
	}
	gone(consumerTopicsKeyOf)
	gone(consumerGroupKeyOf)
	return rs
}
