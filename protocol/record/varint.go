package record

// Varints are zig-zag. The readers take the position and return the next one; a varint that is cut short or too long
// comes back as 0 at a position behind the end of b, from which every further read fails the same way. So a walk may read
// a whole record and look at the position once. What is tolerated (idle bits at the top of the last byte) is what
// Kafka's ByteUtils tolerates. One and two bytes are the usual.

func varint(b []byte, p int) (int32, int) {
	if uint(p) < uint(len(b)) {
		u := uint32(b[p])
		p++
		if u < 0x80 {
			return int32(u>>1) ^ -int32(u&1), p
		}
		if uint(p) < uint(len(b)) && b[p] < 0x80 {
			u = u&0x7f | uint32(b[p])<<7
			return int32(u>>1) ^ -int32(u&1), p + 1
		}
		p--
	}
	return varintSlow(b, p)
}

func varintSlow(b []byte, p int) (int32, int) {
	var u uint32
	for shift := 0; shift < 35 && p < len(b); shift += 7 {
		c := b[p]
		p++
		u |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return int32(u>>1) ^ -int32(u&1), p
		}
	}
	return 0, len(b) + 1
}

func varlong(b []byte, p int) (int64, int) {
	if uint(p) < uint(len(b)) {
		u := uint64(b[p])
		p++
		if u < 0x80 {
			return int64(u>>1) ^ -int64(u&1), p
		}
		if uint(p) < uint(len(b)) && b[p] < 0x80 {
			u = u&0x7f | uint64(b[p])<<7
			return int64(u>>1) ^ -int64(u&1), p + 1
		}
		p--
	}
	return varlongSlow(b, p)
}

func varlongSlow(b []byte, p int) (int64, int) {
	var u uint64
	for shift := 0; shift < 70 && p < len(b); shift += 7 {
		c := b[p]
		p++
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), p
		}
	}
	return 0, len(b) + 1
}

func appendVarint(b []byte, v int32) []byte { return appendVarlong(b, int64(v)) }

func appendVarlong(b []byte, v int64) []byte {
	u := uint64(v)<<1 ^ uint64(v>>63)
	for u >= 0x80 {
		b = append(b, byte(u)|0x80)
		u >>= 7
	}
	return append(b, byte(u))
}

func sizeVarint(v int32) int { return sizeVarlong(int64(v)) }

func sizeVarlong(v int64) int {
	n := 1
	for u := uint64(v)<<1 ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
