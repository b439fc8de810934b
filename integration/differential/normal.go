package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// A field of an answer by its path, e.g. "Topics[t].Partitions[0].ErrorCode".
type field struct{ path, value string }

// flatten turns an answer into fields, in which ids, addresses and clocks are replaced by words. Elements of an array are named
// and sorted by what identifies them (a topic's name, a partition's number), since Kafka's order is often that of a hash map.
func flatten(p *Side, a Answer) []field {
	out := []field{{"outcome", a.Outcome}}
	if a.Resp != nil {
		walk(p, a.Resp.Key(), "", reflect.ValueOf(a.Resp).Elem(), &out)
	}
	return out
}

func walk(p *Side, key int16, path string, v reflect.Value, out *[]field) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "Version" || f.Name == "UnknownTags" || !f.IsExported() {
			continue
		}
		at := f.Name
		if path != "" {
			at = path + "." + f.Name
		}
		fv := v.Field(i)
		switch {
		case fv.Kind() == reflect.Struct:
			walk(p, key, at, fv, out)
		case fv.Kind() == reflect.Pointer && fv.Type().Elem().Kind() == reflect.Struct:
			if fv.IsNil() {
				*out = append(*out, field{at, "null"})
			} else {
				walk(p, key, at, fv.Elem(), out)
			}
		case fv.Kind() == reflect.Slice && fv.Type().Elem().Kind() == reflect.Struct:
			elements(p, key, at, fv, out)
		default:
			*out = append(*out, field{at, scalar(p, key, t.Name(), f.Name, v, fv)})
		}
	}
}

func elements(p *Side, key int16, at string, fv reflect.Value, out *[]field) {
	if fv.IsNil() {
		*out = append(*out, field{at + ".len", "null"})
		return
	}
	*out = append(*out, field{at + ".len", fmt.Sprint(fv.Len())})
	type element struct {
		name string
		v    reflect.Value
	}
	var all []element
	for i := range fv.Len() {
		all = append(all, element{identity(p, key, fv.Index(i), i), fv.Index(i)})
	}
	slices.SortStableFunc(all, func(a, b element) int { return cmp.Compare(a.name, b.name) })
	seen := map[string]int{}
	for _, e := range all {
		name := e.name
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s#%d", name, seen[name])
		}
		walk(p, key, at+"["+name+"]", e.v, out)
	}
}

// identity names an element by the first fields that tell it from its neighbours.
func identity(p *Side, key int16, v reflect.Value, i int) string {
	var parts []string
	for _, name := range []string{"InstanceID", "Topic", "Name", "ResourceType", "ResourceName", "Group", "Dir", "Partition", "NodeID", "ApiKey", "Key"} {
		f := v.FieldByName(name)
		if !f.IsValid() || (name == "Key" && f.Kind() != reflect.String) || (name == "InstanceID" && f.IsNil()) {
			continue
		}
		parts = append(parts, scalar(p, key, v.Type().Name(), name, v, f))
	}
	if len(parts) == 0 {
		return fmt.Sprint(i)
	}
	return strings.ReplaceAll(strings.Join(parts, " "), `"`, "")
}

var (
	uuids   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	absPath = regexp.MustCompile(`/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+`)
	clocks  = regexp.MustCompile(`\b[12][0-9]{12}\b`)
)

// text replaces what a string says about one side only.
func text(p *Side, s string) string {
	for topic, id := range p.ids {
		s = strings.ReplaceAll(s, p.idText(id), "<id of "+topic+">")
	}
	s = strings.ReplaceAll(s, p.Addr, "<address>")
	s = uuids.ReplaceAllString(s, "<uuid>")
	s = absPath.ReplaceAllString(s, "<path>")
	return clocks.ReplaceAllStringFunc(s, func(n string) string {
		if strings.HasPrefix(n, "17000000000") { // a script's own timestamp
			return n
		}
		return "<clock>"
	})
}

func scalar(p *Side, key int16, typ, name string, parent, v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "null"
		}
		v = v.Elem()
	}
	switch {
	case name == "TopicID" || v.Type() == reflect.TypeFor[[16]byte]():
		id := v.Interface().([16]byte)
		if id == ([16]byte{}) {
			return "zero"
		}
		for topic, known := range p.ids {
			if known == id {
				return "<id of " + topic + ">"
			}
		}
		return "<id>"
	case name == "ClusterID":
		return "<cluster id>"
	case name == "Port" && v.Int() > 0:
		return "<port>"
	case name == "ProducerID" && v.Int() >= 0:
		return "<ProducerID>"
	case (name == "SessionID" || name == "TotalBytes" || name == "UsableBytes") && v.Int() > 0:
		return "<" + name + ">"
	case name == "LogAppendTime" && v.Int() > 2e12, name == "LogAppendTime" && v.Int() > epochStart+1e9:
		return "<clock>"
	case name == "LastTimestamp" && v.Int() > epochStart+1e9:
		return "<clock>"
	case name == "RecordBatches":
		return entries(v.Bytes())
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		if v.IsNil() {
			return "null"
		}
		return hex.EncodeToString(v.Bytes())
	case v.Kind() == reflect.Slice && v.IsNil():
		return "null"
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		var all []string
		for i := range v.Len() {
			all = append(all, fmt.Sprintf("%q", text(p, v.Index(i).String())))
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	case v.Kind() == reflect.String:
		return fmt.Sprintf("%q", text(p, v.String()))
	}
	return fmt.Sprint(v.Interface())
}
