package api

import "encoding/binary"

// topicString is the cluster's own string for the name of a topic that it knows.
func topicString(images Images, name []byte) string {
	if t := images.Current().Topics[string(name)]; t != nil {
		return t.Name
	}
	return string(name)
}

// fields reads the usual forms of a request's fields without allocating. What is unusual, be it allowed or not, makes it
// odd, and it stays so: then kmsg has to look at the request.
type fields struct {
	b        []byte
	flexible bool // compact lengths, tagged fields
	odd      bool
}

// span is the next n bytes; they are part of the body.
func (c *fields) span(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.b, c.odd = nil, true
		return nil
	}
	s := c.b[:n:n]
	c.b = c.b[n:]
	return s
}

func (c *fields) int8() int8 {
	if s := c.span(1); s != nil {
		return int8(s[0])
	}
	return 0
}

func (c *fields) int16() int16 {
	if s := c.span(2); s != nil {
		return int16(binary.BigEndian.Uint16(s))
	}
	return 0
}

func (c *fields) int32() int32 {
	if s := c.span(4); s != nil {
		return int32(binary.BigEndian.Uint32(s))
	}
	return 0
}

func (c *fields) int64() int64 {
	if s := c.span(8); s != nil {
		return int64(binary.BigEndian.Uint64(s))
	}
	return 0
}

// compact is a length of the flexible versions; -1 is null.
func (c *fields) compact() int {
	n := c.uvarint()
	if c.odd {
		return 0
	}
	return n - 1
}

// uvarint is a number of tagged fields, or a size of one.
func (c *fields) uvarint() int {
	n, size := binary.Uvarint(c.b)
	if size <= 0 || n > 1<<31-1 {
		c.b, c.odd = nil, true
		return 0
	}
	c.b = c.b[size:]
	return int(n)
}

// string is the bytes of a string that is not null.
func (c *fields) string() []byte {
	if c.flexible {
		return c.span(c.compact())
	}
	return c.span(int(c.int16()))
}

// bytes is a block of bytes that is not null.
func (c *fields) bytes() []byte {
	if c.flexible {
		return c.span(c.compact())
	}
	return c.span(int(c.int32()))
}

// count is how many elements an array has. Null is odd, and so is one that cannot be that long.
func (c *fields) count() int {
	var n int
	if c.flexible {
		n = c.compact()
	} else {
		n = int(c.int32())
	}
	if n < 0 || n > len(c.b) {
		c.b, c.odd = nil, true
		return 0
	}
	return n
}

// noString passes over a string that must be null.
func (c *fields) noString() {
	n := -1
	if c.flexible {
		n = c.compact()
	} else {
		n = int(c.int16())
	}
	if n != -1 {
		c.odd = true
	}
}

// noTags passes over tagged fields, of which there must be none.
func (c *fields) noTags() {
	if c.flexible && c.int8() != 0 {
		c.odd = true
	}
}

// done says whether everything was read and nothing was odd.
func (c *fields) done() bool { return !c.odd && len(c.b) == 0 }
