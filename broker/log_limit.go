package broker

import (
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"barnabas/storage/clock"
)

const (
	// Lines that clients bring about are written in full until those of a kind come to logBurst bytes, and to logRate bytes a second
	// from then on; what is left out is counted, and told logTell after the first. So a client that does the same wrong thing in a
	// loop cannot fill the disk: a kind comes to some 20 MB a day.
	logBurst = 256 << 10
	logRate  = 256
	logTell  = 30 * time.Second
	// logLine is about what a line takes without the text of its fields, in bytes.
	logLine = 150
)

// chatty are the loggers whose lines clients bring about.
var chatty = []string{"network", "groups"}

// logLimit is a zap core that leaves out what is too much of what clients bring about. Lines of a kind have the same message.
// Debug lines are left alone: who turns them on wants to see them.
type logLimit struct {
	zapcore.Core
	shared *logKinds
}

// logKinds is what the cores of one logger have in common.
type logKinds struct {
	clock clock.Clock
	core  zapcore.Core // for what it has to say itself

	mu sync.Mutex // guards all below
	of map[string]*logKind
}

type logKind struct {
	left    float64 // bytes
	at      time.Time
	leftOut int
}

// limitLog gives a logger whose lines are limited.
func limitLog(log *zap.Logger, c clock.Clock) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return &logLimit{core, &logKinds{clock: c, core: core, of: map[string]*logKind{}}}
	}))
}

// With is a core with more fields, and the same limits.
func (l *logLimit) With(fields []zapcore.Field) zapcore.Core {
	return &logLimit{l.Core.With(fields), l.shared}
}

// Check has the line come to Write if it may be limited, and to the core itself otherwise.
func (l *logLimit) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	name := e.LoggerName[strings.LastIndexByte(e.LoggerName, '.')+1:]
	if e.Level < zapcore.InfoLevel || !slices.Contains(chatty, name) {
		return l.Core.Check(e, checked)
	}
	if l.Core.Check(e, nil) == nil { // its logger has another level
		return checked
	}
	return checked.AddCore(e, l)
}

// Write writes a line, or counts it.
func (l *logLimit) Write(e zapcore.Entry, fields []zapcore.Field) error {
	size := logLine + len(e.Message) + len(e.Stack)
	for _, f := range fields {
		size += len(f.Key) + len(f.String)
		switch v := f.Interface.(type) {
		case []byte:
			size += len(v)
		case error:
			size += len(v.Error())
		}
	}
	if !l.shared.allow(e, size) {
		return nil
	}
	return l.Core.Write(e, fields)
}

// allow says whether a line may be written, and tells later what may not.
func (k *logKinds) allow(e zapcore.Entry, size int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.Now()
	kind := k.of[e.Message]
	if kind == nil {
		kind = &logKind{left: logBurst, at: now}
		k.of[e.Message] = kind
	}
	kind.left = min(kind.left+now.Sub(kind.at).Seconds()*logRate, logBurst)
	kind.at = now
	if kind.left >= 0 { // a line of any size is written while anything is left
		kind.left -= float64(size)
		return true
	}
	if kind.leftOut++; kind.leftOut == 1 {
		k.clock.AfterFunc(logTell, func() { k.tell(e) })
	}
	return false
}

// tell says how many lines of a kind have been left out.
func (k *logKinds) tell(e zapcore.Entry) {
	k.mu.Lock()
	kind := k.of[e.Message]
	n := kind.leftOut
	kind.leftOut = 0
	k.mu.Unlock()
	e.Time, e.Stack, e.Caller = k.clock.Now(), "", zapcore.EntryCaller{}
	of := e.Message
	e.Message = "lines were left out: there are too many of a kind"
	_ = k.core.Write(e, []zapcore.Field{zap.String("of", of), zap.Int("lines", n), zap.Duration("in", logTell)})
}
