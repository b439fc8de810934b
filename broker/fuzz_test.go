package broker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/api"
	"barnabas/protocol"
)

// FuzzRequest gives every handler whatever bytes come as its request, at every version: it answers, or says that these are
// not its bytes. The seeds are a request of each API at each version that the broker has.
func FuzzRequest(f *testing.F) {
	config, err := Alone("127.0.0.1:0", f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	b, err := Start(f.Context(), Options{Config: config})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			f.Error(err)
		}
	})
	routes := b.listeners.all()[0].routes
	for _, r := range routes.All() {
		for v := range r.Max + 1 {
			req := kmsg.RequestForKey(r.Key)
			req.SetVersion(v)
			f.Add(r.Key, v, req.AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		route := routes.Get(key, version)
		if route == nil {
			return
		}
		if _, err := route.Weigh(version, body, 0); err != nil {
			if errors.Is(err, api.ErrPanic) {
				t.Fatal(err)
			}
			return
		}
		reply, err := route.Serve(&api.Call{Key: key, Version: version, Listener: "PLAINTEXT", ClientID: "fuzz"}, body)
		if errors.Is(err, api.ErrPanic) {
			t.Fatal(err)
		}
		if err != nil || reply.Closes() {
			return
		}
		// A little time, so that what waits is begun and given up.
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		switch resp := reply.Await(ctx).(type) {
		case nil:
		case messageResponse:
			var m protocol.Message
			if err := resp.AppendMessage(&m); err != nil {
				t.Fatal(err)
			}
			m.Release()
		default:
			resp.AppendTo(nil)
		}
	})
}
