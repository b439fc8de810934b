//go:build integration

package integration

import (
	"net"
	"sync"
	"testing"

	"barnabas/integration/peers"
	"barnabas/protocol/record/codec"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A batch that inflates to a hundred megabytes is an honest one to who produces it, and lies in the log. A hundred old consumers that
// asked for it and did not read took five gigabytes: each kept what it had inflated on trial while it waited for its turn, and one
// was let in while the messages of the last were still being compressed, so that nobody else had a processor.
func TestBombsInTheLogAreConvertedOneAtATime(t *testing.T) {
	t.Parallel()
	b := besiege(t, nil, false)
	topic := create(t, b.Addr, "mined", 1)
	c, err := peers.Dial(b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var zeros [][]byte
	for range 128 {
		zeros = append(zeros, make([]byte, 1<<20))
	}
	resp, err := c.RoundTrip(produceTo(topic, 0, batchOf(codec.Gzip, zeros...)), patience)
	if err != nil {
		t.Fatal(err)
	}
	if p := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 {
		t.Fatalf("the batch is refused: %d", p.ErrorCode)
	}
	old := frameOf(fetchOf(topic, 2, 0))
	var writers sync.WaitGroup
	leave := b.crowd(t, 100, func(_ int, c *peers.Conn) error {
		_ = c.Conn.(*net.TCPConn).SetReadBuffer(4096)
		writers.Go(func() { _, _ = c.Write(append(append([]byte{}, old...), old...)) })
		return nil
	})
	b.goesOn(t, 200)
	leave()
	writers.Wait()
	b.goesOn(t, 20)
	b.survived(t, 600<<20)
}
