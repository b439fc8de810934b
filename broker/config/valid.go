package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// check tells why a value is not valid, "" when it is. shown is the part of the value to show, nil for all of it.
// A reason that begins with a space has the setting's name put before it.
type check func(v Value) (reason string, shown *string)

var (
	rangePattern   = regexp.MustCompile(`^\[([-0-9.]+),\.\.\.(?:,([-0-9.]+))?\]( or -1)?$`)
	replicaPattern = regexp.MustCompile(`^([0-9]+:[0-9]+)?$`)
)

// parseValid makes the check that Kafka's documentation describes in its "valid values" column. The phrases are
// Kafka's; one that is not known here fails the parse, so that a new table cannot lose a check unnoticed.
func parseValid(t Type, valid string) (check, error) {
	switch {
	case valid == "":
		return nil, nil
	case valid == "non-null string", valid == "non-empty list":
		// What the first asks is true of whatever was given. The second belongs to two KRaft settings whose default is
		// the empty list, and Kafka does not check it either.
		return nil, nil
	case valid == "non-empty string":
		return checkNonEmpty, nil
	case strings.HasPrefix(valid, "[partitionId]:"):
		return checkThrottledReplicas, nil
	case strings.HasPrefix(valid, "The default value of -1 means"):
		return func(v Value) (string, *string) {
			if v.Int < -1 || v.Int == 0 {
				return "Value can be -1 or greater than 0", nil
			}
			return "", nil
		}, nil
	case strings.HasPrefix(valid, "[0.8.0, "):
		return checkVersion(bracketed(valid)), nil
	}
	if m := rangePattern.FindStringSubmatch(valid); m != nil {
		return checkRange(m[1], m[2], m[3] != "")
	}
	if names, ok := strings.CutPrefix(valid, "(case insensitive) "); ok {
		return checkOneOfAnyCase(bracketed(names)), nil
	}
	if strings.HasPrefix(valid, "[") && strings.HasSuffix(valid, "]") {
		return checkOneOf(bracketed(valid)), nil
	}
	return nil, fmt.Errorf("valid values %q of a %s are not understood", valid, t)
}

func bracketed(list string) []string {
	return strings.Split(strings.Trim(list, "[]"), ", ")
}

func checkNonEmpty(v Value) (string, *string) {
	if v.Text == "" {
		return "String must be non-empty", nil
	}
	return "", nil
}

// checkRange compares as doubles, as Kafka does, and lets -1 pass where the table says so.
func checkRange(low, high string, orMinusOne bool) (check, error) {
	least, err := strconv.ParseFloat(low, 64)
	if err != nil {
		return nil, err
	}
	most := 0.0
	if high != "" {
		if most, err = strconv.ParseFloat(high, 64); err != nil {
			return nil, err
		}
	}
	return func(v Value) (string, *string) {
		n := v.Double
		if v.Type != Double {
			n = float64(v.Int)
		}
		switch {
		case orMinusOne && n == -1:
			return "", nil
		case orMinusOne && (n < least || n > most):
			return "Value must be between " + low + " and " + high + " or equal to -1", nil
		case n < least:
			return "Value must be at least " + low, nil
		case high != "" && n > most:
			return "Value must be no more than " + high, nil
		}
		return "", nil
	}, nil
}

func checkOneOf(names []string) check {
	return func(v Value) (string, *string) {
		values := v.List
		if v.Type != List {
			values = []string{v.Text}
		}
		for _, e := range values {
			if !slices.Contains(names, e) {
				return "String must be one of: " + strings.Join(names, ", "), &e
			}
		}
		return "", nil
	}
}

func checkOneOfAnyCase(names []string) check {
	return func(v Value) (string, *string) {
		if !slices.Contains(names, strings.ToUpper(v.Text)) {
			return "String must be one of (case insensitive): " + strings.Join(names, ", "), nil
		}
		return "", nil
	}
}

// checkVersion takes a Kafka version in full (3.9-IV0) or short (3.9, 3.9.1, 0.10.2): its first two parts count, three
// before 1.0.
func checkVersion(names []string) check {
	return func(v Value) (string, *string) {
		parts, keep := strings.Split(v.Text, "."), 2
		if strings.HasPrefix(v.Text, "0.") {
			keep = 3
		}
		short := strings.Join(parts[:min(keep, len(parts))], ".")
		for _, name := range names {
			if name == short || strings.HasPrefix(name, short+"-IV") {
				return "", nil
			}
		}
		return "Version " + v.Text + " is not a valid version", nil
	}
}

func checkThrottledReplicas(v Value) (string, *string) {
	if strings.Join(v.List, "") == "*" {
		return "", nil
	}
	shown := "[" + strings.Join(v.List, ", ") + "]"
	for _, e := range v.List {
		if !replicaPattern.MatchString(e) {
			return " must be the literal '*' or a list of replicas in the following format: " +
				"[partitionId]:[brokerId],[partitionId]:[brokerId],...", &shown
		}
	}
	return "", nil
}
