package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// A call is one method of a client and what it must do.
type call struct {
	name string
	do   func() error
}

// every runs the calls in order. Methods of t that no call is named after, and that others does not name, are an error: a client
// that gets a new method fails until the method is tried or excused. Names may have a note after a blank.
func every(t reflect.Type, others []string, calls []call) error {
	tried := slices.Clone(others)
	for _, c := range calls {
		if err := c.do(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		name, _, _ := strings.Cut(c.name, " ")
		tried = append(tried, name)
	}
	var missing []string
	for i := range t.NumMethod() {
		if name := t.Method(i).Name; !slices.Contains(tried, name) {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return fmt.Errorf("methods of %v that were not tried: %v", t, missing)
	}
	return nil
}

// want turns what a call said into an error unless it is the answer that is due.
func want(got, due any, err error) error {
	if err == nil && !reflect.DeepEqual(got, due) {
		err = fmt.Errorf("got %v, want %v", got, due)
	}
	return err
}

// refused turns a refusal with this error into success.
func refused(got, due error) error {
	if errors.Is(got, due) {
		return nil
	}
	return fmt.Errorf("got the error %w, want %w", got, due)
}

// notThere is for what this broker does not advertise: the client must say so, in words that have one of these in them. Apache
// Kafka has it all.
func notThere(err error, words ...string) error {
	if os.Getenv("BARNABAS_TARGET") == "kafka" {
		return nil
	}
	for _, w := range words {
		if err != nil && strings.Contains(err.Error(), w) {
			return nil
		}
	}
	return fmt.Errorf("got %w, want an error with one of %q", err, words)
}
