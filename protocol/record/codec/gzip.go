package codec

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

type gzipDecoder struct {
	in  bytes.Reader
	gz  gzip.Reader
	one [1]byte // to find out whether there is more when there is no room
}

var gzipDecoders = sync.Pool{New: func() any { return new(gzipDecoder) }}

// nextMember begins the next gzip member of the input; io.EOF when there is none. Only the first one must be there.
func (d *gzipDecoder) nextMember(first bool) error {
	if err := d.gz.Reset(&d.in); err != nil {
		if first {
			return corrupt(Gzip, noEOF(err))
		}
		return io.EOF
	}
	d.gz.Multistream(false)
	return nil
}

func gzipDecompress(dst, src []byte, limit int) ([]byte, error) {
	d := gzipDecoders.Get().(*gzipDecoder)
	defer func() {
		d.in.Reset(nil)
		gzipDecoders.Put(d)
	}()
	d.in.Reset(src)
	end := len(dst) + limit
	dst = room(dst, firstGuess(src), end)
	for first := true; ; first = false {
		if err := d.nextMember(first); err == io.EOF {
			return dst, nil
		} else if err != nil {
			return dst, err
		}
		var err error
		if dst, err = d.readAll(dst, end); err != nil {
			return dst, err
		}
	}
}

// readAll appends what the member has left, until the slice would be longer than end.
func (d *gzipDecoder) readAll(dst []byte, end int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) && len(dst) < end {
			dst = room(dst, len(dst)+1, end)
		}
		into := dst[len(dst):min(cap(dst), end)]
		if len(into) == 0 {
			into = d.one[:]
		}
		n, err := d.gz.Read(into)
		if n > 0 && len(dst) == end {
			return dst, ErrTooLarge
		}
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, corrupt(Gzip, noEOF(err))
		}
	}
}

// noEOF keeps the end of an input that should not have ended from looking like a proper end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// gzipEncoders has a pool for each level, the default at 0.
var gzipEncoders [gzip.BestCompression + 1]sync.Pool

func gzipCompress(dst, src []byte, level int) ([]byte, error) {
	level = min(max(level, 0), gzip.BestCompression) // -1 is the default too
	setting := level
	if level == 0 {
		setting = gzip.DefaultCompression
	}
	out := appender{dst}
	w, ok := gzipEncoders[level].Get().(*gzip.Writer)
	if !ok {
		var err error
		if w, err = gzip.NewWriterLevel(&out, setting); err != nil {
			return dst, err
		}
	} else {
		w.Reset(&out)
	}
	_, err := w.Write(src)
	if err == nil {
		err = w.Close()
	}
	w.Reset(nil)
	gzipEncoders[level].Put(w)
	return out.b, err
}

// appender is a writer into a slice.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
