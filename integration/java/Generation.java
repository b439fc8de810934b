import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * The Java producer of any Kafka since 0.8.2 and the Java consumer of any since 0.9. What changed between them is looked up when it
 * runs, so that one build serves every version.
 *
 * <pre>
 * Generation produce BROKER NAME RECORDS CODEC=TOPIC:PARTITION...
 * Generation consume BROKER GROUP TOPIC=RECORDS:PATIENCE... (in ms)
 * </pre>
 *
 * produce says for each codec {@code produced CODEC FIRST-OFFSET LAST-OFFSET} or {@code refused CODEC why}. consume reads each topic
 * as a member of the group until it has so many records, commits and leaves; it prints every record (see {@link Line}), and then
 * {@code consumed TOPIC} or {@code refused TOPIC why}. At last another member of the group takes all topics that could be read, and
 * says {@code position TOPIC PARTITION OFFSET} of each partition.
 */
public final class Generation {
    public static void main(String[] args) throws Throwable {
        if (args[0].equals("produce")) {
            for (int i = 4; i < args.length; i++) {
                String[] to = args[i].split("[=:]");
                try {
                    System.out.println("produced " + to[0] + " " + produce(args[1], args[2], Integer.parseInt(args[3]), to[0], to[1], Integer.parseInt(to[2])));
                } catch (Throwable e) {
                    System.out.println("refused " + to[0] + " " + Line.why(e));
                }
            }
            return;
        }
        List<String> readable = new ArrayList<>();
        for (int i = 3; i < args.length; i++) {
            String[] from = args[i].split("[=:]");
            try {
                consume(args[1], args[2], from[0], Integer.parseInt(from[1]), 1_000_000 * Long.parseLong(from[2]));
                readable.add(from[0]);
                System.out.println("consumed " + from[0]);
            } catch (Throwable e) {
                System.out.println("refused " + from[0] + " " + Line.why(e));
            }
        }
        positions(args[1], args[2], readable);
    }

    static String produce(String broker, String name, int records, String codec, String topic, int partition) throws Exception {
        Properties conf = new Properties();
        conf.put("bootstrap.servers", broker);
        conf.put("acks", "all");
        conf.put("compression.type", codec);
        conf.put("linger.ms", "200");
        conf.put("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        conf.put("value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(conf);
        try {
            for (int n = 0; n < records; n++) {
                sent.add(producer.send(record(topic, partition, n, Line.key(n), Line.value(name, n))));
            }
        } finally {
            producer.close();
        }
        return sent.get(0).get().offset() + " " + sent.get(records - 1).get().offset();
    }

    /** A record with a timestamp where the version has them (0.10), and a header (0.11). */
    static ProducerRecord<byte[], byte[]> record(String topic, int partition, int n, byte[] key, byte[] value) throws ReflectiveOperationException {
        ProducerRecord<byte[], byte[]> r;
        try {
            @SuppressWarnings("unchecked")
            ProducerRecord<byte[], byte[]> stamped = (ProducerRecord<byte[], byte[]>) ProducerRecord.class
                .getConstructor(String.class, Integer.class, Long.class, Object.class, Object.class)
                .newInstance(topic, partition, Line.timestamp(n), key, value);
            r = stamped;
        } catch (NoSuchMethodException e) {
            return new ProducerRecord<>(topic, partition, key, value);
        }
        try {
            Object headers = ProducerRecord.class.getMethod("headers").invoke(r);
            Class.forName("org.apache.kafka.common.header.Headers").getMethod("add", String.class, byte[].class)
                .invoke(headers, "h", Integer.toString(n).getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchMethodException e) {
            return r;
        }
        return r;
    }

    static KafkaConsumer<byte[], byte[]> member(String broker, String group, List<String> topics) throws Throwable {
        Properties conf = new Properties();
        conf.put("bootstrap.servers", broker);
        conf.put("group.id", group);
        conf.put("enable.auto.commit", "false");
        conf.put("auto.offset.reset", "earliest");
        conf.put("key.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
        conf.put("value.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
        KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(conf);
        Class<?> list;
        try {
            KafkaConsumer.class.getMethod("subscribe", Collection.class);
            list = Collection.class;
        } catch (NoSuchMethodException e) {
            list = List.class; // 0.9
        }
        call(c, "subscribe", list, topics);
        return c;
    }

    static void consume(String broker, String group, String topic, int records, long patience) throws Throwable {
        KafkaConsumer<byte[], byte[]> c = member(broker, group, Collections.singletonList(topic));
        try {
            long end = System.nanoTime() + patience;
            for (int n = 0; n < records; ) {
                for (ConsumerRecord<byte[], byte[]> r : poll(c)) {
                    System.out.println(Line.of(r.topic(), r.partition(), r.offset(), timestamp(r), r.key(), r.value(), headers(r)));
                    n++;
                }
                if (System.nanoTime() > end) {
                    throw new IllegalStateException(n == 0 ? "no record came" : "only " + n + " records came");
                }
            }
            c.commitSync();
        } finally {
            c.close();
        }
    }

    static void positions(String broker, String group, List<String> topics) throws Throwable {
        KafkaConsumer<byte[], byte[]> c = member(broker, group, topics);
        try {
            long end = System.nanoTime() + Line.PATIENCE;
            while (c.assignment().isEmpty() && System.nanoTime() < end) {
                poll(c);
            }
            Map<String, Long> at = new TreeMap<>();
            for (TopicPartition p : c.assignment()) {
                at.put(p.topic() + " " + p.partition(), c.position(p));
            }
            at.forEach((p, offset) -> System.out.println("position " + p + " " + offset));
        } finally {
            c.close();
        }
    }

    @SuppressWarnings("unchecked")
    static ConsumerRecords<byte[], byte[]> poll(KafkaConsumer<byte[], byte[]> c) throws Throwable {
        try {
            KafkaConsumer.class.getMethod("poll", Duration.class);
        } catch (NoSuchMethodException e) {
            return (ConsumerRecords<byte[], byte[]>) call(c, "poll", long.class, 100L);
        }
        return (ConsumerRecords<byte[], byte[]>) call(c, "poll", Duration.class, Duration.ofMillis(100));
    }

    static Object call(Object o, String method, Class<?> type, Object argument) throws Throwable {
        try {
            return o.getClass().getMethod(method, type).invoke(o, argument);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    /** Of a record, "" where the version has none. */
    static String timestamp(Object record) throws ReflectiveOperationException {
        try {
            return record.getClass().getMethod("timestamp").invoke(record).toString();
        } catch (NoSuchMethodException e) {
            return "";
        }
    }

    static String headers(Object record) throws ReflectiveOperationException {
        Object headers;
        try {
            headers = record.getClass().getMethod("headers").invoke(record);
        } catch (NoSuchMethodException e) {
            return "";
        }
        Class<?> header = Class.forName("org.apache.kafka.common.header.Header");
        StringBuilder text = new StringBuilder();
        for (Object h : (Iterable<?>) headers) {
            byte[] value = (byte[]) header.getMethod("value").invoke(h);
            text.append(header.getMethod("key").invoke(h)).append('=').append(new String(value, StandardCharsets.UTF_8));
        }
        return text.length() == 0 ? "none" : text.toString();
    }
}
