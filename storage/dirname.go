package storage

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/storage/checkpoint"
)

// Suffixes of a replica's directory that is not in service: topic-partition.<32 hex digits><suffix>.
const (
	deleteDirSuffix = "-delete" // removed after file.delete.delay.ms, or at the next start
	futureDirSuffix = "-future" // a copy on its way into another log dir
	strayDirSuffix  = "-stray"  // of no topic of the cluster, set aside
)

// Directories of a log dir that are no replicas and none of a ZooKeeper broker's business.
const (
	remoteIndexCache = "remote-log-index-cache"
	metadataTopic    = "__cluster_metadata"
)

const (
	maxDirName = 255 // bytes, of every usual file system
	maxTopic   = 249
)

// replicaDir is what the name of a directory says.
type replicaDir struct {
	checkpoint.Partition        // the topic of a -delete directory may be cut
	suffix               string // "" for one in service
}

// parseReplicaDir takes the name of a directory apart. The error says what an operator has to know.
func parseReplicaDir(dir, name string) (replicaDir, error) {
	r := replicaDir{}
	base := name
	for _, s := range []string{deleteDirSuffix, futureDirSuffix, strayDirSuffix} {
		if rest, ok := strings.CutSuffix(name, s); ok {
			dot := strings.LastIndexByte(rest, '.')
			if dot < 0 || !isHex(rest[dot+1:]) {
				break
			}
			r.suffix, base = s, rest[:dot]
		}
	}
	dash := strings.LastIndexByte(base, '-')
	if dash > 0 {
		if id, err := strconv.ParseInt(base[dash+1:], 10, 32); err == nil && id >= 0 {
			r.Topic, r.ID = base[:dash], int32(id)
			return r, nil
		}
	}
	return r, fmt.Errorf("found directory %s, whose name is not in the form of topic-partition or topic-partition.uniqueId-delete "+
		"(if marked for deletion): log directories should only contain topic data; move it elsewhere", filepath.Join(dir, name))
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 32
}

// notReplica says whether a directory is to be passed over.
func notReplica(name string) bool {
	return name == remoteIndexCache || strings.HasPrefix(name, metadataTopic+"-")
}

// retiredDirName is the name that a replica's directory gets when it goes out of service, never longer than names may be.
func retiredDirName(p checkpoint.Partition, suffix string) string {
	id := uuid.New()
	tail := fmt.Sprintf("-%d.%s%s", p.ID, hex.EncodeToString(id[:]), suffix)
	return p.Topic[:min(len(p.Topic), maxDirName-len(tail))] + tail
}

// checkName refuses a topic whose name could lead out of the log dir.
func checkName(topic string, partition int32) error {
	legal := topic != "" && topic != "." && topic != ".." && len(topic) <= maxTopic && partition >= 0
	for _, c := range topic {
		legal = legal && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c))
	}
	if !legal {
		return fmt.Errorf("partition %d of topic %.300q cannot have a log: %w", partition, topic, kerr.InvalidTopicException)
	}
	return nil
}
