package controller

import (
	"strings"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kerr"
)

// maxTopicName is how long a topic's name may be, so that "name-partition" with its suffixes fits into a file name.
const maxTopicName = 249

// checkTopicName refuses names that cannot be a topic's, with Kafka's text.
func checkTopicName(name string) error {
	const prefix = "Topic name is invalid: "
	switch {
	case name == "":
		return refuse(kerr.InvalidTopicException, prefix+"the empty string is not allowed")
	case name == "." || name == "..":
		return refuse(kerr.InvalidTopicException, prefix+"'%s' is not allowed", name)
	case len(utf16.Encode([]rune(name))) > maxTopicName:
		return refuse(kerr.InvalidTopicException, prefix+"the length of '%s' is longer than the max allowed length %d", name, maxTopicName)
	case strings.ContainsFunc(name, illegal):
		return refuse(kerr.InvalidTopicException, prefix+"'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	}
	return nil
}

func illegal(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
}

// collide says whether two names differ only in dots and underscores, which metrics do not tell apart.
func collide(a, b string) bool {
	return strings.ReplaceAll(a, ".", "_") == strings.ReplaceAll(b, ".", "_")
}

// mayCollide says whether a name could collide with another one.
func mayCollide(name string) bool { return strings.ContainsAny(name, "._") }
