package protocol

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestHeaderOfEveryAPIAndVersion(t *testing.T) {
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		for v := int16(0); v <= req.MaxVersion(); v++ {
			req.SetVersion(v)
			frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("me")).AppendRequest(nil, req, 42)[4:]
			h, body, err := ParseHeader(frame, req.IsFlexible(), "")
			if err != nil {
				t.Fatalf("key %d v%d: %v", key, v, err)
			}
			want, wantBody := Header{key, v, 42, "me"}, string(req.AppendTo(nil))
			if key == KeyControlledShutdown && v == 0 {
				// Header 0, behind which the formatter forgets the body.
				want.ClientID, wantBody = "", ""
			}
			if h != want || string(body) != wantBody {
				t.Fatalf("key %d v%d: %+v, body of %d bytes", key, v, h, len(body))
			}
		}
	}
}

func TestHeaderThatItsFrameDoesNotHold(t *testing.T) {
	for name, frame := range map[string]string{
		"empty":               "",
		"seven bytes":         "\x00\x03\x00\x01\x00\x00\x00",
		"no client id":        "\x00\x03\x00\x01\x00\x00\x00\x01",
		"half a length":       "\x00\x03\x00\x01\x00\x00\x00\x01\x00",
		"client id cut short": "\x00\x03\x00\x01\x00\x00\x00\x01\x00\x05ab",
		"no tags":             "\x00\x03\x00\x09\x00\x00\x00\x01\xff\xff",
		"endless tag":         "\x00\x03\x00\x09\x00\x00\x00\x01\xff\xff\x01\x00\x7f",
		"a million tags":      "\x00\x03\x00\x09\x00\x00\x00\x01\xff\xff\xc0\x84\x3d\x00",
	} {
		if _, _, err := ParseHeader([]byte(frame), true, ""); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNullAndNegativeClientIDs(t *testing.T) {
	for _, frame := range []string{"\x00\x03\x00\x01\x00\x00\x00\x01\xff\xff", "\x00\x03\x00\x01\x00\x00\x00\x01\x80\x00"} {
		if h, body, err := ParseHeader([]byte(frame), false, "x"); err != nil || h.ClientID != "" || len(body) != 0 {
			t.Errorf("%q: %+v %v", frame, h, err)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte("\x00\x03\x00\x09\x00\x00\x00\x01\x00\x02me\x01\x00\x01x"), true)
	f.Fuzz(func(t *testing.T, b []byte, flexible bool) {
		if _, body, err := ParseHeader(b, flexible, ""); err == nil && len(body) > len(b) {
			t.Fatal("longer than the frame")
		}
	})
}
