package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"barnabas/broker"
	"barnabas/broker/config"
)

// started is as near to the start of the process as Go lets us look.
var started = time.Now()

// stopTime is how long a clean stop may take before the broker is left to recover at its next start.
const stopTime = 60 * time.Second

type serveFlags struct {
	config    string
	overrides []string
	listen    string
	data      string
	logLevel  string
	logFormat string
}

func newServe() *cobra.Command {
	f := &serveFlags{}
	cmd := &cobra.Command{
		Use:   "serve [SERVER.PROPERTIES]",
		Short: "Run a broker",
		Long: `Run a broker: with zookeeper.connect set as a member of that cluster, otherwise alone.

Settings come from a Kafka server.properties, named alone or with --config; --listen and --data go over it, and --override over all. Without any the
broker listens on port 9092 and keeps its data in ./data. Alone, offsets.topic.replication.factor,
transaction.state.log.replication.factor and transaction.state.log.min.isr are 1 unless they are set.

The broker prints one line when it is ready. SIGTERM or SIGINT (Ctrl-C) stops it cleanly, a second one at once.`,
		Example: `  barnabas serve
  barnabas serve --listen 127.0.0.1:9092 --data /var/lib/barnabas
  barnabas serve --config server.properties --override log.retention.hours=24`,
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && f.config != "" {
				return fmt.Errorf("two files of settings: %s and %s", f.config, args[0])
			} else if len(args) == 1 {
				f.config = args[0]
			}
			return serve(cmd, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "a Kafka server.properties")
	flags.StringArrayVar(&f.overrides, "override", nil, "a setting as key=value, over what the file says; may be given several times")
	flags.StringVarP(&f.listen, "listen", "l", "", "address to listen on, as host:port, or a list as listeners has it")
	flags.StringVarP(&f.data, "data", "d", "", "folder for the data (default ./data, unless the file says log.dirs)")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", "auto", "console, json, or auto: console on a terminal, else JSON")
	must(cmd.MarkFlagFilename("config", "properties"))
	must(cmd.MarkFlagDirname("data"))
	completeWords(cmd, "log-level", "debug", "info", "warn", "error")
	completeWords(cmd, "log-format", "auto", "console", "json")
	completeSettings(cmd, config.BrokerDefs, "override")
	return cmd
}

func serve(cmd *cobra.Command, f *serveFlags) error {
	logger, err := newLogger(cmd.ErrOrStderr(), f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	defer func() { _ = logger.Sync() }()
	static, err := f.settings()
	if err != nil {
		return err
	}
	for _, n := range static.Notices() {
		if n.Warn {
			logger.Warn(n.Text)
		} else {
			logger.Info(n.Text)
		}
	}
	if c := static.Broker(); len(c.ZooKeeperConnect) > 0 {
		logger.Info("connecting to ZooKeeper", zap.String("servers", c.ZooKeeperConnect),
			zap.Duration("at most", time.Duration(c.ZooKeeperConnectionTimeoutMs)*time.Millisecond))
	}
	ctx := cmd.Context()
	go stayAwake(ctx)
	b, err := broker.Start(ctx, broker.Options{Config: static, Logger: logger})
	if err != nil {
		return startMistake(err)
	}
	fmt.Fprintln(cmd.OutOrStdout(), readyLine(b))
	select {
	case <-b.Done():
		return fmt.Errorf("stopped by itself: %w", b.Err())
	case <-ctx.Done():
	}
	logger.Info("stopping", zap.Duration("at most", stopTime))
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := b.Close(stop); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}

func readyLine(b *broker.Broker) string {
	return fmt.Sprintf("barnabas %s ready: node %d of cluster %s, listening on %s, data in %s, started in %d ms",
		versionName(), b.NodeID(), b.ClusterID(), strings.Join(b.Listeners(), ","), strings.Join(b.Folders(), ","), time.Since(started).Milliseconds())
}

// settings puts the file, the flags and the overrides together, weakest first.
func (f *serveFlags) settings() (*config.Static, error) {
	props := map[string]string{}
	if f.config != "" {
		var err error
		if props, err = config.LoadProperties(f.config); err != nil {
			return nil, err
		}
	}
	if f.listen != "" {
		if err := listenOn(props, f.listen); err != nil {
			return nil, err
		}
	}
	if f.data != "" {
		props["log.dirs"] = f.data
	}
	for _, o := range f.overrides {
		k, v, err := config.ParseOverride(o)
		if err != nil {
			return nil, err
		}
		props[k] = v
	}
	if props["log.dirs"] == "" && props["log.dir"] == "" {
		props["log.dirs"] = "data"
	}
	static, err := config.NewStatic(props)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return static, nil
}

// listenOn turns --listen into settings. An address that stands for all interfaces cannot be told to clients: they are
// told this host's name, as Kafka does for an empty host.
func listenOn(props map[string]string, listen string) error {
	if strings.Contains(listen, "://") {
		props["listeners"] = listen
		delete(props, "advertised.listeners")
		return nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		var bad *net.AddrError
		if !errors.As(err, &bad) || bad.Err != "missing port in address" {
			return fmt.Errorf("--listen %q is not host:port", listen)
		}
		host, port = strings.Trim(listen, "[]"), "9092"
		if _, err := strconv.ParseUint(host, 10, 16); err == nil { // a port alone
			host, port = "", host
		}
	}
	props["listeners"] = "PLAINTEXT://" + net.JoinHostPort(host, port)
	delete(props, "advertised.listeners")
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		props["advertised.listeners"] = "PLAINTEXT://" + net.JoinHostPort("", port)
	}
	return nil
}
