package group

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kbin"

	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime"
)

// Versions of the keys of a consumer group's records, which all hold the group's name. Their values have version 0, with tagged
// fields that came later.
const (
	consumerGroupKeyOf  = 3  // the group's epoch
	consumerTopicsKeyOf = 4  // the topics of the group, up to 4.0; erased
	consumerMemberKeyOf = 5  // and a member: its subscription
	targetKeyOf         = 6  // the target assignment's epoch
	targetMemberKeyOf   = 7  // and a member: what the target assignment gives it
	currentKeyOf        = 8  // and a member: what it has
	regexKeyOf          = 16 // and a regular expression: the topics that match
)

// ofConsumerGroup says whether the version of a key is that of a consumer group's record.
func ofConsumerGroup(version int16) bool {
	return version >= consumerGroupKeyOf && version <= currentKeyOf || version == regexKeyOf
}

// consumerKey is a key: names are the group, and a member or a regular expression.
func consumerKey(version int16, names ...string) []byte {
	k := binary.BigEndian.AppendUint16(nil, uint16(version))
	for _, n := range names {
		k = kbin.AppendString(k, n)
	}
	return k
}

// readConsumerKey gives the group of a key, and its member or regular expression if it has one.
func readConsumerKey(b []byte) (version int16, group, name string, err error) {
	r := kbin.Reader{Src: b}
	version = r.Int16()
	group = r.String()
	if version != consumerGroupKeyOf && version != consumerTopicsKeyOf && version != targetKeyOf {
		name = r.String()
	}
	if err := r.Complete(); err != nil {
		return version, "", "", fmt.Errorf("key of version %d: %w", version, err)
	}
	return version, group, name, nil
}

// tag is a tagged field of a value.
type tag struct {
	number uint32
	value  []byte
}

func appendTags(dst []byte, tags ...tag) []byte {
	dst = kbin.AppendUvarint(dst, uint32(len(tags)))
	for _, t := range tags {
		dst = kbin.AppendUvarint(dst, t.number)
		dst = kbin.AppendUvarint(dst, uint32(len(t.value)))
		dst = append(dst, t.value...)
	}
	return dst
}

// readTags gives the tagged field 0, nil if there is none; others are passed over.
func readTags(r *kbin.Reader) (first []byte) {
	for n := r.Uvarint(); n > 0 && r.Ok(); n-- {
		number := r.Uvarint()
		size := r.Uvarint()
		if size > math.MaxInt32 {
			r.Span(math.MaxInt32) // more than there is
			return nil
		}
		if b := r.Span(int(size)); number == 0 {
			first = b
		}
	}
	return first
}

func appendTaggedInt64(dst []byte, v int64) []byte {
	if v == 0 {
		return appendTags(dst)
	}
	return appendTags(dst, tag{0, binary.BigEndian.AppendUint64(nil, uint64(v))})
}

// version0 begins the reading of a value.
func version0(b []byte, what string) (*kbin.Reader, error) {
	r := &kbin.Reader{Src: b}
	if v := r.Int16(); v != 0 || !r.Ok() {
		return nil, fmt.Errorf("%s in unknown version %d", what, v)
	}
	return r, nil
}

func complete(r *kbin.Reader, what string) error {
	if err := r.Complete(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func epochRecord(group string, epoch int32, hash int64) runtime.Record {
	v := kbin.AppendInt32([]byte{0, 0}, epoch)
	return runtime.Record{Key: consumerKey(consumerGroupKeyOf, group), Value: appendTaggedInt64(v, hash)}
}

func readEpoch(b []byte) (epoch int32, hash int64, err error) {
	r, err := version0(b, "epoch of a group")
	if err != nil {
		return 0, 0, err
	}
	epoch = r.Int32()
	if t := readTags(r); len(t) == 8 {
		hash = int64(binary.BigEndian.Uint64(t))
	}
	return epoch, hash, complete(r, "epoch of a group")
}

// targetEpochRecord has the time (ms since 1970) at which the assignment was computed; 0 is unknown.
func targetEpochRecord(group string, epoch int32, at int64) runtime.Record {
	v := kbin.AppendInt32([]byte{0, 0}, epoch)
	return runtime.Record{Key: consumerKey(targetKeyOf, group), Value: appendTaggedInt64(v, at)}
}

func readTargetEpoch(b []byte) (int32, error) {
	r, err := version0(b, "epoch of a target assignment")
	if err != nil {
		return 0, err
	}
	epoch := r.Int32()
	readTags(r)
	return epoch, complete(r, "epoch of a target assignment")
}

func memberRecord(group string, mb *consumerMember) runtime.Record {
	v := []byte{0, 0}
	v = kbin.AppendCompactNullableString(v, mb.instance)
	v = kbin.AppendCompactNullableString(v, mb.rack)
	v = kbin.AppendCompactString(v, mb.client.ID)
	v = kbin.AppendCompactString(v, mb.client.Host)
	v = kbin.AppendCompactArrayLen(v, len(mb.topics))
	for _, t := range mb.topics {
		v = kbin.AppendCompactString(v, t)
	}
	v = kbin.AppendCompactString(v, mb.regex)
	v = kbin.AppendInt32(v, mb.rebalanceTimeout)
	v = kbin.AppendCompactNullableString(v, mb.assignor)
	half := []byte{0} // there is none
	if mb.classic != nil {
		half = mb.classic.append([]byte{1})
	}
	v = appendTags(v, tag{0, half})
	return runtime.Record{Key: consumerKey(consumerMemberKeyOf, group, mb.id), Value: v}
}

func (c *classicHalf) append(v []byte) []byte {
	v = kbin.AppendInt32(v, c.sessionTimeout)
	v = kbin.AppendCompactArrayLen(v, len(c.protocols))
	for _, p := range c.protocols {
		v = kbin.AppendCompactString(v, p.Name)
		v = kbin.AppendCompactBytes(v, p.Metadata)
		v = appendTags(v)
	}
	return appendTags(v)
}

// readMember reads a subscription into a member that has the rest already.
func readMember(b []byte, mb *consumerMember) error {
	const what = "subscription of a member"
	r, err := version0(b, what)
	if err != nil {
		return err
	}
	mb.instance, mb.rack = r.CompactNullableString(), r.CompactNullableString()
	mb.client = Client{r.CompactString(), r.CompactString()}
	mb.topics = nil
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		mb.topics = append(mb.topics, r.CompactString())
	}
	mb.topics = sortedTopics(mb.topics)
	mb.regex = ""
	if regex := r.CompactNullableString(); regex != nil {
		mb.regex = *regex
	}
	mb.rebalanceTimeout = r.Int32()
	mb.assignor = r.CompactNullableString()
	t := readTags(r)
	if err := complete(r, what); err != nil {
		return err
	}
	mb.classic, err = readClassicHalf(t)
	return err
}

func readClassicHalf(b []byte) (*classicHalf, error) {
	r := &kbin.Reader{Src: b}
	if b == nil || r.Int8() <= 0 {
		return nil, nil
	}
	c := &classicHalf{sessionTimeout: r.Int32()}
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		p := Protocol{Name: r.CompactString()}
		p.Metadata = append([]byte{}, r.CompactBytes()...)
		readTags(r)
		c.protocols = append(c.protocols, p)
	}
	readTags(r)
	if err := complete(r, "classic half of a member"); err != nil {
		return nil, err
	}
	if len(c.protocols) == 0 {
		return nil, fmt.Errorf("classic half of a member without a protocol")
	}
	return c, nil
}

func targetRecord(group, member string, s assign.Set) runtime.Record {
	v := []byte{0, 0}
	topics := byTopic(s.Sorted())
	v = kbin.AppendCompactArrayLen(v, len(topics))
	for _, ps := range topics {
		v = kbin.AppendUuid(v, ps[0].Topic)
		v = kbin.AppendCompactArrayLen(v, len(ps))
		for _, p := range ps {
			v = kbin.AppendInt32(v, p.ID)
		}
		v = appendTags(v)
	}
	return runtime.Record{Key: consumerKey(targetMemberKeyOf, group, member), Value: appendTags(v)}
}

// byTopic parts partitions in order into those of each topic.
func byTopic(sorted []assign.Partition) (topics [][]assign.Partition) {
	for i, p := range sorted {
		if i == 0 || p.Topic != sorted[i-1].Topic {
			topics = append(topics, nil)
		}
		topics[len(topics)-1] = append(topics[len(topics)-1], p)
	}
	return topics
}

func readTarget(b []byte) (assign.Set, error) {
	r, err := version0(b, "target of a member")
	if err != nil {
		return nil, err
	}
	s := assign.Set{}
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		topic := r.Uuid()
		for k := r.CompactArrayLen(); k > 0 && r.Ok(); k-- {
			s[assign.Partition{Topic: topic, ID: r.Int32()}] = struct{}{}
		}
		readTags(r)
	}
	readTags(r)
	return s, complete(r, "target of a member")
}

func currentRecord(group string, mb *consumerMember) runtime.Record {
	v := kbin.AppendInt32([]byte{0, 0}, mb.epoch)
	v = kbin.AppendInt32(v, mb.previous)
	v = kbin.AppendInt8(v, int8(mb.state))
	v = mb.assigned.append(v)
	v = mb.revoking.append(v)
	return runtime.Record{Key: consumerKey(currentKeyOf, group, mb.id), Value: appendTags(v)}
}

// append writes the epochs in which the partitions were got into a tagged field, as brokers have since 4.3.
func (h holding) append(v []byte) []byte {
	topics := byTopic(h.sorted())
	v = kbin.AppendCompactArrayLen(v, len(topics))
	for _, ps := range topics {
		v = kbin.AppendUuid(v, ps[0].Topic)
		v = kbin.AppendCompactArrayLen(v, len(ps))
		epochs := kbin.AppendCompactArrayLen(nil, len(ps))
		for _, p := range ps {
			v = kbin.AppendInt32(v, p.ID)
			epochs = kbin.AppendInt32(epochs, h[p])
		}
		v = appendTags(v, tag{0, epochs})
	}
	return v
}

// readCurrent reads what a member has into a member that has the rest already.
func readCurrent(b []byte, mb *consumerMember) error {
	const what = "assignment of a member"
	r, err := version0(b, what)
	if err != nil {
		return err
	}
	mb.epoch, mb.previous = r.Int32(), r.Int32()
	switch mb.state = memberState(r.Int8()); mb.state {
	case memberStable, memberUnrevoked, memberUnreleased:
	default:
		mb.state = memberUnknown
	}
	mb.assigned, mb.revoking = readHolding(r, mb.epoch), readHolding(r, mb.epoch)
	readTags(r)
	return complete(r, what)
}

// readHolding takes partitions without epochs of their own, of brokers before 4.3, for got in the member's.
func readHolding(r *kbin.Reader, epoch int32) holding {
	h := holding{}
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		topic := r.Uuid()
		var ids []int32
		for k := r.CompactArrayLen(); k > 0 && r.Ok(); k-- {
			ids = append(ids, r.Int32())
		}
		e := kbin.Reader{Src: readTags(r)}
		known := int(e.CompactArrayLen()) == len(ids)
		for _, id := range ids {
			since := max(epoch, 0)
			if known {
				since = e.Int32()
			}
			h[assign.Partition{Topic: topic, ID: id}] = since
		}
	}
	return h
}

// regexRecord has the time (ms since 1970) of the search. The version is that of the metadata that were searched, by which Kafka
// knows whether to search anew; 0 makes it do so.
func regexRecord(group, regex string, topics []string, at int64) runtime.Record {
	v := kbin.AppendCompactArrayLen([]byte{0, 0}, len(topics))
	for _, t := range topics {
		v = kbin.AppendCompactString(v, t)
	}
	v = kbin.AppendInt64(v, 0)
	v = kbin.AppendInt64(v, at)
	return runtime.Record{Key: consumerKey(regexKeyOf, group, regex), Value: appendTags(v)}
}

func readRegex(b []byte) ([]string, error) {
	r, err := version0(b, "topics of a regular expression")
	if err != nil {
		return nil, err
	}
	topics := []string{}
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		topics = append(topics, r.CompactString())
	}
	r.Int64()
	r.Int64()
	readTags(r)
	return sortedTopics(topics), complete(r, "topics of a regular expression")
}
