package api

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// randomly fills a request and counts what it has in arrays that are on the wire at its version.
func randomly(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range fieldsOf(v) {
			randomly(r, f)
		}
	case reflect.String:
		v.SetString("some text"[:r.IntN(9)])
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Float64, reflect.Uint16, reflect.Uint32:
		setNumber(v, int64(r.IntN(4)-1))
	case reflect.Array:
		setNumber(v, int64(r.IntN(255)))
	case reflect.Pointer:
		if v.SetZero(); r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			randomly(r, v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if v.SetZero(); r.IntN(3) > 0 {
				v.SetBytes(make([]byte, r.IntN(300)))
			}
			return
		}
		n := r.IntN(5) - 1
		if v.SetZero(); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range max(n, 0) {
			randomly(r, v.Index(i))
		}
	}
}

// elements counts what kmsg has decoded.
func elements(v reflect.Value) (n int) {
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range fieldsOf(v) {
			n += elements(f)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			n = elements(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return 0
		}
		n = v.Len()
		for i := range v.Len() {
			n += elements(v.Index(i))
		}
	}
	return n
}

func allRoutes() *Routes {
	return NewRoutes(&Versions{}, &Data{}, &Topology{}, &Topics{}, &Cluster{}, &Replicas{}, &Security{}, &Producers{}, &Groups{}, &Configs{})
}

// clusterRoutes are those of brokers among themselves, whether they are served or not.
func clusterRoutes() []Route {
	return []Route{
		route(func(*Call, *kmsg.LeaderAndISRRequest) Reply { return None() }),
		route(func(*Call, *kmsg.StopReplicaRequest) Reply { return None() }),
		route(func(*Call, *kmsg.UpdateMetadataRequest) Reply { return None() }),
		route(func(*Call, *kmsg.AlterPartitionRequest) Reply { return None() }),
	}
}

// Whatever a request has, at every version of every API the count is that of what kmsg decodes, besides what tagged fields
// count for; a body that is cut is seen to be, or has as little as what is left says.
func TestElementsAreCountedAsKmsgDecodesThem(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, route := range append(clusterRoutes(), allRoutes().All()...) {
		for version := range route.Max + 1 {
			s := route.shapes.at(version)
			for range 100 {
				req := kmsg.RequestForKey(route.Key)
				req.SetVersion(version)
				randomly(r, reflect.ValueOf(req).Elem())
				body := req.AppendTo(nil)
				got := kmsg.RequestForKey(route.Key)
				got.SetVersion(version)
				if err := got.ReadFrom(body); err != nil {
					t.Fatal(err)
				}
				c := counter{fields: fields{b: body, flexible: s.flexible}, most: 1 << 30}
				if c.count(s); !c.done() {
					t.Fatalf("%s v%d: odd %v, %d bytes of %x left", route.Name, version, c.odd, len(c.b), body)
				}
				want := elements(reflect.ValueOf(got).Elem())
				if extra := c.n - want; extra < 0 || extra > 0 && !s.flexible || extra > 4*(want+1) {
					t.Fatalf("%s v%d: %d elements, kmsg has %d: %x", route.Name, version, c.n, want, body)
				}
				if len(body) == 0 {
					continue
				}
				if n, _ := s.count(body[:r.IntN(len(body))], 1<<30); n > c.n {
					t.Fatalf("%s v%d: %d elements in a part of what has %d", route.Name, version, n, c.n)
				}
				if want > 0 {
					if n, ok := s.count(body, want-1); !ok || n < want {
						t.Fatalf("%s v%d: %d elements are said to be %d", route.Name, version, want, n)
					}
				}
			}
		}
	}
}
