package group

import (
	"encoding/binary"
	"errors"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"time"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/group/xxh3"
	"barnabas/replication/cluster"
)

// regexPause is how long the regular expressions of a group are not held against new topics again.
const regexPause = 10 * time.Second

// compiled is a regular expression of RE2 that must match a whole name.
func compiled(regex string) (*regexp.Regexp, *refused) {
	_, err := regexp.Compile(regex)
	if err == nil {
		var whole *regexp.Regexp
		if whole, err = regexp.Compile(`\A(?:` + regex + `)\z`); err == nil {
			return whole, nil
		}
	}
	why := err.Error()
	if e := (*syntax.Error)(nil); errors.As(err, &e) {
		why = e.Code.String()
	}
	return nil, refuse(kerr.InvalidRegularExpression, "SubscribedTopicRegex `%s` is not a valid regular expression: %s.", regex, why)
}

// refresh sees to it that the group's epoch rises when what its members subscribe to has changed: their own subscriptions, or the
// topics behind them. changed is what the caller knows of the former.
func (m *machine) refresh(d *draft, changed bool) {
	if m.resolve(d) {
		changed = true
	}
	if !changed && d.base.seen == d.image {
		return
	}
	if hash := m.draftHash(d); changed || hash != d.hash {
		d.setEpoch(hash)
	}
}

// draftHash sums up the topics of a draft.
func (m *machine) draftHash(d *draft) int64 {
	d.hashed = true
	return m.topicsHash(d.image, subscribed(d.members, d.regexes))
}

// resolve finds the topics that the members' regular expressions match: those of new ones at once, of others when there is a new
// picture of the cluster, though not all the time. It says whether they have changed.
func (m *machine) resolve(d *draft) (changed bool) {
	used := map[string]bool{}
	for _, mb := range d.members {
		if mb.regex != "" {
			used[mb.regex] = true
		}
	}
	for _, regex := range slices.Sorted(maps.Keys(d.regexes)) {
		if !used[regex] {
			d.dropRegex(regex)
			changed = true
		}
	}
	again := d.base.resolved != d.image && (d.base.resolved == nil || m.host.Now().Sub(d.base.resolvedAt) >= regexPause)
	d.resolved = again
	for _, regex := range slices.Sorted(maps.Keys(used)) {
		was, known := d.regexes[regex]
		if known && !again {
			continue
		}
		re, bad := compiled(regex)
		topics := []string{}
		for name := range d.image.Topics {
			if bad == nil && re.MatchString(name) {
				topics = append(topics, name)
			}
		}
		slices.Sort(topics)
		if !known || !slices.Equal(was, topics) {
			d.setRegex(regex, topics)
			changed = true
		}
	}
	return changed
}

// looked notes which picture of the cluster a draft that is written was made with.
func (m *machine) looked(g *group, d *draft) {
	c := g.consumer
	if c == nil {
		return
	}
	if d.hashed {
		c.seen = d.image
	}
	if d.resolved {
		c.resolved, c.resolvedAt = d.image, m.host.Now()
	}
}

// hashes are those of topics in one picture of the cluster.
type hashes struct {
	image *cluster.Image
	of    map[string]uint64
}

// topicsHash sums up topics as Kafka does since 4.1 (KIP-1101): their ids, names, numbers of partitions and the racks of their
// replicas. 0 is no topics.
func (m *machine) topicsHash(image *cluster.Image, names map[string]bool) int64 {
	if m.hashes.image != image {
		m.hashes = hashes{image, map[string]uint64{}}
	}
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t := image.Topics[name]
		if t == nil {
			continue
		}
		h, ok := m.hashes.of[name]
		if !ok {
			h = topicHash(image, t)
			m.hashes.of[name] = h
		}
		b = binary.LittleEndian.AppendUint64(b, h)
	}
	if b == nil {
		return 0
	}
	return int64(xxh3.Sum64(b))
}

func topicHash(image *cluster.Image, t *cluster.Topic) uint64 {
	b := []byte{0} // the version of the hash
	b = binary.LittleEndian.AppendUint64(b, binary.BigEndian.Uint64(t.ID[:]))
	b = binary.LittleEndian.AppendUint64(b, binary.BigEndian.Uint64(t.ID[8:]))
	b, _ = appendJavaString(b, t.Name)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Partitions)))
	for id, p := range t.Partitions {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
		for _, rack := range racks(image, p) {
			text, units := appendJavaString(nil, rack)
			b = append(binary.LittleEndian.AppendUint32(b, uint32(units)), text...)
		}
	}
	return xxh3.Sum64(b)
}

// racks are those of a partition's replicas, in order, one for each replica.
func racks(image *cluster.Image, p *cluster.Partition) (names []string) {
	if p == nil {
		return nil
	}
	for _, id := range p.Replicas {
		if b := image.Brokers[id]; b != nil && b.Rack != nil {
			names = append(names, *b.Rack)
		}
	}
	slices.Sort(names)
	return names
}

// appendJavaString adds the UTF-16 units of a string, and their number.
func appendJavaString(b []byte, s string) (with []byte, units int) {
	u := utf16.Encode([]rune(s))
	for _, c := range u {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return binary.LittleEndian.AppendUint32(b, uint32(len(u))), len(u)
}
