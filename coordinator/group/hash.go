package group

import "unicode/utf8"

// PartitionFor is the partition of __consumer_offsets that a group belongs to: Kafka takes Java's hash of the string, over
// UTF-16 units, its absolute value, modulo the number of partitions.
func PartitionFor(group string, partitions int32) int32 {
	h := int32(0)
	for i := 0; i < len(group); {
		r, n := utf8.DecodeRuneInString(group[i:])
		i += n
		if r > 0xffff {
			r -= 0x10000
			h = 31*h + int32(0xd800+r>>10)
			r = 0xdc00 + r&0x3ff
		}
		h = 31*h + int32(r)
	}
	switch {
	case h == -1<<31:
		h = 0
	case h < 0:
		h = -h
	}
	return h % max(partitions, 1)
}

// javaLength is the length of a string as Java counts it: UTF-16 units.
func javaLength(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}
