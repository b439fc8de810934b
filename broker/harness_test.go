package broker

import (
	"context"
	"math"
	"net"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"barnabas/broker/api"
	"barnabas/broker/config"
	"barnabas/replication"
	"barnabas/replication/cluster"
	"barnabas/storage"
	"barnabas/storage/clock"
)

// crowdOf are limits of a broker with one listener, and no limit of rate.
func crowdOf(most, perIP int) crowdLimits {
	return crowdLimits{max: most, maxPerIP: perIP, rate: math.MaxInt32,
		listeners: map[string]config.ListenerLimits{"PLAINTEXT": {MaxConnections: most, MaxConnectionCreationRate: math.MaxInt32}}}
}

// still is a picture of the cluster that does not change.
type still struct{ img *cluster.Image }

func (s still) Current() *cluster.Image { return s.img }

// dataServer is a server with the data path only: partitions that are led from the start, no controller, no groups.
type dataServer struct {
	addr       string
	partitions *replication.Manager
	server     *server
	stop       func() // ends all connections, and waits for them
}

// serveData starts one on a free port with a topic "t" of n partitions.
func serveData(t testing.TB, n int, edit func(*server)) *dataServer {
	t.Helper()
	logs, err := storage.OpenDirs(storage.Options{Dirs: []string{t.TempDir()}, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	static, err := config.NewStatic(map[string]string{"log.dirs": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	topics := newTopics(config.NewSettings(static, 1))
	if err := logs.Load(t.Context(), func(string) storage.Config { return topics.get("").Log }); err != nil {
		t.Fatal(err)
	}
	partitions := replication.NewManager(replication.Options{Self: 1, Logs: logs, Clock: clock.Real, Settings: topics.get})
	socket, err := listen("127.0.0.1", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	port := socket.Addr().(*net.TCPAddr).Port
	img := cluster.Empty()
	img.ClusterID, img.ControllerID = "test-cluster", 1
	img.Brokers[1] = &cluster.Broker{ID: 1, Endpoints: []cluster.Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "127.0.0.1", Port: int32(port)}}}
	topic := &cluster.Topic{Name: "t", ID: cluster.TopicID{7}}
	for id := range int32(n) {
		p := cluster.Partition{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}}
		topic.Partitions = append(topic.Partitions, &p)
		tp := cluster.TopicPartition{Topic: "t", Partition: id}
		if err := partitions.Become(tp, topic.ID, cluster.PartitionState{ID: id, Partition: p, IsNew: true}); err != nil {
			t.Fatal(err)
		}
	}
	img.Put(topic)
	images := still{img}
	data := &api.Data{Images: images, Partitions: partitions, Sessions: api.NewFetchSessions(clock.Real, 10, 0), Clock: clock.Real, FetchMaxBytes: 55 << 20}
	s := &server{
		listener: "PLAINTEXT", socket: socket, clock: clock.Real, log: zaptest.NewLogger(t),
		routes: api.NewRoutes(&api.Versions{Images: images, Self: 1}, data, &api.Topology{Images: images}),
		limits: limits{requestMaxBytes: 1 << 20, idle: time.Minute},
		crowd:  newCrowd(clock.Real, "PLAINTEXT", 11, time.Second, crowdOf(100, 100)),
	}
	if edit != nil {
		edit(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.run(ctx); close(done) }()
	stop := func() {
		cancel()
		<-done
	}
	t.Cleanup(func() {
		stop()
		if err := logs.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &dataServer{addr: socket.Addr().String(), partitions: partitions, server: s, stop: stop}
}
