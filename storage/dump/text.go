package dump

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"barnabas/storage/checkpoint"
	"barnabas/storage/producers"
)

func (d *dumper) offsets() error {
	text, err := d.readAll()
	if err != nil {
		return err
	}
	o, err := checkpoint.DecodeOffsets(text)
	for _, p := range slices.SortedFunc(maps.Keys(o), checkpoint.Partition.Compare) {
		d.printf("topic: %s partition: %d offset: %d\n", p.Topic, p.ID, o[p])
	}
	return err
}

func (d *dumper) epochs() error {
	text, err := d.readAll()
	if err != nil {
		return err
	}
	es, err := checkpoint.DecodeEpochs(text)
	for _, e := range es {
		d.printf("epoch: %d startOffset: %d\n", e.Epoch, e.Start)
	}
	return err
}

func (d *dumper) partition() error {
	text, err := d.readAll()
	if err != nil {
		return err
	}
	id, err := checkpoint.DecodePartition(text)
	if err == nil {
		d.printf("version: 0 topicId: %s\n", uuid(id[:]))
	}
	return err
}

func (d *dumper) meta() error {
	text, err := d.readAll()
	if err != nil {
		return err
	}
	m, err := checkpoint.DecodeMeta(text)
	if err != nil {
		return err
	}
	d.printf("version: %d brokerId: %d clusterId: %s", m.Version, m.BrokerID, m.ClusterID)
	for _, k := range slices.Sorted(maps.Keys(m.Rest)) {
		d.printf(" %s: %s", k, m.Rest[k])
	}
	d.printf("\n")
	return nil
}

func (d *dumper) marker() error {
	text, err := d.readAll()
	if err == nil {
		d.printf("clean shutdown: %s\n", text)
	}
	return err
}

// snapshot prints the producers in the order of the file.
func (d *dumper) snapshot() error {
	b, err := d.readAll()
	if err != nil {
		return err
	}
	states, err := producers.DecodeSnapshot(b)
	for i := range states {
		s := &states[i]
		d.printf("producerId: %d producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %s lastTimestamp: %d ",
			s.ID, s.Epoch, s.CoordinatorEpoch, optional(s.TxnFirst, s.TxnFirst != producers.None), s.Timestamp)
		if b, ok := s.Last(); ok {
			d.printf("firstSequence: %d lastSequence: %d lastOffset: %d offsetDelta: %d timestamp: %d",
				b.FirstSequence(), b.LastSequence, b.LastOffset, b.OffsetDelta, b.Timestamp)
		}
		d.printf("\n")
	}
	return err
}

// optional is how Java prints an OptionalLong.
func optional(v int64, ok bool) string {
	if ok {
		return fmt.Sprintf("OptionalLong[%d]", v)
	}
	return "OptionalLong.empty"
}

func uuid(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
