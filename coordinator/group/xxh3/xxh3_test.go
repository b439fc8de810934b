package xxh3

import "testing"

// TestSum64 has what hash4j 0.22.0, the library that Apache Kafka 4.3 hashes with, says of inputs of each length class.
func TestSum64(t *testing.T) {
	for _, want := range []struct {
		n   int
		sum uint64
	}{
		{0, 0x2d06800538d394c2},
		{1, 0x4c5cca45d0f4811f},
		{2, 0x29c60963cbfa4e6e},
		{3, 0x6e3e2670e61106ac},
		{4, 0x5c4c63133443d03f},
		{5, 0x49f5eb3111280b63},
		{8, 0xf9fd4dd0b04d78f5},
		{9, 0x7c20df9712c26edf},
		{15, 0xb345a7b2698ba575},
		{16, 0x86abf6baccea0858},
		{17, 0xb58bf5dc5022d071},
		{31, 0x48442fcd5518b086},
		{32, 0xe3712ed84c04a66e},
		{33, 0xa4dee99b093e1f73},
		{64, 0x1291d2d4042330dd},
		{65, 0x97c6bf83217e5ec9},
		{100, 0x5da67eac6d4093d5},
		{128, 0x10d17f72c0ccba41},
		{129, 0x1648bdc3db49d1a2},
		{143, 0xd05ced598f7f87b3},
		{144, 0xb46dbfc6d9e31aba},
		{160, 0x655c8dc33b4b4c4a},
		{200, 0xc0fbc0f4e181c826},
		{239, 0xf0d154819adb16cd},
		{240, 0xb6cfaf343fab81e6},
		{241, 0x956cae592c67279e},
		{255, 0x64a6073025eb7929},
		{256, 0xb15e550733c5dfac},
		{257, 0x87b3bf2d941cf085},
		{512, 0xa0e9790eb93990d7},
		{1000, 0x571d5cbfef44331b},
		{1023, 0xa94ffcd2254368e4},
		{1024, 0x70bd377d9574f4bb},
		{1025, 0x66c4487c41e127a7},
		{1087, 0x3a3888860f73973f},
		{1088, 0xf43dc77e28a9acbc},
		{1089, 0x313bc7ee32bbfa2e},
		{2048, 0x8b46caa67dab3a30},
		{2049, 0x581cd184fd9b76c5},
		{5000, 0xe4007929540f095c},
	} {
		b := make([]byte, want.n)
		for i := range b {
			b[i] = byte(i*131 + 7)
		}
		if got := Sum64(b); got != want.sum {
			t.Errorf("%d bytes: %x, want %x", want.n, got, want.sum)
		}
	}
}
