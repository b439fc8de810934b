package controller

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/store"
)

// AllocateProducerIDs takes the next block of producer ids for this broker: first to last, both inclusive. No id is ever
// given twice; a block whose owner never hears of it is lost.
func (a *Admin) AllocateProducerIDs(ctx context.Context) (first, last int64, err error) {
	for {
		data, stat, err := a.o.Store.Get(ctx, store.ProducerIDBlockPath)
		if err != nil {
			return 0, 0, err
		}
		taken, err := store.DecodeProducerIDBlock(data)
		if err != nil {
			return 0, 0, err
		}
		if taken.Last > math.MaxInt64-store.ProducerIDBlockSize {
			return 0, 0, refuse(kerr.UnknownServerError, "Have exhausted all producerIds as the next block's end producerId has exceeded the limit of a 64-bit number.")
		}
		block := store.ProducerIDBlock{Broker: a.o.Self, First: taken.Last + 1, Last: taken.Last + store.ProducerIDBlockSize}
		mine := store.EncodeProducerIDBlock(block)
		_, err = a.o.Store.Set(ctx, store.ProducerIDBlockPath, mine, stat.Version)
		if errors.Is(err, store.ErrUnavailable) {
			// It may have been written. Whoever finds it written as the very next version knows that it was.
			now, nowStat, again := a.o.Store.Get(ctx, store.ProducerIDBlockPath)
			if again == nil && nowStat.Version == stat.Version+1 && bytes.Equal(now, mine) {
				err = nil
			}
		}
		if errors.Is(err, store.ErrBadVersion) {
			continue // another broker was faster
		}
		return block.First, block.Last, err
	}
}

// ProducerIDs hands out producer ids, a block at a time, and takes the next block before the present one is used up. It
// is safe for concurrent use.
type ProducerIDs struct {
	ctx      context.Context
	allocate func(context.Context) (first, last int64, err error)

	mu         sync.Mutex // guards what follows
	next, last int64      // what is left of the block; none if next > last
	ahead      *block     // the next one, nil until it was asked for
}

// block is a block that is being taken, or was.
type block struct {
	done        chan struct{} // closed when the rest is there
	first, last int64
	err         error
}

// NewProducerIDs is a source of ids that takes its blocks by allocate: AllocateProducerIDs, or a request to the
// controller. The context is the broker's: a block is taken for all who wait, not for the request that needed it first.
func NewProducerIDs(ctx context.Context, allocate func(context.Context) (first, last int64, err error)) *ProducerIDs {
	return &ProducerIDs{ctx: ctx, allocate: allocate, next: 0, last: -1}
}

// Next gives an id that nobody has had. It waits only when a whole block was used up faster than the next one came.
func (p *ProducerIDs) Next(ctx context.Context) (int64, error) {
	for {
		id, wait, ok := p.take()
		if ok {
			return id, nil
		}
		select {
		case <-wait.done:
			if wait.err != nil {
				return 0, fmt.Errorf("block of producer ids: %w", wait.err)
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// take gives an id, or the block to wait for.
func (p *ProducerIDs) take() (id int64, wait *block, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next > p.last && p.ahead != nil {
		select {
		case <-p.ahead.done:
			if p.ahead.err == nil {
				p.next, p.last = p.ahead.first, p.ahead.last
			}
			p.ahead = nil
		default:
			return 0, p.ahead, false
		}
	}
	// A tenth of a block is left when the next one is asked for, as in Kafka.
	if p.ahead == nil && p.last-p.next+1 <= store.ProducerIDBlockSize/10 {
		p.ahead = &block{done: make(chan struct{})}
		go p.fetch(p.ahead)
	}
	if p.next > p.last {
		return 0, p.ahead, false
	}
	id = p.next
	p.next++
	return id, nil, true
}

func (p *ProducerIDs) fetch(b *block) {
	b.first, b.last, b.err = p.allocate(p.ctx)
	close(b.done)
}
