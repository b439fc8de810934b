package broker

import (
	"barnabas/broker/config"
	"barnabas/storage"
)

// cleanerConfig is what the settings ask of the log cleaner.
func cleanerConfig(c *config.Broker) storage.CleanerConfig {
	if !c.LogCleanerEnable {
		return storage.CleanerConfig{}
	}
	return storage.CleanerConfig{
		Threads:           c.LogCleanerThreads,
		DedupeBytes:       c.LogCleanerDedupeBufferSize,
		LoadFactor:        c.LogCleanerDedupeBufferLoadFactor,
		BufferBytes:       c.LogCleanerIOBufferSize,
		MaxBytesPerSecond: c.LogCleanerIOMaxBytesPerSecond,
		Backoff:           milliseconds(c.LogCleanerBackoffMs),
	}
}
