package controller

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"barnabas/coordinator/store"
)

// drawnID is a topic id that is not one of env.newTopicID.
var drawnID = regexp.MustCompile(`"topic_id":"(?:[^A]|A[^Q])[^"]*"`)

// TestScripts plays testdata/scripts/*: each command is something that happens to a cluster; what follows is what the controller
// does in the store and tells the brokers because of it.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t)
			defer e.close()
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				answer := e.play(t, d)
				return drawnID.ReplaceAllString(answer+e.settle(), `"topic_id":"DRAWN"`)
			})
		})
	})
}

// play does one command of a script and gives its answer, if it has one.
func (e *env) play(t *testing.T, d *datadriven.TestData) (answer string) {
	arg := func(i int) string {
		if i >= len(d.CmdArgs) {
			d.Fatalf(t, "argument %d is missing", i+1)
		}
		return d.CmdArgs[i].Key
	}
	id := func(i int) int32 {
		n, err := strconv.Atoi(arg(i))
		e.must(err)
		return int32(n)
	}
	switch d.Cmd {
	case "controller":
		e.run(id(0))
	case "stop":
		e.stop(id(0))
	case "broker":
		for i := range d.CmdArgs {
			e.register(id(i), "")
		}
	case "kill":
		var ids []int32
		for i := range d.CmdArgs {
			ids = append(ids, id(i))
		}
		e.kill(ids...)
	case "bounce": // the controller hears of it only when the broker is back
		e.bounce(id(0))
	case "expire":
		e.controllers[id(0)].session.Expire()
	case "topic":
		e.createTopic(arg(0), assignmentArgs(e, d.CmdArgs[1:]))
	case "grow":
		e.grow(arg(0), assignmentArgs(e, d.CmdArgs[1:]))
	case "delete":
		_, err := e.outside.Create(e.ctx(), store.DeleteTopicPath(arg(0)), nil, store.Persistent)
		e.must(err)
	case "elect", "elect-unclean":
		kind := PreferredElection
		if d.Cmd == "elect-unclean" {
			kind = UncleanElection
		}
		return e.elect(kind, partitionArgs(e, d.CmdArgs))
	case "prefer":
		var list []store.TopicPartition
		for _, p := range partitionArgs(e, d.CmdArgs) {
			list = append(list, store.TopicPartition(p))
		}
		_, err := e.outside.Create(e.ctx(), store.PreferredElectionPath, store.EncodePartitions(list), store.Persistent)
		e.must(err)
	case "shutdown":
		for _, c := range e.controllers {
			if _, active := c.controller.Active(); active {
				left, err := c.controller.ControlledShutdown(e.ctx(), id(0), -1)
				return fmt.Sprintf("still leads %v, error %v\n", left, err)
			}
		}
	case "disk-fails":
		e.mu.Lock()
		for _, p := range partitionArgs(e, d.CmdArgs[1:]) {
			e.brokers[id(0)].failing[p] = true
		}
		e.mu.Unlock()
		_, err := e.outside.Create(e.ctx(), store.LogDirEventPrefix, store.EncodeLogDirEvent(id(0)), store.Sequential)
		e.must(err)
	case "disk-mended":
		e.mu.Lock()
		e.brokers[id(0)].failing = map[tp]bool{}
		e.mu.Unlock()
	case "config":
		_, err := e.outside.Set(e.ctx(), store.ConfigPath(store.ConfigTopics, arg(0)),
			store.EncodeConfig(map[string]string{d.CmdArgs[1].Key: d.CmdArgs[1].Vals[0]}), store.AnyVersion)
		e.must(err)
	case "setting":
		e.mu.Lock()
		switch arg(0) {
		case "no-deletion":
			e.settings.DeleteTopics = false
		case "no-rebalance":
			e.settings.AutoRebalance = false
		}
		e.mu.Unlock()
	case "write":
		_, err := e.outside.Set(e.ctx(), arg(0), []byte(strings.TrimSpace(d.Input)), store.AnyVersion)
		e.must(err)
	case "create":
		var data []byte
		if d.Input != "" {
			data = []byte(strings.TrimSpace(d.Input))
		}
		_, err := store.CreateAll(e.ctx(), e.outside, arg(0), data, store.Persistent)
		e.must(err)
	case "note": // a sequential node
		_, err := e.outside.Create(e.ctx(), arg(0), []byte(strings.TrimSpace(d.Input)), store.Sequential)
		e.must(err)
	case "remove":
		e.must(store.DeleteAll(e.ctx(), e.outside, arg(0)))
	case "advance":
		by, err := time.ParseDuration(arg(0))
		e.must(err)
		e.clock.Advance(by)
	case "tree":
		var b strings.Builder
		e.tree(&b, arg(0))
		return b.String()
	case "active":
		var ids []string
		for _, id := range sortedKeys(e.controllers) {
			if epoch, active := e.controllers[id].controller.Active(); active {
				ids = append(ids, fmt.Sprintf("%d in epoch %d", id, epoch))
			}
		}
		return strings.Join(ids, ", ") + "\n"
	default:
		d.Fatalf(t, "no such command: %s", d.Cmd)
	}
	return ""
}

// assignmentArgs reads 0=(1,2) 1=none.
func assignmentArgs(e *env, args []datadriven.CmdArg) map[int32][]int32 {
	m := map[int32][]int32{}
	for _, a := range args {
		p, err := strconv.Atoi(a.Key)
		e.must(err)
		m[int32(p)] = []int32{}
		for _, v := range a.Vals {
			if v == "none" {
				continue
			}
			b, err := strconv.Atoi(v)
			e.must(err)
			m[int32(p)] = append(m[int32(p)], int32(b))
		}
	}
	return m
}

// partitionArgs reads a-0 b-1.
func partitionArgs(e *env, args []datadriven.CmdArg) []tp {
	var list []tp
	for _, a := range args {
		at := strings.LastIndexByte(a.Key, '-')
		p, err := strconv.Atoi(a.Key[at+1:])
		e.must(err)
		list = append(list, tp{Topic: a.Key[:at], Partition: int32(p)})
	}
	return list
}

func (e *env) grow(name string, added map[int32][]int32) {
	data, stat, err := e.outside.Get(e.ctx(), store.TopicPath(name))
	e.must(err)
	t, err := store.DecodeTopic(data)
	e.must(err)
	for p, replicas := range added {
		t.Partitions[p] = replicas
	}
	_, err = e.outside.Set(e.ctx(), store.TopicPath(name), store.EncodeTopic(t), stat.Version)
	e.must(err)
}

// bounce replaces a registration in one step, so that nobody sees the list of brokers without it.
func (e *env) bounce(id int32) {
	data, _, err := e.outside.Get(e.ctx(), store.BrokerPath(id))
	e.must(err)
	_, err = e.brokers[id].session.Multi(e.ctx(), store.Delete(store.BrokerPath(id), store.AnyVersion), store.Create(store.BrokerPath(id), data, store.Ephemeral))
	e.must(err)
}

func (e *env) elect(kind ElectionType, list []tp) string {
	for _, c := range e.controllers {
		if _, active := c.controller.Active(); !active {
			continue
		}
		results, err := c.controller.ElectLeaders(e.ctx(), kind, list)
		if err != nil {
			return err.Error() + "\n"
		}
		var b strings.Builder
		for _, p := range sortedPartitions(results) {
			r := results[p]
			fmt.Fprintf(&b, "%s-%d: leader %d", p.Topic, p.Partition, r.Leader)
			if r.Err != nil {
				fmt.Fprintf(&b, ", %v", r.Err)
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	return "no controller\n"
}

func (e *env) tree(b *strings.Builder, path string) {
	data, stat, err := e.outside.Get(context.Background(), path)
	if errors.Is(err, store.ErrNoNode) {
		fmt.Fprintf(b, "no %s\n", path)
		return
	}
	e.must(err)
	text := "null"
	if data != nil {
		text = string(data)
	}
	fmt.Fprintf(b, "%s@%d %s\n", path, stat.Version, text)
	names, _, err := e.outside.Children(context.Background(), path)
	e.must(err)
	for _, name := range names {
		e.tree(b, strings.TrimSuffix(path, "/")+"/"+name)
	}
}
