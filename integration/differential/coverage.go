package main

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Counts are the questions about one version of an API, by what they are for Apache Kafka.
type Counts struct {
	Valid   int // an ordinary request, answered without an error
	Odd     int // one with nothing, an empty name or the same thing twice in it, or a frame with bytes after its body
	Invalid int // one that is answered with an error, or a frame that closes the connection
}

// refusals are APIs that have no answer without this error on a fresh broker that stands alone, has no authorizer, and knows no
// consumer protocol.
var refusals = map[int16]int16{29: 54, 30: 54, 31: 54, 43: 84, 68: 35, 69: 35}

// covers notes a question about the script's own API. req nil: a raw frame.
func (r *Report) covers(s *Session, req kmsg.Request, kafka Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Covered[s.script.API] == nil {
		r.Covered[s.script.API] = map[int16]Counts{}
	}
	c := r.Covered[s.script.API][s.V]
	failed := kafka.Resp == nil && kafka.Outcome != noAnswer || kafka.Resp != nil && refuses(reflect.ValueOf(kafka.Resp).Elem(), refusals[s.script.API])
	strange := req == nil && !failed || req != nil && odd(reflect.ValueOf(req).Elem())
	switch {
	case failed && strange:
		c.Invalid++
		c.Odd++
	case failed:
		c.Invalid++
	case strange:
		c.Odd++
	default:
		c.Valid++
	}
	r.Covered[s.script.API][s.V] = c
}

// refuses tells whether an answer has an error code other than 0 and usual.
func refuses(v reflect.Value, usual int16) bool {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name, f := v.Type().Field(i).Name, v.Field(i)
			if name == "ErrorCode" && f.Kind() == reflect.Int16 && f.Int() != 0 && int16(f.Int()) != usual || refuses(f, usual) {
				return true
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if refuses(v.Index(i), usual) {
				return true
			}
		}
	case reflect.Pointer:
		return !v.IsNil() && refuses(v.Elem(), usual)
	}
	return false
}

// named are the beginnings of the fields that name something; others (a rack, a member's id) are empty when there is none.
var named = regexp.MustCompile(`^(Topic|Group|Resource|Name|Protocol|CoordinatorKey|Principal|Host|ClientSoftware|Config)`)

// odd tells whether a request has an empty list, an empty name, or the same element twice in a list.
func odd(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if text := reflect.Indirect(v.Field(i)); text.IsValid() && text.Kind() == reflect.String {
				if text.Len() == 0 && named.MatchString(f.Name) {
					return true
				}
			} else if f.IsExported() && f.Name != "UnknownTags" && odd(v.Field(i)) {
				return true
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return false
		}
		seen := map[string]bool{}
		for i := range v.Len() {
			text := fmt.Sprintf("%+v", v.Index(i).Interface())
			if seen[text] || odd(v.Index(i)) {
				return true
			}
			seen[text] = true
		}
		return v.Len() == 0 && !v.IsNil()
	case reflect.Pointer:
		return !v.IsNil() && odd(v.Elem())
	}
	return false
}

// Gaps names each version that both sides and kmsg know, and that was not asked a valid, an odd and an invalid question.
func (r *Report) Gaps() []string {
	var out []string
	for _, api := range slices.Sorted(maps.Keys(r.Common)) {
		for v := r.Common[api][0]; v <= r.Common[api][1]; v++ {
			if c := r.Covered[api][v]; c.Valid == 0 || c.Odd == 0 || c.Invalid == 0 {
				out = append(out, fmt.Sprintf("%s (%d) v%d: %d valid, %d odd, %d invalid questions", kmsg.NameForKey(api), api, v, c.Valid, c.Odd, c.Invalid))
			}
		}
	}
	return out
}

// PrintCoverage writes for each API that both sides know how many questions of each kind its versions were asked, at least.
func (r *Report) PrintCoverage(w io.Writer) {
	for _, api := range slices.Sorted(maps.Keys(r.Common)) {
		least := Counts{1 << 30, 1 << 30, 1 << 30}
		for v := r.Common[api][0]; v <= r.Common[api][1]; v++ {
			c := r.Covered[api][v]
			least = Counts{min(least.Valid, c.Valid), min(least.Odd, c.Odd), min(least.Invalid, c.Invalid)}
		}
		fmt.Fprintf(w, "%-28s %2d  v%d to v%d, each asked at least %d valid, %d odd, %d invalid questions\n",
			kmsg.NameForKey(api), api, r.Common[api][0], r.Common[api][1], least.Valid, least.Odd, least.Invalid)
	}
}
