package codec

import (
	"encoding/binary"
	"math"

	"github.com/golang/snappy"
)

const (
	// xerialHeader is magic, version 1, oldest compatible version 1 (org.xerial.snappy.SnappyCodec). The versions are not
	// looked at when reading, there as here.
	xerialMagic      = "\x82SNAPPY\x00"
	xerialHeader     = xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01"
	xerialMagicHead  = 0x82534e41 // the first four bytes, where a block's length would stand
	xerialBlockBytes = 32 << 10

	// snappyMaxRatio bounds what a block can inflate to: its densest element makes 64 bytes of 3.
	snappyMaxRatio = 22
)

func snappyCompress(dst, src []byte) []byte {
	dst = append(dst, xerialHeader...)
	for len(src) > 0 {
		block := src[:min(len(src), xerialBlockBytes)]
		src = src[len(block):]
		most := snappy.MaxEncodedLen(len(block))
		dst = room(dst, 4+most, math.MaxInt)
		at := len(dst) + 4
		packed := snappy.Encode(dst[at:at+most], block)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(packed)))
		dst = dst[:at+len(packed)]
	}
	return dst
}

// snappyBlocks walks the compressed blocks of an input in either framing.
type snappyBlocks struct {
	in   []byte
	bare bool // the input is one block without framing
	done bool
}

func newSnappyBlocks(src []byte) (snappyBlocks, error) {
	if len(src) == 0 {
		return snappyBlocks{}, corruptf(Snappy, "no input")
	}
	if len(src) < len(xerialHeader) || string(src[:len(xerialMagic)]) != xerialMagic {
		return snappyBlocks{in: src, bare: true}, nil
	}
	return snappyBlocks{in: src[len(xerialHeader):]}, nil
}

// next is the next block and the size that it says it inflates to. nil is the end; fewer than four bytes of a length
// are one too.
func (s *snappyBlocks) next() (block []byte, size int, err error) {
	if s.done {
		return nil, 0, nil
	}
	if s.bare {
		s.done = true
		return s.sized(s.in)
	}
	for {
		if len(s.in) < 4 {
			return nil, 0, nil
		}
		length := binary.BigEndian.Uint32(s.in)
		if length == xerialMagicHead {
			if len(s.in) < len(xerialHeader) {
				return nil, 0, corruptf(Snappy, "second header cut short")
			}
			if string(s.in[:len(xerialMagic)]) != xerialMagic {
				s.done = true
				return nil, 0, nil
			}
			s.in = s.in[len(xerialHeader):]
			continue
		}
		s.in = s.in[4:]
		if uint64(length) > uint64(len(s.in)) {
			return nil, 0, corruptf(Snappy, "block of %d bytes where %d are left", length, len(s.in))
		}
		block, s.in = s.in[:length], s.in[length:]
		return s.sized(block)
	}
}

func (s *snappyBlocks) sized(block []byte) ([]byte, int, error) {
	size, err := snappy.DecodedLen(block)
	if err != nil {
		return nil, 0, corrupt(Snappy, err)
	}
	if size > snappyMaxRatio*len(block) {
		return nil, 0, corruptf(Snappy, "%d bytes cannot inflate to %d", len(block), size)
	}
	return block, size, nil
}

func snappyDecompress(dst, src []byte, limit int) ([]byte, error) {
	blocks, err := newSnappyBlocks(src)
	if err != nil {
		return dst, err
	}
	end := len(dst) + limit
	for {
		block, size, err := blocks.next()
		if err != nil || block == nil {
			return dst, err
		}
		if size > end-len(dst) {
			return dst, ErrTooLarge
		}
		dst = room(dst, size, end)
		at := len(dst)
		if _, err := snappy.Decode(dst[at:at+size], block); err != nil {
			return dst, corrupt(Snappy, err)
		}
		dst = dst[:at+size]
	}
}
