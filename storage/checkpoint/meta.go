package checkpoint

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/magiconair/properties"

	"barnabas/storage/vfs"
)

// MetaProperties is the name of the file in a log directory that says whose it is.
const MetaProperties = "meta.properties"

// Keys of meta.properties.
const (
	keyVersion   = "version"
	keyBrokerID  = "broker.id"
	keyNodeID    = "node.id"
	keyClusterID = "cluster.id"
)

// Meta is the content of meta.properties.
type Meta struct {
	Version   int    // 0; 1 is KRaft's
	BrokerID  int32  // broker.id, or node.id in version 1; -1 when missing
	ClusterID string // "" when missing
	// Rest are the keys that are kept but not understood, directory.id among them.
	Rest map[string]string
}

// EncodeMeta is the file. now goes into the comment that Java writes.
func EncodeMeta(m Meta, now time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "#\n#%s\n", now.Format("Mon Jan 02 15:04:05 MST 2006"))
	id := keyBrokerID
	if m.Version != 0 {
		id = keyNodeID
	}
	if m.BrokerID >= 0 {
		writeProperty(&b, id, strconv.Itoa(int(m.BrokerID)))
	}
	writeProperty(&b, keyVersion, strconv.Itoa(m.Version))
	if m.ClusterID != "" {
		writeProperty(&b, keyClusterID, m.ClusterID)
	}
	for _, k := range slices.Sorted(maps.Keys(m.Rest)) {
		writeProperty(&b, k, m.Rest[k])
	}
	return b.Bytes()
}

// DecodeMeta reads the file. Errors wrap ErrMalformed. It says nothing about whether the version or the ids will do.
func DecodeMeta(text []byte) (Meta, error) {
	// \u escapes are the only way out of Latin-1, hence the encoding. ${x} means nothing to Java.
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	p, err := loader.LoadBytes(text)
	if err != nil {
		return Meta{}, fmt.Errorf("%v: %w", err, ErrMalformed)
	}
	m := Meta{BrokerID: -1}
	// In sorted order broker.id comes before node.id; a file with both speaks for the latter.
	for _, k := range slices.Sorted(slices.Values(p.Keys())) {
		v, _ := p.Get(k)
		switch k {
		case keyVersion:
			n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 32)
			if err != nil {
				return Meta{}, fmt.Errorf("version %.40q: %w", v, ErrMalformed)
			}
			m.Version = int(n)
		case keyBrokerID, keyNodeID:
			n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 32)
			if err != nil || n < 0 {
				return Meta{}, fmt.Errorf("%s %.40q: %w", k, v, ErrMalformed)
			}
			m.BrokerID = int32(n)
		case keyClusterID:
			m.ClusterID = v
		default:
			if m.Rest == nil {
				m.Rest = map[string]string{}
			}
			m.Rest[k] = v
		}
	}
	if _, ok := p.Get(keyVersion); !ok {
		return Meta{}, fmt.Errorf("no version: %w", ErrMalformed)
	}
	return m, nil
}

// ReadMeta reads meta.properties; found is false when there is none.
func ReadMeta(fsys vfs.FS, name string) (m Meta, found bool, err error) {
	b, err := read(fsys, name)
	if b == nil || err != nil {
		return Meta{}, false, err
	}
	m, err = DecodeMeta(b)
	return m, err == nil, named(name, err)
}

// WriteMeta replaces meta.properties; it is durable on return.
func WriteMeta(fsys vfs.FS, name string, m Meta, now time.Time) error {
	return vfs.ReplaceFile(fsys, name, EncodeMeta(m, now))
}

// writeProperty escapes as java.util.Properties does.
func writeProperty(b *bytes.Buffer, key, value string) {
	escape(b, key, true)
	b.WriteByte('=')
	escape(b, value, false)
	b.WriteByte('\n')
}

func escape(b *bytes.Buffer, s string, key bool) {
	for i, r := range utf16.Encode([]rune(s)) {
		switch {
		case r == ' ':
			if key || i == 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(' ')
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\f':
			b.WriteString(`\f`)
		case strings.ContainsRune(`\=:#!`, rune(r)):
			b.WriteByte('\\')
			b.WriteByte(byte(r))
		case r < 0x20 || r > 0x7e:
			fmt.Fprintf(b, `\u%04X`, r)
		default:
			b.WriteByte(byte(r))
		}
	}
}
