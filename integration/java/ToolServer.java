import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Runs the main methods of Kafka's command-line tools one after another in one JVM, since starting a JVM for each would take
 * most of the suite's time. It knows no Kafka class at compile time, so one build serves every version.
 *
 * On stdin it reads: timeout in ms (int), main class, n arguments, bytes for the tool's stdin. On stdout it answers: exit code
 * (int; -1 = did not end in time), stdout, stderr. Strings and bytes are an int length and UTF-8.
 *
 * Non-obvious: System.exit and Kafka's Exit are turned into an Error that ends the tool's thread; the first exit code counts.
 * Shutdown hooks that a tool registers run when it ends, since VerifiableProducer flushes and sums up in one; those that it gave to
 * the JVM itself are taken back by reflection (--add-opens java.base/java.lang=ALL-UNNAMED).
 */
public final class ToolServer {
    static final class Exited extends Error {
        final int code;

        Exited(int code) {
            super("exit " + code, null, false, false);
            this.code = code;
        }
    }

    /** Hands everything on to the stream of the present run. */
    static final class Turnable extends OutputStream {
        volatile OutputStream to;

        Turnable(OutputStream to) {
            this.to = to;
        }

        @Override
        public void write(int b) throws IOException {
            to.write(b);
        }

        @Override
        public void write(byte[] b, int from, int length) throws IOException {
            to.write(b, from, length);
        }

        @Override
        public void flush() throws IOException {
            to.flush();
        }
    }

    static final AtomicReference<Integer> exit = new AtomicReference<>();
    static volatile boolean ending;
    static final ConcurrentLinkedQueue<Runnable> hooks = new ConcurrentLinkedQueue<>();

    public static void main(String[] args) throws Exception {
        DataInputStream in = new DataInputStream(System.in);
        DataOutputStream out = new DataOutputStream(System.out);
        InputStream realIn = System.in;
        PrintStream realErr = System.err;
        Turnable stdout = new Turnable(realErr);
        Turnable stderr = new Turnable(realErr);
        System.setOut(new PrintStream(stdout, true, "UTF-8"));
        System.setErr(new PrintStream(stderr, true, "UTF-8"));
        trapExits();
        Field field = Class.forName("java.lang.ApplicationShutdownHooks").getDeclaredField("hooks");
        field.setAccessible(true);
        Map<?, ?> ofJVM = (Map<?, ?>) field.get(null);
        while (true) {
            int timeout;
            try {
                timeout = in.readInt();
            } catch (EOFException e) {
                ending = true; // whatever threads the tools have left behind
                Runtime.getRuntime().halt(0);
                return;
            }
            String mainClass = new String(bytes(in), StandardCharsets.UTF_8);
            String[] toolArgs = new String[in.readInt()];
            for (int i = 0; i < toolArgs.length; i++) {
                toolArgs[i] = new String(bytes(in), StandardCharsets.UTF_8);
            }
            ByteArrayOutputStream saidOut = new ByteArrayOutputStream();
            ByteArrayOutputStream saidErr = new ByteArrayOutputStream();
            System.setIn(new ByteArrayInputStream(bytes(in)));
            stdout.to = saidOut;
            stderr.to = saidErr;
            Set<Object> before = new HashSet<>(ofJVM.keySet());
            long began = System.nanoTime();
            int code = run(mainClass, toolArgs, timeout);
            for (Object hook : new ArrayList<>(ofJVM.keySet())) {
                if (before.add(hook)) {
                    Runtime.getRuntime().removeShutdownHook((Thread) hook);
                    ((Thread) hook).start();
                    // A producer's closes it, which waits for the broker to be there again: in ten seconds records were lost here.
                    long left = timeout - (System.nanoTime() - began) / 1_000_000;
                    if (!ended((Thread) hook, Math.max(left, 5000))) {
                        code = -1;
                    }
                }
            }
            System.out.flush();
            System.err.flush();
            System.setIn(realIn);
            stdout.to = realErr;
            stderr.to = realErr;
            out.writeInt(code);
            answer(out, saidOut);
            answer(out, saidErr);
            out.flush();
        }
    }

    static int run(String mainClass, String[] args, int timeout) throws InterruptedException {
        exit.set(null);
        Thread tool = new Thread(() -> {
            try {
                Method main = Class.forName(mainClass).getMethod("main", String[].class);
                main.invoke(null, (Object) args);
                exit.compareAndSet(null, 0);
            } catch (InvocationTargetException e) {
                if (!(e.getCause() instanceof Exited)) {
                    e.getCause().printStackTrace(System.err);
                }
                exit.compareAndSet(null, 1);
            } catch (ReflectiveOperationException e) {
                e.printStackTrace(System.err);
                exit.compareAndSet(null, 127);
            }
            for (Runnable hook; (hook = hooks.poll()) != null; ) {
                try {
                    hook.run();
                } catch (Throwable e) {
                    e.printStackTrace(System.err);
                }
            }
        }, "main");
        tool.setDaemon(true);
        tool.start();
        if (!ended(tool, timeout)) {
            return -1;
        }
        return exit.get() == null ? 0 : exit.get();
    }

    /** Waits for a thread, and says where it still is when that takes longer than so many milliseconds. */
    static boolean ended(Thread thread, long timeout) throws InterruptedException {
        thread.join(timeout);
        if (!thread.isAlive()) {
            return true;
        }
        for (StackTraceElement at : thread.getStackTrace()) {
            System.err.println("\tstill at " + at);
        }
        thread.interrupt();
        thread.join(5000);
        return false;
    }

    static void trapExits() {
        try {
            System.setSecurityManager(new SecurityManager() {
                @Override
                public void checkPermission(java.security.Permission p) {
                }

                @Override
                public void checkPermission(java.security.Permission p, Object context) {
                }

                @Override
                public void checkExit(int code) {
                    if (ending) {
                        return;
                    }
                    exit.compareAndSet(null, code);
                    throw new Exited(code);
                }
            });
        } catch (UnsupportedOperationException e) {
            System.err.println("no security manager in this Java: Kafka's own exit hook is the only one");
        }
        try {
            Class<?> kafkaExit = Class.forName("org.apache.kafka.common.utils.Exit");
            for (Class<?> hook : kafkaExit.getDeclaredClasses()) {
                Object proxy = Proxy.newProxyInstance(hook.getClassLoader(), new Class<?>[] {hook}, (self, m, a) -> {
                    if (m.getName().equals("execute")) {
                        exit.compareAndSet(null, (Integer) a[0]);
                        throw new Exited((Integer) a[0]);
                    }
                    if (m.getName().equals("addShutdownHook")) {
                        hooks.add((Runnable) a[1]);
                    }
                    return null;
                });
                if (hook.getSimpleName().equals("Procedure")) {
                    kafkaExit.getMethod("setExitProcedure", hook).invoke(null, proxy);
                    kafkaExit.getMethod("setHaltProcedure", hook).invoke(null, proxy);
                } else if (hook.getSimpleName().equals("ShutdownHookAdder")) {
                    kafkaExit.getMethod("setShutdownHookAdder", hook).invoke(null, proxy);
                }
            }
        } catch (ClassNotFoundException e) {
            return; // Kafka before 0.11 has no hook
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("these are not Kafka's clients", e);
        }
    }

    static byte[] bytes(DataInputStream in) throws IOException {
        byte[] b = new byte[in.readInt()];
        in.readFully(b);
        return b;
    }

    static void answer(DataOutputStream out, ByteArrayOutputStream b) throws IOException {
        out.writeInt(b.size());
        b.writeTo(out);
    }
}
