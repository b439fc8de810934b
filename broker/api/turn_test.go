package api

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Hundreds looked for room while there was some, then waited for their turn, and each came to hold something: two hundred clients that
// did not read took 476 MB where the bounds came to 300. Who looks in its turn sees what those before it hold.
func TestRoomIsLookedForInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd, most = 300, 5
		var held atomic.Int32
		roomy, gone := make(chan struct{}), make(chan struct{})
		room := func() <-chan struct{} {
			if held.Load() >= most {
				return roomy
			}
			return nil
		}
		one := turn{gone: gone, room: room}
		var made, left, let atomic.Int32
		for range crowd {
			go func() {
				if one.Begin(func() { let.Add(1) }) != nil {
					left.Add(1)
					return
				}
				defer one.End()
				held.Add(1)
				made.Add(1)
			}()
		}
		synctest.Wait()
		if n := made.Load(); n < most || n > most+int32(cap(turns)) {
			t.Errorf("%d have made something, there is room for %d", n, most)
		}
		if n := let.Load(); n < crowd-made.Load() {
			t.Errorf("%d have let go of what they held, %d wait", n, crowd-made.Load())
		}
		// Those who wait for room have no place: others, for whom there is room, have their turn.
		if (turn{}).Begin(nil) != nil || len(turns) != 1 {
			t.Errorf("%d places are taken", len(turns))
		}
		turn{}.End()
		// There is room for some more.
		held.Store(most - 1)
		before := made.Load()
		was := roomy
		roomy = make(chan struct{})
		close(was)
		synctest.Wait()
		if n := made.Load() - before; n < 1 || n > 1+int32(cap(turns)) {
			t.Errorf("%d more have made something, there is room for one", n)
		}
		close(gone)
		synctest.Wait()
		if made.Load()+left.Load() != crowd || len(turns) != 0 {
			t.Errorf("%d and %d of %d are through, %d places are taken", made.Load(), left.Load(), crowd, len(turns))
		}
	})
}
