package api

import (
	"bytes"
	"reflect"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A shape is how the fields of a request, or of an element of its arrays, follow each other on the wire at one version. It
// serves to count what a body has in its arrays before any of it is decoded: decoded, an element that takes two bytes of a
// body takes a hundred of memory, and more when it is answered.
//
// Shapes are not written down but found out: kmsg has the fields in their order, and writes those that a version has. A field
// belongs to it if a request with another value there is written differently.
type shape struct {
	parts    []shapePart
	flexible bool // compact lengths
	tagged   bool // ends with tagged fields
}

// shapePart is one field, or several of a fixed size.
type shapePart struct {
	kind partKind
	size int    // of fixed parts; of the length that is in front of others, where it is not compact
	of   *shape // of elements
}

type partKind int8

const (
	fixed    partKind = iota
	text              // a string or bytes
	array             // of elements
	optional          // one byte, negative for null, then an element
)

// shapes are those of an API, by version, each made when it is first asked for.
type shapes struct {
	key int16
	mu  sync.Mutex // guards of
	of  map[int16]*shape
}

func (s *shapes) at(version int16) *shape {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.of[version]; known != nil {
		return known
	}
	if s.of == nil {
		s.of = map[int16]*shape{}
	}
	req := kmsg.RequestForKey(s.key)
	req.SetVersion(version)
	v := reflect.ValueOf(req).Elem()
	populate(v)
	p := prober{write: func() []byte { return req.AppendTo(nil) }, flexible: req.IsFlexible()}
	s.of[version] = p.shape(v)
	return s.of[version]
}

// fieldsOf are the fields of a struct of kmsg's that may be on the wire.
func fieldsOf(v reflect.Value) (fields []reflect.Value) {
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && f.Name != "Version" && f.Name != "UnknownTags" {
			fields = append(fields, v.Field(i))
		}
	}
	return fields
}

// populate gives a value that is there: one element to each array, and no null.
func populate(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range fieldsOf(v) {
			populate(f)
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		populate(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		populate(v.Index(0))
	}
}

// prober finds shapes out by changing one field at a time of a request that is populated.
type prober struct {
	write    func() []byte
	flexible bool
}

func (p prober) shape(v reflect.Value) *shape {
	s := &shape{flexible: p.flexible}
	if v.Kind() != reflect.Struct { // an array of names or numbers
		s.add(p.part(v))
		return s
	}
	s.tagged = p.flexible && v.FieldByName("UnknownTags").IsValid()
	standard := reflect.New(v.Type())
	if d, ok := standard.Interface().(interface{ Default() }); ok {
		d.Default()
	}
	defaults := fieldsOf(standard.Elem())
	for i, f := range fieldsOf(v) {
		if p.has(f, defaults[i]) {
			s.add(p.part(f))
		}
	}
	return s
}

// add puts a part behind the others.
func (s *shape) add(next shapePart) {
	if n := len(s.parts); n > 0 && next.kind == fixed && s.parts[n-1].kind == fixed {
		s.parts[n-1].size += next.size
		return
	}
	s.parts = append(s.parts, next)
}

// with is what is written with another value in a field.
func (p prober) with(f, value reflect.Value) []byte {
	was := reflect.New(f.Type()).Elem()
	was.Set(f)
	f.Set(value)
	b := p.write()
	f.Set(was)
	return b
}

// has says whether a field is among those of the version that are not tagged. A tagged one is known by what else comes and
// goes with it: its number and its size.
func (p prober) has(f, standard reflect.Value) bool {
	now, none := p.write(), p.with(f, reflect.Zero(f.Type()))
	switch f.Kind() {
	case reflect.Struct:
		return false // such are tagged only
	case reflect.String:
		return len(now)-len(none) == 1
	case reflect.Slice:
		two := p.with(f, reflect.AppendSlice(reflect.AppendSlice(reflect.Zero(f.Type()), f), f))
		return len(now) > len(none) && len(now)-len(none) == len(two)-len(now)
	case reflect.Pointer:
		if f.Type().Elem().Kind() == reflect.String {
			return len(now)-len(none) == 1
		}
		return !bytes.Equal(now, none)
	}
	// A tagged number is left out when it is its default.
	usual := p.with(f, standard)
	one, two := reflect.New(f.Type()).Elem(), reflect.New(f.Type()).Elem()
	setNumber(one, 1)
	setNumber(two, 0)
	a, b := p.with(f, one), p.with(f, two)
	return len(a) == len(usual) && len(b) == len(usual) && !bytes.Equal(a, b)
}

func setNumber(v reflect.Value, n int64) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(n != 0)
	case reflect.Array:
		v.Index(0).SetUint(uint64(uint8(n)))
	case reflect.Float64:
		v.SetFloat(float64(n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(n) & (1<<v.Type().Bits() - 1))
	default:
		v.SetInt(n)
	}
}

func (p prober) part(f reflect.Value) shapePart {
	switch f.Kind() {
	case reflect.String:
		return shapePart{kind: text, size: 2}
	case reflect.Slice:
		if f.Type().Elem().Kind() == reflect.Uint8 {
			return shapePart{kind: text, size: 4}
		}
		return shapePart{kind: array, size: 4, of: p.shape(f.Index(0))}
	case reflect.Pointer:
		if f.Type().Elem().Kind() == reflect.String {
			return shapePart{kind: text, size: 2}
		}
		return shapePart{kind: optional, of: p.shape(f.Elem())}
	case reflect.Bool:
		return shapePart{kind: fixed, size: 1}
	default:
		return shapePart{kind: fixed, size: int(f.Type().Size())}
	}
}

// count counts the elements of all arrays of a body, tagged fields too, up to more than most. It is false when the body does
// not have the shape, or ends before it does; what is behind its end is not looked at.
func (s *shape) count(body []byte, most int) (n int, ok bool) {
	c := counter{fields: fields{b: body, flexible: s.flexible}, most: most}
	c.count(s)
	return c.n, !c.odd || c.n > most
}

type counter struct {
	fields
	n, most int
}

// length is that of a string, an array or bytes; null is none.
func (c *counter) length(size int) int {
	n := 0
	switch {
	case c.flexible:
		n = c.compact()
	case size == 2:
		n = int(c.int16())
	default:
		n = int(c.int32())
	}
	return max(n, 0)
}

// fixed is the size of an element that is nothing but numbers, in bytes; 0 for others.
func (s *shape) fixed() int {
	if len(s.parts) == 1 && s.parts[0].kind == fixed && !s.tagged {
		return s.parts[0].size
	}
	return 0
}

// found counts what was found; false means that there is too much, or that the rest cannot be read.
func (c *counter) found(n int) bool {
	c.n += n
	return !c.odd && c.n <= c.most
}

func (c *counter) count(s *shape) {
	for i := range s.parts {
		switch p := &s.parts[i]; p.kind {
		case fixed:
			c.span(p.size)
		case text:
			c.span(c.length(p.size))
		case array:
			n := c.length(p.size)
			if size := p.of.fixed(); size > 0 {
				if c.found(n) {
					c.span(n * size)
				}
				continue
			}
			for ; n > 0 && c.found(1); n-- {
				c.count(p.of)
			}
		case optional:
			if c.int8() >= 0 {
				c.count(p.of)
			}
		}
	}
	if s.tagged {
		c.tags()
	}
}

// tags counts tagged fields. A large one counts as the elements that it may have: known ones are not looked into.
func (c *counter) tags() {
	for n := c.uvarint(); n > 0 && c.found(1); n-- {
		c.uvarint()
		size := c.uvarint()
		c.span(size)
		c.found(size / 64)
	}
}
