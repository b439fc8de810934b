import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutionException;

/**
 * What every generation writes, and how every one tells what it read: a line of {@code record}, topic, partition, offset, timestamp,
 * key, value and headers, with a blank between them; a null is "null", and "-" what the client does not know.
 */
final class Line {
    /** The longest wait for records, in nanoseconds. */
    static final long PATIENCE = 20_000_000_000L;

    static byte[] key(int n) {
        return n % 5 == 4 ? null : ("k" + n).getBytes(StandardCharsets.UTF_8);
    }

    /** The value of record n of a writer. Some are null; the others can be compressed. */
    static byte[] value(String writer, int n) {
        if (n % 7 == 6) {
            return null;
        }
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 8; i++) {
            text.append(writer).append('#').append(n).append(';');
        }
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    /** In ms since 1970. Not in order, as real ones are. */
    static long timestamp(int n) {
        return 1_700_000_000_000L + 1000 * (n % 3) + n;
    }

    static String of(String topic, int partition, long offset, String timestamp, byte[] key, byte[] value, String headers) {
        return String.join(" ", "record", topic, Integer.toString(partition), Long.toString(offset), known(timestamp), text(key), text(value), known(headers));
    }

    private static String known(String s) {
        return s.isEmpty() ? "-" : s;
    }

    private static String text(byte[] b) {
        return b == null ? "null" : new String(b, StandardCharsets.UTF_8);
    }

    /** An error and its causes, in a line. */
    static String why(Throwable e) {
        if (e instanceof ExecutionException && e.getCause() != null) {
            e = e.getCause();
        }
        StringBuilder text = new StringBuilder(e.getClass().getSimpleName());
        for (Throwable at = e; at != null; at = at.getCause()) {
            if (at.getMessage() != null) {
                text.append(at == e ? ": " : " <- ").append(at.getMessage());
            } else if (at != e) {
                text.append(" <- ").append(at.getClass().getSimpleName());
            }
        }
        return text.toString().replaceAll("\\s+", " ");
    }
}
