package config

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/twmb/franz-go/pkg/kerr"
)

// RootLogger is the logger that all others take their level from until they have one of their own.
const RootLogger = "root"

// loggerNames are the parts of the broker whose level may be changed by itself, as their zap loggers are named.
var loggerNames = []string{"api", "broker", "controller", "groups", "network", "replication", "storage", "store"}

// traceLevel is below zap's lowest; nothing logs there, but Kafka's tools may set it.
const traceLevel = zapcore.DebugLevel - 1

var levelNames = map[string]zapcore.Level{
	"TRACE": traceLevel, "DEBUG": zapcore.DebugLevel, "INFO": zapcore.InfoLevel,
	"WARN": zapcore.WarnLevel, "ERROR": zapcore.ErrorLevel, "FATAL": zapcore.FatalLevel,
}

// Loggers are the log levels that BROKER_LOGGER resources read and change. Reads (every log call) take no lock.
type Loggers struct {
	mu     sync.Mutex
	levels atomic.Pointer[map[string]zapcore.Level] // root always, others when set
	lowest atomic.Int32                             // of all levels: what may have to be written
}

// NewLoggers begins with every logger at one level.
func NewLoggers(level zapcore.Level) *Loggers {
	l := &Loggers{}
	l.publish(map[string]zapcore.Level{RootLogger: level})
	return l
}

// LoggersOf finds the levels that a logger made with Loggers.Core obeys. A logger made otherwise is wrapped: levels
// then rise above what it writes by itself but cannot sink below.
func LoggersOf(logger *zap.Logger) (*Loggers, *zap.Logger) {
	if c, ok := logger.Core().(*levelCore); ok {
		return c.levels, logger
	}
	level := zapcore.LevelOf(logger.Core())
	if level == zapcore.InvalidLevel {
		level = zapcore.InfoLevel
	}
	l := NewLoggers(level)
	return l, logger.WithOptions(zap.WrapCore(l.Core))
}

// Core puts these levels before another core, which should itself let everything pass.
func (l *Loggers) Core(inner zapcore.Core) zapcore.Core { return &levelCore{Core: inner, levels: l} }

// All gives each logger's name with its level's, as Kafka spells it.
func (l *Loggers) All() map[string]string {
	all := map[string]string{RootLogger: levelName(l.level(RootLogger))}
	for _, name := range loggerNames {
		all[name] = levelName(l.level(name))
	}
	return all
}

// Set changes a logger's level. The error is a *Refusal with Kafka's message.
func (l *Loggers) Set(name, level string) error {
	if err := l.CheckSet(name, level); err != nil {
		return err
	}
	l.change(func(levels map[string]zapcore.Level) { levels[name] = levelNames[level] })
	return nil
}

// Unset has a logger take the root's level again. The error is a *Refusal with Kafka's message.
func (l *Loggers) Unset(name string) error {
	if err := l.CheckUnset(name); err != nil {
		return err
	}
	l.change(func(levels map[string]zapcore.Level) { delete(levels, name) })
	return nil
}

// CheckSet tells whether Set would refuse.
func (l *Loggers) CheckSet(name, level string) error {
	if err := l.exists(name); err != nil {
		return err
	}
	if _, ok := levelNames[level]; !ok {
		return refuse(kerr.InvalidConfig, "Cannot set the log level of %s to %s as it is not a supported log level. Valid log levels are %s",
			name, level, strings.Join(slices.Sorted(maps.Keys(levelNames)), ", "))
	}
	return nil
}

// CheckUnset tells whether Unset would refuse.
func (l *Loggers) CheckUnset(name string) error {
	if err := l.exists(name); err != nil {
		return err
	}
	if name == RootLogger {
		return refuse(kerr.InvalidRequest, "Removing the log level of the %s logger is not allowed", RootLogger)
	}
	return nil
}

func (l *Loggers) exists(name string) error {
	if name != RootLogger && !slices.Contains(loggerNames, name) {
		return refuse(kerr.InvalidConfig, "Logger %s does not exist!", name)
	}
	return nil
}

func (l *Loggers) change(edit func(map[string]zapcore.Level)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	levels := maps.Clone(*l.levels.Load())
	edit(levels)
	l.publish(levels)
}

func (l *Loggers) publish(levels map[string]zapcore.Level) {
	lowest := zapcore.FatalLevel
	for _, level := range levels {
		lowest = min(lowest, level)
	}
	l.levels.Store(&levels)
	l.lowest.Store(int32(lowest))
}

// level is what a logger's entries need at least: its own, its parent's, ..., the root's.
func (l *Loggers) level(name string) zapcore.Level {
	levels := *l.levels.Load()
	for name != "" {
		if level, ok := levels[name]; ok {
			return level
		}
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			break
		}
		name = name[:dot]
	}
	return levels[RootLogger]
}

func levelName(level zapcore.Level) string {
	for name, l := range levelNames {
		if l == level {
			return name
		}
	}
	return strings.ToUpper(level.String())
}

// levelCore drops what is below the level of the logger that an entry comes from.
type levelCore struct {
	zapcore.Core
	levels *Loggers
}

func (c *levelCore) Enabled(level zapcore.Level) bool {
	return int32(level) >= c.levels.lowest.Load() && c.Core.Enabled(level)
}

func (c *levelCore) Level() zapcore.Level { return zapcore.Level(c.levels.lowest.Load()) }

func (c *levelCore) With(fields []zapcore.Field) zapcore.Core {
	return &levelCore{Core: c.Core.With(fields), levels: c.levels}
}

func (c *levelCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if entry.Level < c.levels.level(entry.LoggerName) {
		return checked
	}
	return c.Core.Check(entry, checked)
}
