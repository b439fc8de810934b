package replication

import (
	"barnabas/protocol/record"
	"barnabas/storage"
)

// Settings are the settings in effect for one topic, parsed. They are immutable; a change replaces them.
type Settings struct {
	Log storage.Config
	// Rules is what every produced batch is held to; place, version and time are filled in by each append.
	Rules record.Rules
	// MinISR is min.insync.replicas.
	MinISR int
	// Downconvert allows serving consumers that know only message formats 0 and 1 (message.downconversion.enable).
	Downconvert bool
	// ZstdOnly says that the topic's compression.type is zstd: consumers that do not know it are told so.
	ZstdOnly bool
}
