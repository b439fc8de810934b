package broker_test

import (
	"context"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"

	"barnabas/broker"
)

// A broker for another program's tests: in this process, on a free port, with its data in a temporary folder.
func Example() {
	ctx := context.Background()
	folder, _ := os.MkdirTemp("", "barnabas")
	defer os.RemoveAll(folder)

	settings, _ := broker.Alone("127.0.0.1:0", folder)
	b, err := broker.Start(ctx, broker.Options{Config: settings})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close(ctx)

	client, _ := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("greetings"))
	defer client.Close()
	client.ProduceSync(ctx, &kgo.Record{Topic: "greetings", Value: []byte("hello")})
	for _, r := range client.PollFetches(ctx).Records() {
		fmt.Println(string(r.Value), "at offset", r.Offset)
	}
	// Output: hello at offset 0
}
