package codec

import (
	"bytes"
	"fmt"
	"io"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// NewReader inflates src piece by piece, for inputs that are too large to be held: the memory taken is that of one
// block (snappy: the whole of a bare block, at most 22 times the input; zstd: the frame's window, at most 128 MiB),
// however much comes out. Read returns io.EOF only at the proper end of the input and otherwise an error that
// Decompress would have returned. Close gives back what it holds; src must stay unchanged until then.
func NewReader(src []byte, t Type, magic int8) (io.ReadCloser, error) {
	switch t {
	case None:
		return io.NopCloser(bytes.NewReader(src)), nil
	case Gzip:
		r := &gzipStream{d: new(gzipDecoder)}
		r.d.in.Reset(src)
		return r, r.d.nextMember(true)
	case Snappy:
		blocks, err := newSnappyBlocks(src)
		return &blockStream{next: func(room []byte) ([]byte, error) { return nextSnappy(&blocks, room) }}, err
	case LZ4:
		blocks, err := newLZ4Blocks(src, magic)
		return &blockStream{next: func(room []byte) ([]byte, error) { return nextLZ4(&blocks, room) }}, err
	case Zstd:
		if magic >= 2 {
			d := newZstdDecoder()
			return &zstdStream{d}, d.Reset(bytes.NewReader(src))
		}
	}
	return nil, fmt.Errorf("%w: %v in magic %d", ErrUnknown, t, magic)
}

type gzipStream struct{ d *gzipDecoder }

func (s *gzipStream) Close() error { return nil }

func (s *gzipStream) Read(p []byte) (int, error) {
	for {
		n, err := s.d.gz.Read(p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, nil
		case err != io.EOF:
			return 0, corrupt(Gzip, noEOF(err))
		}
		if err := s.d.nextMember(false); err != nil {
			return 0, err
		}
	}
}

type zstdStream struct{ d *zstd.Decoder }

func (s *zstdStream) Close() error {
	s.d.Close()
	return nil
}

func (s *zstdStream) Read(p []byte) (int, error) {
	n, err := s.d.Read(p)
	if err != nil && err != io.EOF {
		err = corrupt(Zstd, noEOF(err))
	}
	return n, err
}

// blockStream reads formats that are made of independent blocks. next inflates the next one, into room if it is large
// enough; nil is the end.
type blockStream struct {
	next func(room []byte) ([]byte, error)
	room []byte
	left []byte
	err  error
}

func (s *blockStream) Close() error { return nil }

func (s *blockStream) Read(p []byte) (int, error) {
	for len(s.left) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		block, err := s.next(s.room)
		switch {
		case err != nil:
			s.err = err
		case block == nil:
			s.err = io.EOF
		default:
			s.left, s.room = block, block[:cap(block)]
		}
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

func nextSnappy(blocks *snappyBlocks, room []byte) ([]byte, error) {
	block, size, err := blocks.next()
	if err != nil || block == nil {
		return nil, err
	}
	room = enough(room, size)
	if _, err := snappy.Decode(room[:size], block); err != nil {
		return nil, corrupt(Snappy, err)
	}
	return room[:size], nil
}

func nextLZ4(blocks *lz4Blocks, room []byte) ([]byte, error) {
	block, stored, err := blocks.next()
	if err != nil || block == nil {
		return nil, err
	}
	size := blocks.inflatedMax(block)
	room = enough(room, size)
	if stored {
		return room[:copy(room, block)], nil
	}
	n, err := lz4.UncompressBlock(block, room[:size])
	if err != nil {
		return nil, corrupt(LZ4, err)
	}
	return room[:n], nil
}

func enough(room []byte, size int) []byte {
	if len(room) < size || room == nil {
		return make([]byte, size)
	}
	return room
}
