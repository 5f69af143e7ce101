package org.apache.kafka.connect.util.clusters;

import org.apache.kafka.connect.runtime.Connect;

import java.net.URI;
import java.util.Map;
import java.util.concurrent.Future;

import tributary.apache.WorkerProcess;

/**
 * Stands before the class of this name in Connect's test jar: a worker is a Tributary process here. Everything else
 * that the tests want of a worker they ask over REST.
 */
public class WorkerHandle {
    private final WorkerProcess process;

    /** What subclasses and the standalone cluster of Apache's jar link against; there is no worker in this JVM. */
    protected WorkerHandle(String workerName, Connect<?> worker) {
        throw new UnsupportedOperationException("The worker " + workerName + " would run in this JVM");
    }

    WorkerHandle(WorkerProcess process) {
        this.process = process;
    }

    public static WorkerHandle start(String name, Map<String, String> workerProperties) {
        return new WorkerHandle(WorkerProcess.start("connect-distributed", name, workerProperties));
    }

    public Future<?> herderTask() {
        return process.end();
    }

    public void stop() {
        process.stop();
    }

    public URI url() {
        return process.url();
    }

    public URI adminUrl() {
        return process.url();
    }

    public void requestTimeout(long timeoutMs) {
        process.order("request-timeout " + timeoutMs);
    }

    public void resetRequestTimeout() {
        process.order("request-timeout reset");
    }

    @Override
    public String toString() {
        return "WorkerHandle{" + process + "}";
    }
}
