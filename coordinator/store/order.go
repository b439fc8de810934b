package store

import (
	"cmp"
	"slices"
)

// Kafka writes JSON objects from hash tables and in their order. These functions put keys into the order in which the
// tables of Kafka 3.9 (Scala 2.13 on Java 11 or later) would hand them out. Readers do not care, but people and scripts
// that compare two trees do.

// mutableOrder is the order of a scala.collection.mutable.HashMap that started empty: by bucket of a table of 16 that
// doubles at three quarters, within a bucket by hash.
func mutableOrder[K any](keys []K, name func(K) string) {
	size := tableFor(len(keys))
	slices.SortFunc(keys, func(a, b K) int {
		x, y := spread(javaHash(name(a))), spread(javaHash(name(b)))
		return cmp.Or(cmp.Compare(uint32(x)&(size-1), uint32(y)&(size-1)), cmp.Compare(x, y), cmp.Compare(name(a), name(b)))
	})
}

// propertiesOrder is the order of a java.util.Properties (a ConcurrentHashMap inside): by bucket of a table of 16 that
// doubles at three quarters. Within a bucket Java keeps the order of insertion, which we do not know: there the names'.
func propertiesOrder(keys []string) {
	size := tableFor(len(keys))
	slices.SortFunc(keys, func(a, b string) int {
		x, y := uint32(spread(javaHash(a)))&(size-1), uint32(spread(javaHash(b)))&(size-1)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
	})
}

// immutableOrder is the order of a scala.collection.immutable.Map: up to four keys as they were put in, more by the
// trie (CHAMP) that keeps them: five bits of the hash a level, a node's own keys before those of its children.
func immutableOrder[K any](keys []K, name func(K) string) {
	if len(keys) > 4 {
		trieOrder(keys, name, 0)
	}
}

func trieOrder[K any](keys []K, name func(K) string, shift uint) {
	if len(keys) < 2 || shift >= 32 { // equal hashes: a collision node, in the order of insertion
		return
	}
	slot := func(k K) uint32 { return improve(javaHash(name(k))) >> shift & 31 }
	var count [32]int
	for _, k := range keys {
		count[slot(k)]++
	}
	child := func(k K) int { // 0 for a key of this node, 1 for one that shares its slot and moves down
		if count[slot(k)] > 1 {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(keys, func(a, b K) int {
		return cmp.Or(cmp.Compare(child(a), child(b)), cmp.Compare(slot(a), slot(b)))
	})
	for from := 0; from < len(keys); {
		n := count[slot(keys[from])]
		trieOrder(keys[from:from+n], name, shift+5)
		from += n
	}
}

// tableFor is the length of a table that has grown one key at a time to n keys.
func tableFor(n int) uint32 {
	size := uint32(16)
	for n >= int(size)/4*3 {
		size *= 2
	}
	return size
}

// spread is how both Java and Scala's mutable map mix a hash; improve is how Scala's immutable map does.
func spread(h int32) int32 { return h ^ int32(uint32(h)>>16) }

func improve(hash int32) uint32 {
	h := uint32(hash)
	h += ^(h << 9)
	h ^= h >> 14
	h += h << 4
	return h ^ h>>10
}

// javaHash is String.hashCode: over UTF-16 code units.
func javaHash(s string) int32 {
	var h uint32
	for _, r := range s {
		if r >= 0x10000 {
			r -= 0x10000
			h = 31*h + 0xd800 + uint32(r>>10)
			r = 0xdc00 + r&0x3ff
		}
		h = 31*h + uint32(r)
	}
	return int32(h)
}
