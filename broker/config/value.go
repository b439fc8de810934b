package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// ValueError says that a setting has a value that it cannot have. Its text is Kafka's.
type ValueError struct {
	Name string
	// Value as it was given; nil is null.
	Value  *string
	Reason string
	// Valid describes the valid values, "" when the type says it all.
	Valid string
}

func (e *ValueError) Error() string {
	value := "null"
	if e.Value != nil {
		value = *e.Value
	}
	text := "Invalid value " + value + " for configuration " + e.Name
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Unwrap makes a bad value an INVALID_CONFIG for whoever answers a client with it.
func (e *ValueError) Unwrap() error { return kerr.InvalidConfig }

func badValue(def *Def, value, reason string) *ValueError {
	if def.Type == Password {
		value = "[hidden]"
	}
	return &ValueError{Name: def.Name, Value: &value, Reason: reason, Valid: def.Valid}
}

// Value is a parsed value. Only the field of its type is set.
type Value struct {
	Type   Type
	Bool   bool
	Int    int64 // Int, Short, Long
	Double float64
	List   []string
	Text   string // String, Class, Password
}

// String renders the value as Kafka does: lists with bare commas, doubles as Java prints them.
func (v Value) String() string {
	switch v.Type {
	case Boolean:
		return strconv.FormatBool(v.Bool)
	case Int, Short, Long:
		return strconv.FormatInt(v.Int, 10)
	case Double:
		return javaDouble(v.Double)
	case List:
		return strings.Join(v.List, ",")
	default:
		return v.Text
	}
}

// Parse reads a value of the definition's type and checks that it is valid.
func (d *Def) Parse(text string) (Value, error) {
	v, err := d.parseType(text)
	if err != nil {
		return v, err
	}
	if d.check != nil {
		if reason, shown := d.check(v); reason != "" {
			whole := v.String()
			if shown == nil {
				shown = &whole
			}
			if reason[0] == ' ' {
				reason = d.Name + reason
			}
			return v, badValue(d, *shown, reason)
		}
	}
	return v, nil
}

func (d *Def) parseType(text string) (Value, error) {
	v := Value{Type: d.Type}
	trimmed := strings.Trim(text, " \t\r\n\f\v")
	switch d.Type {
	case Boolean:
		switch strings.ToLower(trimmed) {
		case "true":
			v.Bool = true
		case "false":
		default:
			return v, badValue(d, text, "Expected value to be either true or false")
		}
	case Int, Short, Long:
		bits := map[Type]int{Int: 32, Short: 16, Long: 64}[d.Type]
		n, err := strconv.ParseInt(trimmed, 10, bits)
		if err != nil {
			return v, badValue(d, text, "Not a number of type "+d.Type.String())
		}
		v.Int = n
	case Double:
		f, err := parseJavaDouble(trimmed)
		if err != nil {
			return v, badValue(d, text, "Not a number of type DOUBLE")
		}
		v.Double = f
	case List:
		v.List = splitList(trimmed)
	default:
		v.Text = trimmed
	}
	return v, nil
}

// splitList splits at commas with the white space around them, as Kafka does; "" is the empty list, and empty elements
// are kept.
func splitList(text string) []string {
	if text == "" {
		return nil
	}
	list := strings.Split(text, ",")
	for i, e := range list {
		list[i] = strings.TrimSpace(e)
	}
	return list
}

func parseJavaDouble(text string) (float64, error) {
	// Java knows no underscores, "inf" or "+Infinity" spellings of Go, but takes a trailing d or f.
	if strings.ContainsAny(text, "_") || strings.HasPrefix(strings.ToLower(strings.TrimLeft(text, "+-")), "inf") {
		if t := strings.TrimLeft(text, "+-"); t == "Infinity" {
			return strconv.ParseFloat(text, 64)
		}
		return 0, strconv.ErrSyntax
	}
	f, err := strconv.ParseFloat(strings.TrimRight(text, "dDfF"), 64)
	if err != nil && math.IsInf(f, 0) {
		return f, nil // out of range is Infinity in Java, not an error
	}
	return f, err
}

// javaDouble renders like Java's Double.toString: plain between 1e-3 and 1e7, else d.dddEn, always with a fraction.
func javaDouble(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if abs := math.Abs(f); abs == 0 || abs >= 1e-3 && abs < 1e7 {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, err := strconv.Atoi(exponent)
	if err != nil {
		panic(fmt.Sprintf("config: exponent of %q", s)) // FormatFloat always writes one
	}
	return mantissa + "E" + strconv.Itoa(n)
}
