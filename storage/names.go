package storage

import (
	"fmt"
	"strconv"
	"strings"
)

// Suffixes of the files in a replica's directory, as Kafka has them.
const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	txnIndexSuffix  = ".txnindex"
	snapshotSuffix  = ".snapshot"

	deletedSuffix = ".deleted" // waits for its removal; removed at load
	cleanedSuffix = ".cleaned" // compaction's output in progress; removed at load
	swapSuffix    = ".swap"    // compaction's complete output; takes the place of the originals at load
)

// fileName is the name of a segment's file, or a snapshot's: the offset in 20 digits.
func fileName(offset int64, suffix string) string { return fmt.Sprintf("%020d%s", offset, suffix) }

// parseName takes a name apart: "00000000000000000042.log" is 42 and ".log", and "….log.swap" 42 and ".log.swap".
func parseName(name string) (offset int64, suffix string, ok bool) {
	dot := strings.IndexByte(name, '.')
	if dot <= 0 {
		return 0, "", false
	}
	offset, err := strconv.ParseInt(name[:dot], 10, 64)
	if err != nil || offset < 0 {
		return 0, "", false
	}
	return offset, name[dot:], true
}
