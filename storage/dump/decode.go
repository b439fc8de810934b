package dump

import (
	"fmt"
	"slices"
	"strings"
)

// offsetsRecord prints a record of __consumer_offsets. payload is "" for none: the key says what went wrong.
func offsetsRecord(offset int64, k, v []byte) (string, string) {
	if k == nil {
		return fmt.Sprintf("Error at offset %d, skipping. The key is missing", offset), ""
	}
	p := &parser{in: k}
	kind := int16(p.uint(2))
	switch {
	case p.bad:
		return fmt.Sprintf("Error at offset %d, skipping. %v", offset, errMessage), ""
	case kind < 0 || int(kind) >= len(offsetRecords):
		return fmt.Sprintf("Unknown record type %d at offset %d, skipping.", kind, offset), ""
	}
	table := offsetRecords[kind]
	text, err := table.key.json("type", k)
	if err != nil {
		return fmt.Sprintf("Error at offset %d, skipping. %v", offset, err), ""
	}
	if v == nil {
		return text, "<DELETE>"
	}
	payload, err := table.value.json("version", v)
	if err != nil {
		return fmt.Sprintf("Error at offset %d, skipping. %v", offset, err), ""
	}
	return text, payload
}

// States of a transaction by their number on disk.
var txnStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

// transactionsRecord prints a record of __transaction_state.
func transactionsRecord(offset int64, k, v []byte) (string, string) {
	p := &parser{in: k}
	if kind := int16(p.uint(2)); kind != 0 || p.bad {
		return fmt.Sprintf("unknown::version=%d", kind), ""
	}
	id := string(p.take(p.uint(2)))
	if p.bad {
		return fmt.Sprintf("Error at offset %d, skipping. %v", offset, errMessage), ""
	}
	text := "transaction_metadata::transactionalId=" + id
	if v == nil {
		return text, "<DELETE>"
	}
	payload, ok := transaction(v)
	if !ok {
		return fmt.Sprintf("Error at offset %d, skipping. %v", offset, errMessage), ""
	}
	return text, payload
}

// transaction prints a TransactionLogValue, whose line is not JSON in Kafka either.
func transaction(v []byte) (string, bool) {
	p := &parser{in: v}
	version := int16(p.uint(2))
	if version < 0 || version > 1 {
		return "", false
	}
	p.version, p.flexible = version, version >= 1
	id, epoch, timeout := int64(p.uint(8)), int16(p.uint(2)), int32(p.uint(4))
	state := fmt.Sprint(int8(p.uint(1)))
	for i, name := range txnStates {
		if state == fmt.Sprint(i) {
			state = name
		}
	}
	var partitions []string
	for range max(p.length(4), 0) {
		topic := string(p.take(uint64(max(p.length(2), 0))))
		for range max(p.length(4), 0) {
			partitions = append(partitions, fmt.Sprintf("%s-%d", topic, int32(p.uint(4))))
			if p.bad {
				return "", false
			}
		}
		if p.flexible {
			p.tags(nil, nil)
		}
		if p.bad {
			return "", false
		}
	}
	slices.Sort(partitions)
	updated := int64(p.uint(8))
	return fmt.Sprintf("producerId:%d,producerEpoch:%d,state=%s,partitions=[%s],txnLastUpdateTimestamp=%d,txnTimeoutMs=%d",
		id, epoch, state, strings.Join(partitions, ","), updated, timeout), !p.bad
}
