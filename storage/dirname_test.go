package storage

import (
	"strings"
	"testing"

	"barnabas/storage/checkpoint"
)

func TestReplicaDirNames(t *testing.T) {
	hex := strings.Repeat("0f", 16)
	for name, want := range map[string]replicaDir{
		"t-0":                           {checkpoint.Partition{Topic: "t", ID: 0}, ""},
		"a-b-12":                        {checkpoint.Partition{Topic: "a-b", ID: 12}, ""},
		"a.b_c-2147483647":              {checkpoint.Partition{Topic: "a.b_c", ID: 2147483647}, ""},
		"topic--1":                      {checkpoint.Partition{Topic: "topic-", ID: 1}, ""},
		"t-0." + hex + "-delete":        {checkpoint.Partition{Topic: "t", ID: 0}, deleteDirSuffix},
		"a.b-3." + hex + "-future":      {checkpoint.Partition{Topic: "a.b", ID: 3}, futureDirSuffix},
		"t-0." + hex + "-stray":         {checkpoint.Partition{Topic: "t", ID: 0}, strayDirSuffix},
		"a-delete-0":                    {checkpoint.Partition{Topic: "a-delete", ID: 0}, ""},
		"a-delete-0." + hex + "-delete": {checkpoint.Partition{Topic: "a-delete", ID: 0}, deleteDirSuffix},
	} {
		if got, err := parseReplicaDir("/d", name); got != want || err != nil {
			t.Errorf("%s: %+v %v, want %+v", name, got, err, want)
		}
	}
	for _, name := range []string{
		"", "t", "-", "-0", "t-", "t-x", "t-0x", "t-2147483648", "t-0.x", "lost+found", "t-0-delete", "t-0." + hex[1:] + "-delete",
		"t-0." + strings.Repeat("zz", 16) + "-future", "." + hex + "-delete", "t." + hex + "-delete",
	} {
		if got, err := parseReplicaDir("/d", name); err == nil {
			t.Errorf("%q is taken for %+v", name, got)
		}
	}
}

// Whatever a topic is called, the name under which its directory waits fits a file system and is recognised.
func FuzzDeleteDirName(f *testing.F) {
	f.Add("t", int32(0))
	f.Add(strings.Repeat("x", 249), int32(1<<31-1))
	f.Fuzz(func(t *testing.T, topic string, id int32) {
		if checkName(topic, id) != nil {
			if _, err := parseReplicaDir("/d", topic); err != nil && strings.Contains(topic, "/") {
				return
			}
			return
		}
		p := checkpoint.Partition{Topic: topic, ID: id}
		if got, err := parseReplicaDir("/d", p.String()); err != nil || got.suffix == "" && got.Partition != p {
			t.Fatalf("%s: %+v %v", p, got, err)
		}
		name := retiredDirName(p, deleteDirSuffix)
		got, err := parseReplicaDir("/d", name)
		if err != nil || got.suffix != deleteDirSuffix || got.ID != id || len(name) > maxDirName || !strings.HasPrefix(topic, got.Topic) {
			t.Fatalf("%s: %+v %v", name, got, err)
		}
	})
}
