package dump

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// errMessage is a message that its table does not fit.
var errMessage = errors.New("malformed message")

type kind uint8

const (
	i8 kind = iota
	i16
	i32
	i64
	str
	bin
	uid
	list   // of elem
	object // of fields
)

// field is one line of a table.
type field struct {
	name     string
	kind     kind
	from, to int16 // versions that have it; to 0 means all from there on
	nullable bool
	elem     *field   // of a list
	fields   []field  // of an object
	tag      int      // 1 + the number of a tagged field
	embedded *message // what the bytes are if the group's protocol is the consumers'
}

// message is a table: its name is of use in errors only.
type message struct {
	name     string
	max      int16 // highest version
	flexible int16 // first version with compact lengths and tags; -1 is none
	fields   []field
}

// json reads a message from its version on: `{"version":"1","data":{...}}`, with label for "version".
func (m *message) json(label string, b []byte) (string, error) {
	p := &parser{in: b}
	v := int16(p.uint(2))
	if v < 0 || v > m.max {
		return "", fmt.Errorf("%s of version %d: %w", m.name, v, errMessage)
	}
	p.out = append(p.out, fmt.Sprintf(`{"%s":"%d","data":`, label, v)...)
	p.message(m, v)
	if p.bad {
		return "", fmt.Errorf("%s of version %d: %w", m.name, v, errMessage)
	}
	return string(append(p.out, '}')), nil
}

// parser turns bytes into JSON; bad sticks.
type parser struct {
	in  []byte
	out []byte
	bad bool

	version  int16
	flexible bool
	consumer bool // protocolType was "consumer"
}

func (p *parser) message(m *message, version int16) {
	p.version, p.flexible = version, m.flexible >= 0 && version >= m.flexible
	p.object(m.fields)
}

func (p *parser) take(n uint64) []byte {
	if n > uint64(len(p.in)) {
		p.bad, p.in = true, nil
		return nil
	}
	b := p.in[:n]
	p.in = p.in[n:]
	return b
}

func (p *parser) uint(size uint64) uint64 {
	var v uint64
	for _, c := range p.take(size) {
		v = v<<8 | uint64(c)
	}
	return v
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.in)
	if n <= 0 {
		p.bad, p.in = true, nil
		return 0
	}
	p.in = p.in[n:]
	return v
}

// length reads that of a string, bytes or list; -1 is null. It never exceeds what is left to read.
func (p *parser) length(classic uint64) int64 {
	var n int64
	switch {
	case p.flexible:
		n = int64(p.uvarint()) - 1
	case classic == 2:
		n = int64(int16(p.uint(2)))
	default:
		n = int64(int32(p.uint(4)))
	}
	if n < -1 || n > int64(len(p.in)) {
		p.bad, p.in = true, nil
		return -1
	}
	return n
}

func (p *parser) print(s string) { p.out = append(p.out, s...) }

func (p *parser) object(fields []field) {
	p.print("{")
	first := true
	key := func(f *field) {
		if !first {
			p.print(",")
		}
		first = false
		p.print(strconv.Quote(f.name) + ":")
	}
	for i := range fields {
		f := &fields[i]
		if f.tag > 0 || p.version < f.from || f.to > 0 && p.version > f.to {
			continue
		}
		key(f)
		p.value(f)
	}
	if p.flexible {
		p.tags(fields, key)
	}
	p.print("}")
}

func (p *parser) tags(fields []field, key func(*field)) {
	for n := p.uvarint(); n > 0 && !p.bad; n-- {
		number := p.uvarint()
		body := p.take(p.uvarint())
		for i := range fields {
			if f := &fields[i]; f.tag > 0 && uint64(f.tag-1) == number {
				rest := p.in
				p.in = body
				key(f)
				p.tagged(f)
				p.in = rest
			}
		}
	}
}

// tagged reads a tagged field's value: that of an object that may be null begins with a varint, where others have a byte that is
// negative for null.
func (p *parser) tagged(f *field) {
	switch {
	case f.kind != object || !f.nullable:
		p.value(f)
	case p.uvarint() == 0:
		p.print("null")
	default:
		p.object(f.fields)
	}
}

func (p *parser) value(f *field) {
	switch f.kind {
	case i8:
		p.print(strconv.Itoa(int(int8(p.uint(1)))))
	case i16:
		p.print(strconv.Itoa(int(int16(p.uint(2)))))
	case i32:
		p.print(strconv.Itoa(int(int32(p.uint(4)))))
	case i64:
		p.print(strconv.FormatInt(int64(p.uint(8)), 10))
	case uid:
		p.print(`"` + uuid(p.take(16)) + `"`)
	case str:
		if n := p.length(2); n >= 0 {
			s := string(p.take(uint64(n)))
			p.consumer = p.consumer || f.name == "protocolType" && s == "consumer"
			quoted, _ := json.Marshal(s) // a string has no error
			p.out = append(p.out, quoted...)
			return
		}
		p.null(f)
	case bin:
		if n := p.length(4); n >= 0 {
			p.bytes(f, p.take(uint64(n)))
			return
		}
		p.null(f)
	case list:
		n := p.length(4)
		if n < 0 {
			p.null(f)
			return
		}
		p.print("[")
		for i := int64(0); i < n && !p.bad; i++ {
			if i > 0 {
				p.print(",")
			}
			p.value(f.elem)
		}
		p.print("]")
	case object:
		if f.nullable && int8(p.uint(1)) < 0 {
			p.print("null")
			return
		}
		p.object(f.fields)
	}
}

func (p *parser) null(f *field) {
	p.print("null")
	p.bad = p.bad || !f.nullable
}

// bytes prints Base64, or the message inside if it is one of the consumers' protocol.
func (p *parser) bytes(f *field, b []byte) {
	if f.embedded != nil && p.consumer {
		inner := &parser{in: b}
		// A version above the highest only adds to the end.
		inner.message(f.embedded, min(int16(inner.uint(2)), f.embedded.max))
		if !inner.bad {
			p.out = append(p.out, inner.out...)
			return
		}
	}
	p.print(`"` + base64.StdEncoding.EncodeToString(b) + `"`)
}
