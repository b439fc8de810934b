package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"barnabas/broker/config"
)

// newLogger makes the broker's logger: for people on a terminal, JSON otherwise, unless format says console or json.
// Its levels can be changed while the broker runs (see config.Loggers).
func newLogger(w io.Writer, level, format string) (*zap.Logger, error) {
	least, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("--log-level %q is not debug, info, warn or error", level)
	}
	people := isTerminal(w)
	switch strings.ToLower(format) {
	case "auto":
	case "console":
		people = true
	case "json":
		people = false
	default:
		return nil, fmt.Errorf("--log-format %q is not auto, console or json", format)
	}
	c := zap.NewProductionEncoderConfig()
	c.EncodeTime = zapcore.ISO8601TimeEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(c)
	if people {
		c.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		c.EncodeLevel = zapcore.CapitalLevelEncoder
		if isTerminal(w) && os.Getenv("NO_COLOR") == "" {
			c.EncodeLevel = zapcore.CapitalColorLevelEncoder
		}
		c.ConsoleSeparator = " "
		encoder = zapcore.NewConsoleEncoder(c)
	}
	core := zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), zapcore.DebugLevel-1)
	return zap.New(config.NewLoggers(least).Core(core)), nil
}
