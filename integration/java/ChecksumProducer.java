import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Like kafka-producer-perf-test, but the records are numbered and every partition's are summed: ChecksumProducer BROKER TOPIC
 * PARTITIONS RECORDS SIZE [name=value...]. Record i goes to partition i mod PARTITIONS, with acks=all and idempotence; its value is
 * the number and then pseudo-random bytes. It prints for each partition its number, its count and the SHA-256 of all values in
 * order, and exits 1 when any record failed.
 */
public final class ChecksumProducer {
    public static void main(String[] args) throws Exception {
        String topic = args[1];
        int partitions = Integer.parseInt(args[2]);
        long records = Long.parseLong(args[3]);
        int size = Integer.parseInt(args[4]);
        Properties conf = new Properties();
        conf.put("bootstrap.servers", args[0]);
        conf.put("acks", "all");
        conf.put("enable.idempotence", "true");
        conf.put("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        conf.put("value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        for (int i = 5; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            conf.put(pair[0], pair[1]);
        }
        MessageDigest[] sums = new MessageDigest[partitions];
        long[] counts = new long[partitions];
        for (int p = 0; p < partitions; p++) {
            sums[p] = MessageDigest.getInstance("SHA-256");
        }
        AtomicReference<Exception> failed = new AtomicReference<>();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(conf)) {
            for (long i = 0; i < records && failed.get() == null; i++) {
                byte[] value = value(i, size);
                int p = (int) (i % partitions);
                sums[p].update(value);
                counts[p]++;
                producer.send(new ProducerRecord<>(topic, p, null, value), (metadata, e) -> {
                    if (e != null) {
                        failed.compareAndSet(null, e);
                    }
                });
            }
        }
        if (failed.get() != null) {
            failed.get().printStackTrace();
            System.exit(1);
        }
        for (int p = 0; p < partitions; p++) {
            System.out.println(p + " " + counts[p] + " " + HexFormat.of().formatHex(sums[p].digest()));
        }
    }

    /** The number of the record, then bytes of a xorshift that starts with it. */
    static byte[] value(long i, int size) {
        ByteBuffer b = ByteBuffer.allocate(size);
        b.putLong(i);
        long x = (i + 1) * 0x9E3779B97F4A7C15L;
        while (b.remaining() >= 8) {
            x ^= x << 13;
            x ^= x >>> 7;
            x ^= x << 17;
            b.putLong(x);
        }
        while (b.hasRemaining()) {
            b.put((byte) x);
        }
        return b.array();
    }
}
