import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import kafka.api.FetchRequestBuilder;
import kafka.api.PartitionOffsetRequestInfo;
import kafka.common.ErrorMapping;
import kafka.common.TopicAndPartition;
import kafka.consumer.Consumer;
import kafka.consumer.ConsumerConfig;
import kafka.consumer.ConsumerIterator;
import kafka.consumer.ConsumerTimeoutException;
import kafka.consumer.KafkaStream;
import kafka.javaapi.FetchResponse;
import kafka.javaapi.OffsetRequest;
import kafka.javaapi.consumer.ConsumerConnector;
import kafka.javaapi.consumer.SimpleConsumer;
import kafka.javaapi.producer.Producer;
import kafka.message.MessageAndMetadata;
import kafka.message.MessageAndOffset;
import kafka.producer.KeyedMessage;
import kafka.producer.Partitioner;
import kafka.producer.ProducerConfig;
import kafka.utils.VerifiableProperties;
import org.I0Itec.zkclient.ZkClient;

/**
 * The Scala clients, which Kafka had until 1.1: the producer, SimpleConsumer, and the high-level consumer that finds its brokers,
 * shares its partitions out and may keep its offsets in ZooKeeper.
 *
 * <pre>
 * OldGeneration produce BROKER NAME RECORDS CODEC=TOPIC:PARTITION...
 * OldGeneration simple BROKER TOPIC=PARTITIONS...
 * OldGeneration consume ZOOKEEPER GROUP TOPIC=RECORDS:PATIENCE... (in ms, for each record)
 * OldGeneration balance ZOOKEEPER BROKER GROUP STORAGE TOPIC PARTITIONS
 * </pre>
 *
 * The first three print what {@link Generation} prints. balance has two consumers of a group come and go, while records are written;
 * STORAGE is where they keep their offsets, zookeeper or kafka. It prints who owned what at each step, and who read what.
 */
public final class OldGeneration {
    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "produce":
                for (int i = 4; i < args.length; i++) {
                    String[] to = args[i].split("[=:]");
                    try {
                        produce(args[1], args[2], 0, Integer.parseInt(args[3]), to[0], to[1], Integer.parseInt(to[2]));
                        System.out.println("produced " + to[0]);
                    } catch (Throwable e) {
                        System.out.println("refused " + to[0] + " " + Line.why(e));
                    }
                }
                return;
            case "simple":
                simple(args);
                return;
            case "consume":
                for (int i = 3; i < args.length; i++) {
                    String[] from = args[i].split("[=:]");
                    try {
                        consume(args[1], args[2], from[0], Integer.parseInt(from[1]), from[2]);
                        System.out.println("consumed " + from[0]);
                    } catch (Throwable e) {
                        System.out.println("refused " + from[0] + " " + Line.why(e));
                    }
                }
                return;
            case "balance":
                new Balance(args[1], args[2], args[3], args[4], args[5], Integer.parseInt(args[6])).run();
                return;
            default:
                throw new IllegalArgumentException(args[0]);
        }
    }

    /** Sends each message to the partition that is its partition key. */
    public static final class ToPartition implements Partitioner {
        public ToPartition(VerifiableProperties ignored) {
        }

        @Override
        public int partition(Object key, int partitions) {
            return (Integer) key;
        }
    }

    static void produce(String broker, String name, int first, int end, String codec, String topic, int partition) {
        Properties conf = new Properties();
        conf.put("metadata.broker.list", broker);
        conf.put("request.required.acks", "-1");
        conf.put("compression.codec", codec);
        conf.put("producer.type", "sync");
        conf.put("message.send.max.retries", "0"); // what fails is told at once
        conf.put("serializer.class", "kafka.serializer.DefaultEncoder");
        conf.put("partitioner.class", ToPartition.class.getName());
        Producer<byte[], byte[]> producer = new Producer<>(new ProducerConfig(conf));
        try {
            List<KeyedMessage<byte[], byte[]>> batch = new ArrayList<>();
            for (int n = first; n < end; n++) {
                batch.add(new KeyedMessage<>(topic, Line.key(n), partition, Line.value(name, n)));
            }
            producer.send(batch);
        } finally {
            producer.close();
        }
    }

    static void simple(String[] args) {
        String[] at = args[1].split(":");
        SimpleConsumer c = new SimpleConsumer(at[0], Integer.parseInt(at[1]), 30_000, 64 << 10, "old");
        try {
            for (int i = 2; i < args.length; i++) {
                String[] from = args[i].split("=");
                try {
                    for (int p = 0; p < Integer.parseInt(from[1]); p++) {
                        read(c, from[0], p);
                    }
                    System.out.println("consumed " + from[0]);
                } catch (Throwable e) {
                    System.out.println("refused " + from[0] + " " + Line.why(e));
                }
            }
        } finally {
            c.close();
        }
    }

    static void read(SimpleConsumer c, String topic, int partition) {
        long end = offset(c, topic, partition, kafka.api.OffsetRequest.LatestTime());
        for (long next = offset(c, topic, partition, kafka.api.OffsetRequest.EarliestTime()); next < end; ) {
            FetchResponse answer = c.fetch(new FetchRequestBuilder().clientId("old").addFetch(topic, partition, next, 100_000).build());
            short code = answer.errorCode(topic, partition);
            if (code != ErrorMapping.NoError()) {
                throw new IllegalStateException("Fetch is answered with error code " + code);
            }
            long before = next;
            for (MessageAndOffset m : answer.messageSet(topic, partition)) {
                if (m.offset() >= next) {
                    System.out.println(Line.of(topic, partition, m.offset(), "", bytes(m.message().key()), bytes(m.message().payload()), ""));
                    next = m.nextOffset();
                }
            }
            if (next == before) {
                throw new IllegalStateException("Fetch at offset " + next + " of " + end + " brought nothing");
            }
        }
    }

    static long offset(SimpleConsumer c, String topic, int partition, long time) {
        Map<TopicAndPartition, PartitionOffsetRequestInfo> what = new HashMap<>();
        what.put(new TopicAndPartition(topic, partition), new PartitionOffsetRequestInfo(time, 1));
        return c.getOffsetsBefore(new OffsetRequest(what, (short) 0, "old")).offsets(topic, partition)[0];
    }

    static byte[] bytes(ByteBuffer b) {
        if (b == null) {
            return null;
        }
        byte[] out = new byte[b.remaining()];
        b.duplicate().get(out);
        return out;
    }

    static ConsumerConnector connector(String zooKeeper, String group, String id, String storage, String patience) {
        Properties conf = new Properties();
        conf.put("zookeeper.connect", zooKeeper);
        conf.put("group.id", group);
        conf.put("consumer.id", id);
        conf.put("offsets.storage", storage);
        conf.put("dual.commit.enabled", "false");
        conf.put("auto.commit.enable", "false");
        conf.put("auto.offset.reset", "smallest");
        conf.put("consumer.timeout.ms", patience);
        conf.put("fetch.wait.max.ms", "50");
        conf.put("rebalance.backoff.ms", "200");
        conf.put("rebalance.max.retries", "20");
        return Consumer.createJavaConsumerConnector(new ConsumerConfig(conf));
    }

    static KafkaStream<byte[], byte[]> stream(ConsumerConnector c, String topic) {
        return c.createMessageStreams(Collections.singletonMap(topic, 1)).get(topic).get(0);
    }

    static void consume(String zooKeeper, String group, String topic, int records, String patience) {
        ConsumerConnector c = connector(zooKeeper, group, "one", "zookeeper", patience);
        try {
            ConsumerIterator<byte[], byte[]> it = stream(c, topic).iterator();
            for (int n = 0; n < records; n++) {
                try {
                    MessageAndMetadata<byte[], byte[]> m = it.next();
                    System.out.println(Line.of(m.topic(), m.partition(), m.offset(), "", m.key(), m.message(), ""));
                } catch (ConsumerTimeoutException e) {
                    throw new IllegalStateException(n == 0 ? "no record came" : "only " + n + " records came");
                }
            }
            c.commitOffsets();
        } finally {
            c.shutdown();
        }
    }

    /** Two consumers a and b of a group. */
    static final class Balance {
        final String zooKeeper;
        final String broker;
        final String group;
        final String storage;
        final String topic;
        final int partitions;
        final ZkClient tree;
        final BlockingQueue<String> read = new LinkedBlockingQueue<>();
        int written;

        Balance(String zooKeeper, String broker, String group, String storage, String topic, int partitions) {
            this.zooKeeper = zooKeeper;
            this.broker = broker;
            this.group = group;
            this.storage = storage;
            this.topic = topic;
            this.partitions = partitions;
            this.tree = new ZkClient(zooKeeper, 30_000, 30_000, new org.I0Itec.zkclient.serialize.ZkSerializer() {
                @Override
                public byte[] serialize(Object o) {
                    return ((String) o).getBytes();
                }

                @Override
                public Object deserialize(byte[] b) {
                    return b == null ? null : new String(b);
                }
            });
        }

        void run() throws InterruptedException {
            ConsumerConnector a = join("a");
            owned("a alone", 1);
            more();
            a.commitOffsets();
            ConsumerConnector b = join("b");
            owned("a and b", 2);
            more();
            a.commitOffsets();
            b.commitOffsets();
            a.shutdown();
            owned("b alone", 1);
            more();
            b.commitOffsets();
            b.shutdown();
            until("nobody owns a partition", () -> owners().isEmpty());
            System.out.println("owners in the end: none");
            tree.close();
        }

        ConsumerConnector join(String id) {
            ConsumerConnector c = connector(zooKeeper, group, id, storage, "1000");
            KafkaStream<byte[], byte[]> s = stream(c, topic);
            Thread reader = new Thread(() -> {
                ConsumerIterator<byte[], byte[]> it = s.iterator();
                while (true) {
                    try {
                        if (!it.hasNext()) {
                            return; // it was shut down
                        }
                        MessageAndMetadata<byte[], byte[]> m = it.next();
                        read.add(id + " " + Line.of(m.topic(), m.partition(), m.offset(), "", m.key(), m.message(), ""));
                    } catch (ConsumerTimeoutException e) {
                        continue;
                    }
                }
            }, "reader " + id);
            reader.setDaemon(true);
            reader.start();
            return c;
        }

        /** Who owns a partition, "consumer partition" each. */
        Set<String> owners() {
            Set<String> out = new TreeSet<>();
            String path = "/consumers/" + group + "/owners/" + topic;
            if (!tree.exists(path)) {
                return out;
            }
            for (String p : tree.getChildren(path)) {
                String owner = tree.readData(path + "/" + p, true);
                if (owner != null) {
                    out.add(owner.replaceAll(".*_([ab])-\\d+$", "$1") + " " + p);
                }
            }
            return out;
        }

        void owned(String who, int consumers) throws InterruptedException {
            until(who + " own all partitions", () -> {
                Set<String> all = owners();
                return all.size() == partitions && all.stream().map(o -> o.substring(0, 1)).distinct().count() == consumers;
            });
            System.out.println("owners with " + who + ": " + String.join(", ", owners()));
        }

        /** Writes ten records to each partition and waits until they were read. */
        void more() throws InterruptedException {
            for (int p = 0; p < partitions; p++) {
                produce(broker, "balance", written, written + 10, "gzip", topic, p);
            }
            written += 10;
            for (int n = 0; n < 10 * partitions; n++) {
                String line = read.poll(Line.PATIENCE, TimeUnit.NANOSECONDS);
                if (line == null) {
                    throw new IllegalStateException("only " + n + " of " + 10 * partitions + " records came");
                }
                System.out.println(line);
            }
        }

        static void until(String what, BooleanSupplier ok) throws InterruptedException {
            for (long end = System.nanoTime() + Line.PATIENCE; !ok.getAsBoolean(); Thread.sleep(20)) {
                if (System.nanoTime() > end) {
                    throw new IllegalStateException("never came: " + what);
                }
            }
        }
    }
}
