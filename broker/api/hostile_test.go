package api

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record/codec"
)

// A filling makes values for the fields of a request: nothing, extremes, or what a topic really has.
type filling struct {
	name     string
	number   int64
	text     *string // nil = null
	bytes    []byte
	elements int // of each array; -1 = null
}

func fillings(t *testing.T) []filling {
	text := func(s string) *string { return &s }
	batch := records(t, 3, dataTime, codec.None)
	return []filling{
		{"nulls", 0, nil, nil, -1},
		{"empty", 0, text(""), []byte{}, 0},
		{"a topic that is there", 0, text("t"), batch, 1},
		{"twice", 0, text("t"), batch, 2},
		{"negative", -1, text("t"), batch[:30], 3},
		{"smallest", math.MinInt64, text("a\x00b"), batch[:len(batch)-1], 2},
		{"largest", math.MaxInt64, text(strings.Repeat("x", 20000)), []byte{0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 2}, 2},
		{"null records", 0, text("t"), nil, 1},
		{"not UTF-8", 1, text("\xff\xfe"), []byte{1}, 40},
	}
}

// fill sets all that kmsg would write of v.
func (f *filling) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Type().Field(i).IsExported() && name != "Version" && name != "UnknownTags" {
				f.fill(v.Field(i))
			}
		}
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n := f.number
		if n == math.MinInt64 || n == math.MaxInt64 { // of this size
			n >>= 64 - v.Type().Bits()
		}
		v.SetInt(n)
	case reflect.Uint8:
		v.SetUint(uint64(uint8(f.number)))
	case reflect.Bool:
		v.SetBool(f.number != 0)
	case reflect.String:
		if f.text != nil {
			v.SetString(*f.text)
		}
	case reflect.Pointer:
		if f.text == nil || v.Type().Elem().Kind() != reflect.String {
			v.SetZero()
			return
		}
		v.Set(reflect.ValueOf(kmsg.StringPtr(*f.text)))
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(f.bytes)
			return
		}
		if f.elements < 0 {
			v.SetZero()
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), f.elements, f.elements))
		for i := range f.elements {
			f.fill(v.Index(i))
		}
	}
}

// families are those that a stranger reaches first, over a broker with a topic "t".
func families(t *testing.T) []Family {
	e := newData(t)
	e.fill("t", 0, 5, dataTime)
	topology := &Topology{Images: e.Images, Creator: &maker{img: threeBrokers()}, AutoCreate: true}
	versions := &Versions{Images: e.Images, Self: 1}
	NewRoutes(versions)
	return []Family{e.Data, topology, versions, &Producers{IDs: noIDs{}}}
}

// noIDs has no ids left.
type noIDs struct{}

func (noIDs) Next(context.Context) (int64, error) { return 0, errors.New("none left") }

// bear sends a body to a route; the fault to find is a panic. Nobody waits: the client has gone.
func bear(t *testing.T, r *Route, version int16, body []byte) {
	t.Helper()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	reply, err := r.Serve(&Call{Key: r.Key, Version: version, Listener: "PLAINTEXT"}, body)
	if errors.Is(err, ErrPanic) {
		t.Fatal(err)
	}
	if err != nil || reply.Closes() {
		return
	}
	resp := reply.Await(gone)
	if resp == nil {
		return
	}
	if k, ok := resp.(kmsg.Response); ok && k.GetVersion() != version {
		t.Errorf("%s v%d is answered in version %d", r.Name, version, k.GetVersion())
	}
	answer := kmsg.ResponseForKey(r.Key)
	answer.SetVersion(version)
	if b := resp.AppendTo(nil); answer.ReadFrom(b) != nil {
		t.Errorf("%s v%d: the answer cannot be read: %x", r.Name, version, b)
	}
}

// Whatever stands in a request, at every version there is an answer that can be read, or the connection's end.
func TestHostileRequests(t *testing.T) {
	for _, family := range families(t) {
		for _, r := range family.routes() {
			for _, f := range fillings(t) {
				for v := int16(0); v <= r.Max; v++ {
					req := kmsg.RequestForKey(r.Key)
					req.SetVersion(v)
					f.fill(reflect.ValueOf(req).Elem())
					bear(t, &r, v, req.AppendTo(nil))
				}
			}
		}
	}
}

// A body that is cut anywhere, or whose lengths and counts lie, is refused without a fault.
func TestDamagedRequests(t *testing.T) {
	few := fillings(t)[2]
	for _, family := range families(t) {
		for _, r := range family.routes() {
			for v := int16(0); v <= r.Max; v++ {
				req := kmsg.RequestForKey(r.Key)
				req.SetVersion(v)
				few.fill(reflect.ValueOf(req).Elem())
				body := req.AppendTo(nil)
				for at := range body {
					bear(t, &r, v, body[:at:at])
					for _, lie := range []uint32{0x7fffffff, 0xffffffff, 0x80000000, 0xff7fffff} {
						bent := append(append([]byte(nil), body...), 0, 0, 0)
						binary.BigEndian.PutUint32(bent[at:], lie)
						bear(t, &r, v, bent)
					}
				}
			}
		}
	}
}
