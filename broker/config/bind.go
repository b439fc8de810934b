package config

import (
	"fmt"
	"reflect"
	"strings"
)

// bind fills the tagged fields of a Broker or Topic. get gives the text in effect of a setting, nil when unset. Texts
// must be valid: whoever calls has checked them, so a failure here is a broken invariant of this package.
func bind(dst any, defs *Defs, get func(name string) *string) {
	v := reflect.ValueOf(dst).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("config")
		if tag == "" {
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		def := defs.Get(name)
		if def == nil {
			panic("config: field for a setting that does not exist: " + name)
		}
		text := get(name)
		if text == nil {
			continue
		}
		value, err := def.Parse(*text)
		if err != nil {
			panic(fmt.Sprintf("config: unchecked value: %v", err))
		}
		set(v.Field(i), value)
	}
}

func set(field reflect.Value, v Value) {
	switch field.Kind() {
	case reflect.Bool:
		field.SetBool(v.Bool)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		// A field narrower than its setting's type is so because larger values make no sense; they saturate.
		if field.OverflowInt(v.Int) {
			v.Int = int64(1)<<(field.Type().Bits()-1) - 1
		}
		field.SetInt(v.Int)
	case reflect.Float64:
		field.SetFloat(v.Double)
	case reflect.Slice:
		field.Set(reflect.ValueOf(v.List))
	case reflect.Pointer:
		text := v.Text
		field.Set(reflect.ValueOf(&text))
	default:
		field.SetString(v.Text)
	}
}

// effective collects the settings that a struct's fields read, inert ones left out.
func effective(t reflect.Type, into map[string]bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if tag := f.Tag.Get("config"); tag != "" {
			if name, mark, _ := strings.Cut(tag, ","); mark != "inert" {
				into[name] = true
			}
		}
		if from := f.Tag.Get("from"); from != "" {
			for _, name := range strings.Split(from, ",") {
				into[name] = true
			}
		}
	}
}
