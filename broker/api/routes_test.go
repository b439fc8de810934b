package api

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A handler that works in the connection's buffer must be done with it when it returns. Strings are copies; what could go
// on pointing there are fields of bytes. So no request that has any may be read in place, but Produce, whose records are
// in the log by then. And only requests that have some may be large.
func TestRequestsWithBytesAreNotReadInPlace(t *testing.T) {
	for _, r := range allRoutes().All() {
		path := bytesIn(reflect.TypeOf(kmsg.RequestForKey(r.Key)).Elem())
		if r.InPlace && path != "" && r.Key != (*kmsg.ProduceRequest)(nil).Key() {
			t.Errorf("%s is read in place, but %s points to the connection's buffer", r.Name, path)
		}
		if r.carries != (path != "") {
			t.Errorf("%s may be large: %v; it has bytes: %q", r.Name, r.carries, path)
		}
		_, err := r.Weigh(r.Max, make([]byte, namesMax+1), 0)
		if errors.Is(err, ErrTooLarge) == r.carries {
			t.Errorf("%s of more than %d bytes: %v", r.Name, namesMax, err)
		}
	}
}

// bytesIn names a field of bytes in a type, "" when there is none.
func bytesIn(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return t.String()
		}
		return bytesIn(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Type == reflect.TypeFor[kmsg.Tags]() {
				continue // nobody looks at fields that are not known
			}
			if path := bytesIn(f.Type); path != "" {
				return f.Name + "." + path
			}
		}
	}
	return ""
}

// A request that names very many things costs no more than so many times a request that names one.
func TestVeryManyNames(t *testing.T) {
	const many = 300_000
	m := metadataOf()()
	d := kmsg.NewPtrDeleteGroupsRequest()
	for i := range many {
		name := fmt.Sprintf("one-of-very-many-%06d", i)
		m.Topics = append(m.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		d.Groups = append(d.Groups, name)
	}
	m.Version, m.AllowAutoTopicCreation = 4, true
	f := &Topology{Images: stillImage{threeBrokers()}, AutoCreate: true}
	if n := len(f.missing(m)); n != many {
		t.Fatal(n)
	}
	if n := len(eachOnce(append(d.Groups, d.Groups...))); n != many {
		t.Fatal(n)
	}
}
