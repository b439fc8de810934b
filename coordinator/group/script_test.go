package group

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"barnabas/coordinator/runtime"
	"barnabas/coordinator/runtime/runtimetest"
	"barnabas/protocol/record"
	"barnabas/replication/cluster"
	"barnabas/storage/clock"
)

var nop = zap.NewNop()

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScripts plays the scripts of testdata/scripts, each on a coordinator of its own with one partition, under a clock that
// stands still unless the script moves it. Requests do not wait; every command prints the answers that have come since the last.
//
//	open [max-size=n] [delay=ms] [max-batch=bytes]     settings, first of all
//	join who=a [id=x] [v=9] [instance=i] [session=ms] [rebalance=ms] [type=t] [protocols=(range:m,sticky:n)] [group=g]
//	sync who=a [gen=n] [assign=(a-1:x,b-2:y)] [protocol=p] [type=t]
//	heartbeat, leave, commit, fetch, describe, list, delete, offset-delete, topic-gone
//	advance 3s
//	live who=a for=1h every=1m                         heartbeats while time goes by
//	log fail|mend|refuse|hold|commit                   what the log does from now on
//	replay                                             another broker takes over: the log is loaded into a new coordinator
//	records                                            what has been appended since the last look
//
// Without id, a client uses the member id that it was given last, and without gen the generation.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(Defaults())
				defer func() { s.c.Close() }()
				datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string { return s.play(t, d) })
			})
		})
	}
}

// stage is a coordinator with the clients that talk to it.
type stage struct {
	o     Options
	clk   *clock.Manual
	log   *runtimetest.Log
	c     *Coordinator
	epoch int32
	ids   int

	image  *cluster.Image // of the topics, for the consumer protocol
	topics byte           // ids that have been given

	clients map[string]*puppet
	waiting []wait
	shown   int // batches that records has printed
}

type puppet struct {
	member string
	gen    int32
}

// wait is a request without an answer yet.
type wait struct {
	label string
	poll  func() (string, bool)
}

func newStage(o Options) *stage {
	s := &stage{o: o, clk: clock.NewManual(time.UnixMilli(1700000000000)), log: runtimetest.NewLog(), clients: map[string]*puppet{},
		image: cluster.Empty()}
	s.start()
	return s
}

func (s *stage) start() {
	o := s.o
	o.Clock, o.Logger, o.Partitions = s.clk, nop, func() int32 { return 1 }
	o.Image = func() *cluster.Image { return s.image }
	o.NewMemberID = func(prefix string) string { s.ids++; return fmt.Sprintf("%s-%d", prefix, s.ids) }
	s.c = New(o)
	s.epoch++
	s.c.Lead(0, s.epoch, s.log)
}

// replay lets a new coordinator take over what the log has.
func (s *stage) replay() {
	s.c.Close()
	s.log = s.log.Clone()
	s.start()
	synctest.Wait()
}

// advance moves the clock timer by timer, so that each sees the time that it was set for.
func (s *stage) advance(d time.Duration) {
	for d > 0 {
		step := d
		if next, ok := s.clk.Next(); ok && next < step {
			step = max(next, 0)
		}
		s.clk.Advance(step)
		d -= step
		synctest.Wait()
	}
}

func (s *stage) client(who string) *puppet {
	if s.clients[who] == nil {
		s.clients[who] = &puppet{gen: -1}
	}
	return s.clients[who]
}

// post notes a request, to print its answer when it is there.
func post[R any](s *stage, label string, p *runtime.Promise[R], show func(R) string) {
	s.waiting = append(s.waiting, wait{label, func() (string, bool) {
		select {
		case <-p.Done():
		default:
			return "", false
		}
		r, err := p.Await(context.Background())
		if err != nil {
			return errName(err), true
		}
		return show(r), true
	}})
}

func (s *stage) answers() string {
	synctest.Wait()
	var out strings.Builder
	var open []wait
	for _, w := range s.waiting {
		if text, done := w.poll(); done {
			fmt.Fprintf(&out, "%s: %s\n", w.label, text)
		} else {
			open = append(open, w)
		}
	}
	s.waiting = open
	return out.String()
}

func errName(err error) string {
	var ke *kerr.Error
	if errors.As(err, &ke) {
		if ke == nil {
			return "ok"
		}
		return ke.Message
	}
	return err.Error()
}

// args reads the arguments of a command.
type args struct {
	t *testing.T
	d *datadriven.TestData
}

func (a args) get(key, fallback string) string {
	for _, arg := range a.d.CmdArgs {
		if arg.Key == key && len(arg.Vals) == 0 {
			return ""
		}
		if arg.Key == key {
			return arg.Vals[0]
		}
	}
	return fallback
}

func (a args) list(key string) []string {
	for _, arg := range a.d.CmdArgs {
		if arg.Key == key {
			return arg.Vals
		}
	}
	return nil
}

func (a args) num(key string, fallback int) int {
	v := a.get(key, "")
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		a.t.Fatalf("%s: %s=%s", a.d.Pos, key, v)
	}
	return n
}

func (a args) duration(key string) time.Duration {
	d, err := time.ParseDuration(a.get(key, ""))
	if err != nil {
		a.t.Fatalf("%s: %s: %v", a.d.Pos, key, err)
	}
	return d
}

func (a args) opt(key string) *string {
	if !a.d.HasArg(key) {
		return nil
	}
	v := a.get(key, "")
	return &v
}

func (s *stage) play(t *testing.T, d *datadriven.TestData) string {
	a := args{t, d}
	group, who := a.get("group", "g"), a.get("who", "")
	var out string
	switch d.Cmd {
	case "open":
		s.c.Close()
		s.o.MaxSize, s.o.InitialDelay = a.num("max-size", s.o.MaxSize), int32(a.num("delay", int(s.o.InitialDelay)))
		s.log.SetMaxBatchBytes(a.num("max-batch", s.log.MaxBatchBytes()))
		s.start()
	case "join":
		s.join(a, group, who)
	case "sync":
		s.sync(a, group, who)
	case "heartbeat":
		p := s.client(who)
		post(s, who, s.c.Heartbeat(HeartbeatRequest{Group: group, Member: a.get("id", p.member), Instance: a.opt("instance"),
			Generation: int32(a.num("gen", int(p.gen)))}), func(e *kerr.Error) string { return code(e) })
	case "leave":
		l := Leaving{Member: a.get("id", s.client(who).member), Instance: a.opt("instance")}
		leaving := []Leaving{l}
		for _, id := range a.list("ids") {
			leaving = append(leaving, Leaving{Member: id})
		}
		post(s, who, s.c.Leave(group, leaving), func(errs []*kerr.Error) string { return codes(errs) })
	case "commit":
		s.commit(a, group, who)
	case "fetch":
		s.fetch(a, group)
	case "describe":
		post(s, "describe", s.c.Describe(group, math.MaxInt), showDescription)
	case "list":
		groups, err := s.c.List(context.Background(), a.list("states"), a.list("types"))
		if err != nil {
			out += errName(err) + "\n"
		}
		for _, g := range groups {
			out += fmt.Sprintf("%s type=%s %s %s\n", g.Group, g.ProtocolType, g.State, g.Type)
		}
	case "delete":
		post(s, "delete", s.c.Delete(group), func(e *kerr.Error) string { return code(e) })
	case "offset-delete":
		post(s, "offset-delete", s.c.DeleteOffsets(group, partitions(t, a.list("of"))), func(r DeletedOffsets) string {
			if r.Err != nil {
				return r.Err.Message
			}
			return codes(r.Errs)
		})
	case "topic-gone":
		var tps []cluster.TopicPartition
		for _, tp := range partitions(t, a.list("of")) {
			tps = append(tps, cluster.TopicPartition(tp))
		}
		s.c.PartitionsDeleted(tps)
	case "advance":
		step, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
		s.advance(step)
	case "live":
		p := s.client(who)
		whole, err := time.ParseDuration(a.get("for", ""))
		every, err2 := time.ParseDuration(a.get("every", ""))
		if err != nil || err2 != nil {
			t.Fatalf("%s: %v %v", d.Pos, err, err2)
		}
		for ; whole > 0; whole -= every {
			s.advance(min(whole, every))
			r := s.c.Heartbeat(HeartbeatRequest{Group: group, Member: p.member, Generation: p.gen})
			if e, err := r.Await(context.Background()); err != nil || e != nil {
				return fmt.Sprint(e, err)
			}
		}
	case "log":
		switch d.CmdArgs[0].Key {
		case "fail":
			s.log.Fail(kerr.KafkaStorageError)
		case "refuse":
			s.log.Refuse(kerr.NotEnoughReplicas)
		case "mend":
			s.log.Fail(nil)
			s.log.Refuse(nil)
		case "hold":
			s.log.Hold()
		case "commit":
			s.log.Commit()
		}
	case "replay":
		before := out + s.answers()
		s.replay()
		return before + s.answers()
	case "records":
		synctest.Wait()
		return s.records(t)
	default:
		text, known := s.playConsumer(t, d, a, group, who)
		if !known {
			t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
		}
		out += text
	}
	return out + s.answers()
}

func (s *stage) join(a args, group, who string) {
	p := s.client(who)
	r := JoinRequest{Group: group, Member: a.get("id", p.member), Instance: a.opt("instance"), Client: Client{who, "/127.0.0.1"},
		SessionTimeout: int32(a.num("session", 10000)), RebalanceTimeout: int32(a.num("rebalance", 60000)),
		ProtocolType: a.get("type", "consumer"), NeedID: a.num("v", 9) >= 4 && !a.d.HasArg("instance"), CanSkip: a.num("v", 9) >= 9}
	for _, v := range a.list("protocols") {
		name, metadata, _ := strings.Cut(v, ":")
		r.Protocols = append(r.Protocols, Protocol{name, []byte(metadata)})
	}
	if !a.d.HasArg("protocols") {
		r.Protocols = []Protocol{{"range", []byte(who)}}
	}
	if topics := a.list("topics"); topics != nil {
		r.Protocols = []Protocol{{"range", subscriptionTo(topics...)}}
	}
	post(s, who, s.c.Join(r), func(r JoinResult) string {
		if r.Member != "" {
			p.member = r.Member
		}
		if r.Err != nil {
			return fmt.Sprintf("%s member=%q", r.Err.Message, r.Member)
		}
		p.gen = r.Generation
		text := fmt.Sprintf("joined member=%s gen=%d type=%s protocol=%s leader=%s", r.Member, r.Generation, deref(r.ProtocolType),
			deref(r.Protocol), r.Leader)
		if r.SkipAssignment {
			text += " skip"
		}
		for _, m := range r.Members {
			text += fmt.Sprintf("\n   %s instance=%s %q", m.ID, deref(m.Instance), m.Metadata)
		}
		return text
	})
}

func (s *stage) sync(a args, group, who string) {
	p := s.client(who)
	r := SyncRequest{Group: group, Member: a.get("id", p.member), Instance: a.opt("instance"), Generation: int32(a.num("gen", int(p.gen))),
		ProtocolType: a.opt("type"), Protocol: a.opt("protocol"), Assignments: map[string][]byte{}}
	for _, v := range a.list("assign") {
		id, what, _ := strings.Cut(v, ":")
		r.Assignments[id] = []byte(what)
	}
	post(s, who, s.c.Sync(r), func(r SyncResult) string {
		if r.Err != nil {
			return r.Err.Message
		}
		return fmt.Sprintf("synced type=%s protocol=%s assignment=%q", deref(r.ProtocolType), deref(r.Protocol), r.Assignment)
	})
}

func (s *stage) commit(a args, group, who string) {
	p := &puppet{gen: -1}
	if who != "" {
		p = s.client(who)
	}
	r := CommitRequest{Group: group, Member: a.get("id", p.member), Instance: a.opt("instance"), Generation: int32(a.num("gen", int(p.gen))),
		Retention: int64(a.num("retention", -1)), Epochs: !a.d.HasArg("plain")}
	for _, v := range a.list("offsets") { // topic/partition@offset
		tp, at, _ := strings.Cut(v, "@")
		offset, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			a.t.Fatal(err)
		}
		one := partitions(a.t, []string{tp})[0]
		r.Topics = append(r.Topics, CommitTopic{one.Topic, []CommitPartition{{Partition: one.Partition, Offset: offset,
			LeaderEpoch: int32(a.num("epoch", -1)), Timestamp: int64(a.num("timestamp", -1)),
			Metadata: strings.Repeat("m", a.num("metadata", 0))}}})
	}
	post(s, cmp.Or(who, "commit"), s.c.Commit(r), func(r CommitResult) string {
		var all []*kerr.Error
		for _, errs := range r {
			all = append(all, errs...)
		}
		return codes(all)
	})
}

func (s *stage) fetch(a args, group string) {
	var wanted []TopicPartition
	if a.d.HasArg("of") {
		wanted = partitions(a.t, a.list("of"))
	}
	post(s, "fetch", s.c.Fetch(group, wanted, a.d.HasArg("stable"), math.MaxInt), func(offsets []Offset) string {
		text := "ok"
		for _, o := range offsets {
			text += fmt.Sprintf("\n   %s/%d@%d", o.Topic, o.Partition, o.Offset)
			if o.LeaderEpoch >= 0 {
				text += fmt.Sprintf(" epoch=%d", o.LeaderEpoch)
			}
			if o.Metadata != "" {
				text += fmt.Sprintf(" metadata=%d", len(o.Metadata))
			}
			if o.Err != nil {
				text += " " + o.Err.Message
			}
		}
		return text
	})
}

func showDescription(d *Description) string {
	if d == nil {
		return "none"
	}
	text := fmt.Sprintf("%s type=%s protocol=%s", d.State, d.ProtocolType, d.Protocol)
	for _, m := range d.Members {
		text += fmt.Sprintf("\n   %s instance=%s client=%s%s metadata=%q assignment=%q", m.ID, deref(m.Instance), m.Client.ID, m.Client.Host,
			m.Metadata, m.Assignment)
	}
	return text
}

// records prints what has been appended.
func (s *stage) records(t *testing.T) string {
	var out strings.Builder
	batches := s.log.Batches()
	for _, b := range batches[s.shown:] {
		fmt.Fprintf(&out, "batch %d+%d seq=%d\n", b.BaseOffset(), b.Count(), b.BaseSequence())
		if err := b.Each(1<<20, func(r record.Record) error {
			text, known := s.showConsumerRecord(r.Key, r.Value)
			if !known {
				text = showRecord(r.Key, r.Value)
			}
			fmt.Fprintln(&out, "   "+text)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.shown = len(batches)
	return out.String()
}

// showRecord prints times as seconds since the stage's beginning.
func showRecord(key, value []byte) string {
	since := func(ms int64) string { return fmt.Sprintf("+%.3gs", float64(ms-1700000000000)/1000) }
	if version, _ := versionOf(key); version <= lastOffsetKey {
		group, tp, _ := readOffsetKey(key)
		text := fmt.Sprintf("%s %s/%d", group, tp.Topic, tp.Partition)
		if value == nil {
			return text + " gone"
		}
		c, err := readOffsetValue(value, 0)
		if err != nil {
			return text + err.Error()
		}
		version, _ := versionOf(value)
		text += fmt.Sprintf(" v%d @%d %s", version, c.offset, since(c.timestamp))
		if c.expires != -1 {
			text += " until " + since(c.expires)
		}
		return text
	}
	group, _ := readGroupKey(key)
	if value == nil {
		return group + " gone"
	}
	v, err := readGroupValue(value)
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("%s v%d gen=%d type=%s protocol=%s leader=%s since %s", group, v.Version, v.Generation, v.ProtocolType,
		deref(v.Protocol), deref(v.Leader), since(v.CurrentStateTimestamp))
	for _, m := range v.Members {
		text += fmt.Sprintf(" [%s instance=%s %q]", m.MemberID, deref(m.InstanceID), m.Assignment)
	}
	return text
}

func partitions(t *testing.T, list []string) []TopicPartition {
	tps := []TopicPartition{}
	for _, v := range list {
		if v == "" { // of an empty list
			continue
		}
		topic, p, _ := strings.Cut(v, "/")
		n, err := strconv.Atoi(p)
		if err != nil {
			t.Fatalf("%q is not topic/partition", v)
		}
		tps = append(tps, TopicPartition{topic, int32(n)})
	}
	return tps
}

func code(e *kerr.Error) string {
	if e == nil {
		return "ok"
	}
	return e.Message
}

func codes(errs []*kerr.Error) string {
	var s []string
	for _, e := range errs {
		s = append(s, code(e))
	}
	return strings.Join(s, " ")
}

func deref(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// subscriptionTo is a consumer's metadata, version 0.
func subscriptionTo(topics ...string) []byte {
	b := []byte{0, 0, 0, 0, 0, byte(len(topics))}
	for _, t := range topics {
		b = append(append(b, 0, byte(len(t))), t...)
	}
	return append(b, 0, 0, 0, 0)
}
