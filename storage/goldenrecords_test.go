package storage_test

import (
	"testing"

	"barnabas/storage"
	"barnabas/storage/index"
)

func readAll(t *testing.T, l *storage.Log, bound int64, aborted []index.AbortedTxn) string {
	return ""
}
