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

func appendStrings(dst []byte, list []string) []byte {
	dst = kbin.AppendCompactArrayLen(dst, len(list))
	for _, s := range list {
		dst = kbin.AppendCompactString(dst, s)
	}
	return dst
}

func readStrings(r *kbin.Reader) []string {
	list := []string{}
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		list = append(list, r.CompactString())
	}
	return list
}

// appendPartitions writes partitions, in order, by their topics; tags gives the tagged fields of a topic's.
func appendPartitions(dst []byte, sorted []assign.Partition, tags func(ofTopic []assign.Partition) []tag) []byte {
	topics := byTopic(sorted)
	dst = kbin.AppendCompactArrayLen(dst, len(topics))
	for _, ps := range topics {
		dst = kbin.AppendUuid(dst, ps[0].Topic)
		dst = kbin.AppendCompactArrayLen(dst, len(ps))
		for _, p := range ps {
			dst = kbin.AppendInt32(dst, p.ID)
		}
		dst = appendTags(dst, tags(ps)...)
	}
	return dst
}

// readPartitions gives the partitions of each topic with its tagged field 0.
func readPartitions(r *kbin.Reader, each func(ofTopic []assign.Partition, first []byte)) {
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		topic := r.Uuid()
		var ps []assign.Partition
		for k := r.CompactArrayLen(); k > 0 && r.Ok(); k-- {
			ps = append(ps, assign.Partition{Topic: topic, ID: r.Int32()})
		}
		each(ps, readTags(r))
	}
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
	v = appendStrings(v, mb.topics)
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
	mb.topics = sortedTopics(readStrings(r))
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
	v := appendPartitions([]byte{0, 0}, s.Sorted(), func([]assign.Partition) []tag { return nil })
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
	readPartitions(r, func(ofTopic []assign.Partition, _ []byte) {
		for _, p := range ofTopic {
			s[p] = struct{}{}
		}
	})
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
	return appendPartitions(v, h.sorted(), func(ofTopic []assign.Partition) []tag {
		epochs := kbin.AppendCompactArrayLen(nil, len(ofTopic))
		for _, p := range ofTopic {
			epochs = kbin.AppendInt32(epochs, h[p])
		}
		return []tag{{0, epochs}}
	})
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
	readPartitions(r, func(ofTopic []assign.Partition, first []byte) {
		e := kbin.Reader{Src: first}
		known := int(e.CompactArrayLen()) == len(ofTopic)
		for _, p := range ofTopic {
			if h[p] = max(epoch, 0); known {
				h[p] = e.Int32()
			}
		}
	})
	return h
}

// regexRecord has the time (ms since 1970) of the search. The version is that of the metadata that were searched, by which Kafka
// knows whether to search anew; 0 makes it do so.
func regexRecord(group, regex string, topics []string, at int64) runtime.Record {
	v := appendStrings([]byte{0, 0}, topics)
	v = kbin.AppendInt64(v, 0)
	v = kbin.AppendInt64(v, at)
	return runtime.Record{Key: consumerKey(regexKeyOf, group, regex), Value: appendTags(v)}
}

func readRegex(b []byte) ([]string, error) {
	r, err := version0(b, "topics of a regular expression")
	if err != nil {
		return nil, err
	}
	topics := readStrings(r)
	r.Int64()
	r.Int64()
	readTags(r)
	return sortedTopics(topics), complete(r, "topics of a regular expression")
}
