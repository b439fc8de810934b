// Package xxh3 is the 64-bit hash XXH3 without a seed, with which Apache Kafka 4.x sums up the topics of a consumer group.
//
// # Owns
//
// The hash of a run of bytes that is at hand. There is no stream.
//
// # Must never know
//
// What the bytes mean.
package xxh3

import (
	"encoding/binary"
	"math/bits"
)

const (
	prime32a = 0x9E3779B1
	prime32b = 0x85EBCA77
	prime32c = 0xC2B2AE3D
	prime64a = 0x9E3779B185EBCA87
	prime64b = 0xC2B2AE3D27D4EB4F
	prime64c = 0x165667B19E3779F9
	prime64d = 0x85EBCA77C2B2AE63
	prime64e = 0x27D4EB2F165667C5
	primeMx1 = 0x165667919E3779F9
	primeMx2 = 0x9FB21C651E98DF25
)

// secret is the default one of the specification.
var secret = [secretSize]byte{
	0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
	0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
	0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
	0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
	0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
	0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
	0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
	0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
	0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
	0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
	0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
	0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
}

const secretSize = 192

func u32(b []byte) uint64 { return uint64(binary.LittleEndian.Uint32(b)) }
func u64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// key is a word of the secret.
func key(at int) uint64 { return binary.LittleEndian.Uint64(secret[at:]) }

// Sum64 is the hash.
func Sum64(b []byte) uint64 {
	switch n := len(b); {
	case n == 0:
		return avalanche64(key(56) ^ key(64))
	case n <= 3:
		c := uint64(b[0])<<16 | uint64(b[n>>1])<<24 | uint64(b[n-1]) | uint64(n)<<8
		return avalanche64(c ^ (key(0)&0xffffffff ^ key(4)&0xffffffff))
	case n <= 8:
		v := u32(b[n-4:]) + u32(b)<<32
		return strong(v^(key(8)^key(16)), uint64(n))
	case n <= 16:
		lo := u64(b) ^ (key(24) ^ key(32))
		hi := u64(b[n-8:]) ^ (key(40) ^ key(48))
		return avalanche(uint64(n) + bits.ReverseBytes64(lo) + hi + fold(lo, hi))
	case n <= 128:
		return short(b)
	case n <= 240:
		return middle(b)
	}
	return long(b)
}

func short(b []byte) uint64 {
	n := len(b)
	acc := uint64(n) * prime64a
	for i := (n - 1) / 32; i >= 0; i-- {
		acc += mix16(b[16*i:], 32*i) + mix16(b[n-16*(i+1):], 32*i+16)
	}
	return avalanche(acc)
}

func middle(b []byte) uint64 {
	n := len(b)
	acc := uint64(n) * prime64a
	for i := range 8 {
		acc += mix16(b[16*i:], 16*i)
	}
	acc = avalanche(acc)
	for i := 8; i < n/16; i++ {
		acc += mix16(b[16*i:], 16*(i-8)+3)
	}
	acc += mix16(b[n-16:], 136-17)
	return avalanche(acc)
}

const (
	stripe  = 64
	rate    = 8 // of the secret, bytes a stripe
	stripes = (secretSize - stripe) / rate
	block   = stripe * stripes
)

func long(b []byte) uint64 {
	acc := [8]uint64{prime32c, prime64a, prime64b, prime64c, prime64d, prime32b, prime64e, prime32a}
	rest := b
	for len(rest) > block {
		for i := range stripes {
			accumulate(&acc, rest[stripe*i:], rate*i)
		}
		scramble(&acc)
		rest = rest[block:]
	}
	for i := range (len(rest) - 1) / stripe {
		accumulate(&acc, rest[stripe*i:], rate*i)
	}
	accumulate(&acc, b[len(b)-stripe:], secretSize-stripe-7)
	sum := uint64(len(b)) * prime64a
	for i := range 4 {
		sum += fold(acc[2*i]^key(11+16*i), acc[2*i+1]^key(11+16*i+8))
	}
	return avalanche(sum)
}

func accumulate(acc *[8]uint64, b []byte, at int) {
	for i := range 8 {
		v := u64(b[8*i:])
		k := v ^ key(at+8*i)
		acc[i^1] += v
		acc[i] += k & 0xffffffff * (k >> 32)
	}
}

func scramble(acc *[8]uint64) {
	for i := range acc {
		a := acc[i]
		a ^= a >> 47
		a ^= key(secretSize - stripe + 8*i)
		acc[i] = a * prime32a
	}
}

func mix16(b []byte, at int) uint64 { return fold(u64(b)^key(at), u64(b[8:])^key(at+8)) }

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func avalanche(h uint64) uint64 {
	h ^= h >> 37
	h *= primeMx1
	return h ^ h>>32
}

// avalanche64 is that of XXH64.
func avalanche64(h uint64) uint64 {
	h ^= h >> 33
	h *= prime64b
	h ^= h >> 29
	h *= prime64c
	return h ^ h>>32
}

func strong(h, n uint64) uint64 {
	h ^= bits.RotateLeft64(h, 49) ^ bits.RotateLeft64(h, 24)
	h *= primeMx2
	h ^= h>>35 + n
	h *= primeMx2
	return h ^ h>>28
}
