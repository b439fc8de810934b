package controller

import (
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// goldenNode is a node of the tree of three brokers of Apache Kafka 3.9.2.
type goldenNode struct {
	Path     string  `json:"path"`
	Data     *string `json:"data"`
	Version  int32   `json:"version"`
	Cversion int32   `json:"cversion"`
}

type goldenStage struct {
	Stage string       `json:"stage"`
	Nodes []goldenNode `json:"nodes"`
}

// golden is what the store's own tests have of it, by stage and path.
func golden(t *testing.T) map[string]map[string]goldenNode {
	f, err := os.Open("../store/testdata/zk-three-brokers.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var stages []goldenStage
	if err := json.NewDecoder(z).Decode(&stages); err != nil {
		t.Fatal(err)
	}
	m := map[string]map[string]goldenNode{}
	for _, s := range stages {
		m[s.Stage] = map[string]goldenNode{}
		for _, n := range s.Nodes {
			m[s.Stage][n.Path] = n
		}
	}
	return m
}

// noTopicConfigs finds no fault with any settings.
type noTopicConfigs struct{}

func (noTopicConfigs) ValidateTopic(map[string]string) error { return nil }

// TestGoldenTree does to our controller, with brokers that only listen, what was done to Apache Kafka, and holds the
// tree after each stage to Kafka's: paths, contents, versions. Times and drawn ids aside, and topic byhand, which was
// reassigned meanwhile.
func TestGoldenTree(t *testing.T) {
	stages := golden(t)
	synctest.Test(t, func(t *testing.T) {
		g := &goldenRun{env: newEnv(t), stages: stages, t: t}
		defer g.close()
		e := g.env
		for id, rack := range map[int32]string{1: "r1", 2: "r2", 3: "r3"} {
			e.register(id, rack)
		}
		e.run(1)
		e.settle()
		e.run(3)
		g.stage("start")

		g.create("byhand", map[int32][]int32{0: {1, 2}, 1: {2, 3}}, nil)
		g.create("plain", nil, nil)
		g.create("withcfg", nil, map[string]string{"cleanup.policy": "compact,delete", "retention.ms": "1000000"})
		g.stage("topics-created")
		g.create("auto", nil, nil)
		g.stage("auto-created")

		g.configs("configs", "topics/plain", "topics/plain", "brokers/2", "brokers/2", "brokers/<default>", "brokers/2", "brokers/2")
		g.stage("configs")
		// The second change of clients c2 took its last setting away.
		g.configs("quotas", "users/alice/clients/cli%201%2A", "users/CN%3Da%20b%2Bc%2CO%3Dx%2Fy", "clients/<default>", "clients/c2",
			"ips/127.0.0.9", "ips/<default>", "users/<default>/clients/<default>", "clients/c2")
		g.stage("quotas")
		g.configs("scram", "users/alice", "users/bob")
		g.stage("scram")
		for range 2 {
			_, _, err := g.admin(2).AllocateProducerIDs(e.ctx())
			e.must(err)
		}
		g.stage("producer-ids")

		e.must(g.admin(1).CreatePartitions(e.ctx(), "plain", 3, nil, false))
		g.stage("partitions-added")
		e.must(g.admin(1).DeleteTopic(e.ctx(), "withcfg"))
		g.stage("delete-done")

		_, err := e.controllers[1].controller.ControlledShutdown(e.ctx(), 3, -1)
		e.must(err)
		e.kill(3)
		g.stage("controlled-shutdown")
		e.register(3, "r3")
		e.settle()
		g.caughtUp("plain", 1, 3)
		g.stage("kill9-2-restart3-before-timeout")
		e.kill(2)
		e.settle()
		g.caughtUp("plain", 0, 3)
		g.caughtUp("plain", 2, 3)
		g.stage("kill9-2-after-session-timeout")
		e.register(2, "r2")
		e.settle()
		for p := range int32(3) {
			g.caughtUp("plain", p, 2)
		}
		g.stage("restart2")

		g.create(cluster.TransactionsTopic, nil, map[string]string{
			"compression.type": "uncompressed", "cleanup.policy": "compact", "min.insync.replicas": "1",
			"segment.bytes": "104857600", "unclean.leader.election.enable": "false",
		})
		g.create("tx3", nil, nil)
		for range 2 {
			_, _, err := g.admin(2).AllocateProducerIDs(e.ctx())
			e.must(err)
		}
		e.settle()
		g.killController(1)
		g.stage("failover")
	})
}

// goldenRun is a cluster that is led through the stages.
type goldenRun struct {
	*env
	t      *testing.T
	stages map[string]map[string]goldenNode
}

// admin is what broker id does for clients. Its picture is that of three live brokers.
func (g *goldenRun) admin(id int32) *Admin {
	img := cluster.Empty()
	for broker, rack := range map[int32]string{1: "r1", 2: "r2", 3: "r3"} {
		img.Brokers[broker] = &cluster.Broker{ID: broker, Rack: &rack}
	}
	return NewAdmin(AdminOptions{
		Store: g.outside, Self: id, Image: func() *cluster.Image { return img }, Topics: noTopicConfigs{},
		Defaults: func() (int32, int16) { return 1, 1 },
	})
}

// create creates a topic. Without assignments the random numbers are those that Kafka must have drawn: some pair must
// give Kafka's assignment, or the algorithm is another one.
func (g *goldenRun) create(name string, assigned map[int32][]int32, configs map[string]string) {
	want, err := store.DecodeTopic([]byte(*g.last(store.TopicPath(name)).Data))
	g.must(err)
	n := NewTopic{Name: name, Partitions: -1, ReplicationFactor: -1, Assignments: assigned, Configs: map[string]*string{}}
	for k, v := range configs {
		n.Configs[k] = &v
	}
	if assigned != nil {
		_, err := g.admin(1).CreateTopic(g.ctx(), n, false)
		g.must(err)
		return
	}
	n.Partitions, n.ReplicationFactor = int32(len(want.Partitions)), int16(len(want.Partitions[0]))
	for pair := range 9 {
		draws := []int{pair % 3, pair / 3}
		a := g.admin(1)
		a.o.Random = func(int) int { d := draws[0]; draws = draws[1:]; return d }
		got, err := a.assignment(n)
		g.must(err)
		if maps.EqualFunc(got, want.Partitions, slices.Equal) {
			draws = []int{pair % 3, pair / 3}
			_, err := a.CreateTopic(g.ctx(), n, false)
			g.must(err)
			g.settle()
			return
		}
	}
	g.t.Fatalf("%s: no draw gives Kafka's assignment %v", name, want.Partitions)
}

// last is a node as the first stage that has it has it.
func (g *goldenRun) last(path string) goldenNode {
	for _, name := range []string{"topics-created", "auto-created", "failover"} {
		if n, ok := g.stages[name][path]; ok {
			return n
		}
	}
	g.t.Fatalf("no %s in the golden tree", path)
	return goldenNode{}
}

// configs changes entities in the order in which Kafka was asked to; the last change of each leads to what the stage has.
func (g *goldenRun) configs(stage string, entities ...string) {
	for i, entity := range entities {
		kind, name, _ := strings.Cut(entity, "/")
		settings := map[string]string{"on.the.way": "x"}
		if !slices.Contains(entities[i+1:], entity) {
			settings = map[string]string{}
			if n, there := g.stages[stage]["/config/"+entity]; there {
				var err error
				settings, err = store.DecodeConfig([]byte(*n.Data))
				g.must(err)
			}
		}
		g.must(g.admin(2).SetConfigs(g.ctx(), kind, name, settings, AnyConfig))
	}
}

// killController ends a broker that is the controller: both of its nodes go at the same moment.
func (g *goldenRun) killController(id int32) {
	c := g.controllers[id]
	c.stop()
	<-c.done
	_, err := g.outside.Multi(g.ctx(), store.Delete(store.BrokerPath(id), store.AnyVersion), store.Delete(store.ControllerPath, store.AnyVersion))
	g.must(err)
	g.must(g.brokers[id].session.Close())
	delete(g.brokers, id)
	g.stop(id)
}

// caughtUp has a partition's leader take a replica into the ISR.
func (g *goldenRun) caughtUp(topic string, partition, broker int32) {
	path := store.PartitionStatePath(topic, partition)
	data, stat, err := g.outside.Get(g.ctx(), path)
	g.must(err)
	s, err := store.DecodePartitionState(data)
	g.must(err)
	s.ISR = append(s.ISR, broker)
	_, err = g.outside.Set(g.ctx(), path, store.EncodePartitionState(s), stat.Version)
	g.must(err)
	_, err = g.outside.Create(g.ctx(), store.ISRChangePrefix, store.EncodePartitions([]store.TopicPartition{{Topic: topic, Partition: partition}}), store.Sequential)
	g.must(err)
	g.settle()
}

var (
	goldenIDs   = regexp.MustCompile(`"topic_id":"[^"]*"`)
	goldenTimes = regexp.MustCompile(`"timestamp":"[^"]*"`)
)

func normal(data *string) string {
	if data == nil {
		return "null"
	}
	return goldenTimes.ReplaceAllString(goldenIDs.ReplaceAllString(*data, `"topic_id":"…"`), `"timestamp":"…"`)
}

// compared says whether a path is part of the comparison: not what brokers and ACLs write, nor the reassigned topic.
func compared(path string) bool {
	for _, prefix := range []string{"/brokers/topics", "/config", "/controller", "/feature", "/latest_producer_id_block", "/admin"} {
		if path == prefix || strings.HasPrefix(path, prefix+"/") || path == "/controller_epoch" {
			return path != "/config" && !strings.Contains(path, "__consumer_offsets") &&
				!strings.Contains(path, "/byhand") && path != store.TopicsPath
		}
	}
	return false
}

// stage compares the trees.
func (g *goldenRun) stage(name string) {
	g.t.Helper()
	g.settle()
	ours := map[string]goldenNode{}
	g.walk("/", ours)
	theirs := g.stages[name]
	if theirs == nil {
		g.t.Fatalf("no stage %s in the golden tree", name)
	}
	n := 0
	for _, path := range slices.Sorted(maps.Keys(theirs)) {
		if !compared(path) {
			continue
		}
		n++
		want := theirs[path]
		got, there := ours[path]
		switch {
		case !there:
			g.t.Errorf("%s: no %s, Kafka has %s", name, path, normal(want.Data))
		case normal(got.Data) != normal(want.Data):
			g.t.Errorf("%s: %s\n got %s\nwant %s", name, path, normal(got.Data), normal(want.Data))
		case got.Version != want.Version || got.Cversion != want.Cversion:
			g.t.Errorf("%s: %s has versions %d and %d, with Kafka %d and %d", name, path, got.Version, got.Cversion, want.Version, want.Cversion)
		}
	}
	g.t.Logf("%s: %d nodes compared", name, n)
	for _, path := range slices.Sorted(maps.Keys(ours)) {
		if _, there := theirs[path]; !there && compared(path) {
			g.t.Errorf("%s: %s is there, not so with Kafka", name, path)
		}
	}
}

func (g *goldenRun) walk(path string, to map[string]goldenNode) {
	data, stat, err := g.outside.Get(g.ctx(), path)
	g.must(err)
	n := goldenNode{Path: path, Version: stat.Version, Cversion: stat.Cversion}
	if data != nil {
		text := string(data)
		n.Data = &text
	}
	to[path] = n
	names, _, err := g.outside.Children(g.ctx(), path)
	g.must(err)
	for _, child := range names {
		g.walk(strings.TrimSuffix(path, "/")+"/"+child, to)
	}
}
