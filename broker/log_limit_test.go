package broker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"barnabas/broker/config"
	"barnabas/storage/clock"
)

// What clients bring about in a loop is written for a while, then now and then, and it is told how much is left out; other kinds,
// and what the broker itself has to say, are not touched. A line for each request that was refused once filled the disk.
func TestLinesThatClientsBringAboutAreLimited(t *testing.T) {
	now := clock.NewManual(time.UnixMilli(1_700_000_000_000))
	core, logs := observer.New(zapcore.DebugLevel)
	root := limitLog(zap.New(core), now)
	log := root.Named("network").With(zap.String("listener", "PLAINTEXT"))
	const refused = "request refused"
	lines := func(message string) int { return logs.FilterMessage(message).Len() }
	for range 50_000 {
		log.Info(refused, zap.Error(errors.New("not enough data")), zap.Binary("header", make([]byte, 8)))
		root.Named("storage").Info("a log is loaded")
		log.Debug("connection ended")
	}
	burst := lines(refused)
	if burst < 1000 || burst > logBurst/logLine {
		t.Errorf("%d lines are written", burst)
	}
	if n, m := lines("a log is loaded"), lines("connection ended"); n != 50_000 || m != 50_000 {
		t.Errorf("%d and %d lines of others", n, m)
	}
	log.Warn("not a Kafka request")
	if lines("not a Kafka request") != 1 {
		t.Error("another kind is left out")
	}
	told := func() []observer.LoggedEntry {
		return logs.FilterMessage("lines were left out: there are too many of a kind").All()
	}
	if now.Advance(logTell - 1); len(told()) != 0 {
		t.Error("told too soon")
	}
	now.Advance(1)
	if got := told(); len(got) != 1 || got[0].ContextMap()["lines"] != int64(50_000-burst) || got[0].ContextMap()["of"] != refused || got[0].LoggerName != "network" {
		t.Errorf("%+v", got)
	}
	if now.Advance(time.Hour); len(told()) != 1 {
		t.Error("told although nothing was left out")
	}
	for range 24 * 60 * 60 {
		log.Info(refused, zap.String("group", strings.Repeat("x", 30_000)))
		now.Advance(time.Second)
	}
	bytes := 0
	for _, e := range logs.FilterMessage(refused).All()[burst:] {
		bytes += logLine + len(e.ContextMap()["group"].(string))
	}
	if most := logBurst + 86_400*logRate + 40_000; bytes > most || bytes < most/2 {
		t.Errorf("%d bytes in a day", bytes)
	}
	now.Advance(logTell)
	if got := told(); len(got) < 100 || len(got) > 86_400/30+2 {
		t.Errorf("told %d times", len(got))
	}
}

// A level that is turned off is off.
func TestLimitedLinesKeepTheirLevel(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	_, levels := config.LoggersOf(zap.New(core, zap.IncreaseLevel(zapcore.WarnLevel)))
	log := limitLog(levels, clock.Real).Named("network")
	log.Info("no")
	log.Warn("yes")
	if logs.Len() != 1 || logs.All()[0].Message != "yes" {
		t.Errorf("%v", logs.All())
	}
}
