package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"barnabas/broker/config"
)

// connection is what every tool needs to reach a cluster.
type connection struct {
	brokers []string
	timeout time.Duration
}

// addTo gives a command, and those below it, the flags.
func (c *connection) addTo(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringSliceVarP(&c.brokers, "bootstrap-server", "b", []string{"localhost:9092"}, "brokers to ask first, as host:port,host:port")
	f.DurationVar(&c.timeout, "timeout", 15*time.Second, "how long to wait for the cluster's answers")
}

// client is a connection to a cluster with what its errors need to be explained.
type client struct {
	*kgo.Client
	adm *kadm.Client
	connection
}

// seeds gives the addresses to ask first: a missing port is 9092, and an address may be one as listeners has it.
func (c *connection) seeds() ([]string, error) {
	seeds := make([]string, 0, len(c.brokers))
	for _, b := range c.brokers {
		addr := b
		if protocol, rest, ok := strings.Cut(b, "://"); ok {
			if addr = rest; !strings.EqualFold(protocol, "PLAINTEXT") {
				return nil, fmt.Errorf("--bootstrap-server %q: only PLAINTEXT works, give host:port", b)
			}
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			host, port = strings.Trim(addr, "[]"), "9092"
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return nil, fmt.Errorf("--bootstrap-server %q: %q is not a port", b, port)
		}
		seeds = append(seeds, net.JoinHostPort(host, port))
	}
	if len(seeds) == 0 {
		return nil, errors.New("--bootstrap-server is empty: give host:port")
	}
	return seeds, nil
}

// open connects, and fails with one readable line when there is nobody to connect to.
func (c *connection) open(ctx context.Context, opts ...kgo.Opt) (*client, error) {
	seeds, err := c.seeds()
	if err != nil {
		return nil, err
	}
	if c.timeout <= 0 {
		return nil, fmt.Errorf("--timeout %v leaves no time for an answer", c.timeout)
	}
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(seeds...), kgo.ClientID("barnabas"),
		kgo.DialTimeout(min(c.timeout, 5*time.Second)), kgo.RetryTimeout(c.timeout),
		kgo.MetadataMinAge(100 * time.Millisecond), kgo.UnknownTopicRetries(1),
	}, opts...)
	kc, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	cl := &client{Client: kc, adm: kadm.NewClient(kc), connection: *c}
	cl.adm.SetTimeoutMillis(int32(c.timeout.Milliseconds()))
	ping, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := kc.Ping(ping); err != nil {
		kc.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, cl.unreachable(err)
	}
	return cl, nil
}

// ask makes what a command runs when all that it does is to ask the cluster something and to print the answer: do gets
// a connection, and a context that ends after --timeout.
func (c *connection) ask(do func(ctx context.Context, cmd *cobra.Command, cl *client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cl, err := c.open(cmd.Context())
		if err != nil {
			return err
		}
		defer cl.Close()
		ctx, cancel := cl.limit(cmd.Context())
		defer cancel()
		return do(ctx, cmd, cl, args)
	}
}

// limit gives a context for one exchange with the cluster.
func (c *client) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.timeout)
}

// unreachable says why no broker answered, as far as the error shows it.
func (c *client) unreachable(err error) error {
	at := strings.Join(c.brokers, ", ")
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return fmt.Errorf("no broker reachable at %s: there is no host %q (see --bootstrap-server)", at, dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no broker reachable at %s: nothing listens there; is the broker running? (see --bootstrap-server)", at)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no broker answered at %s within %v: a firewall, or a port that does not speak Kafka?", at, c.timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%s closed the connection: does the port speak Kafka, and without TLS and SASL?", at)
	}
	return fmt.Errorf("no broker reachable at %s: %w", at, err)
}

// explain turns an error of an exchange into one line for people. what names the thing that was asked about, such as
// `topic "orders"`; message is what the broker said beyond the code.
func (c *client) explain(err error, what, message string) error {
	var ke *kerr.Error
	var refused net.Error
	var some *kadm.ShardErrors // those of the brokers that a request was split between
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ke):
		if message == "" || message == ke.Message {
			message = strings.TrimSuffix(ke.Description, ".")
		}
		return fmt.Errorf("%s: %s (%s)", what, message, ke.Message)
	case errors.As(err, &some) && len(some.Errs) > 0:
		return c.explain(some.Errs[0].Err, what, message)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer from %s within %v", what, strings.Join(c.brokers, ", "), c.timeout)
	case errors.As(err, &refused):
		return fmt.Errorf("%s: %w", what, c.unreachable(err))
	}
	return fmt.Errorf("%s: %w", what, err)
}

// topicError explains an error about a topic; one that does not exist is answered with the name that was probably meant.
func (c *client) topicError(ctx context.Context, err error, topic, message string) error {
	what := fmt.Sprintf("topic %q", topic)
	if !errors.Is(err, kerr.UnknownTopicOrPartition) && !errors.Is(err, kerr.UnknownTopicID) {
		return c.explain(err, what, message)
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	if listed, lerr := c.adm.ListTopicsWithInternal(ctx); lerr == nil {
		if near := config.Closest(topic, listed.Names()); near != "" {
			return fmt.Errorf("%s does not exist; did you mean %q?", what, near)
		}
	}
	return fmt.Errorf("%s does not exist", what)
}

// existing looks topics up and fails on the first that does not exist.
func (c *client) existing(ctx context.Context, topics ...string) (kadm.TopicDetails, error) {
	limited, cancel := c.limit(ctx)
	defer cancel()
	details, err := c.adm.ListTopicsWithInternal(limited, topics...)
	if err != nil {
		return nil, c.explain(err, "topics", "")
	}
	for _, t := range topics {
		if err := details[t].Err; err != nil {
			return nil, c.topicError(ctx, err, t, "")
		}
	}
	return details, nil
}
