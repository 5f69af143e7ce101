package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// mostMemory is what a worker under attack may have resident. It has some 60 MB at rest; what it holds of requests is
// bounded by 96 MB of bodies and 1,024 connections a listener, and the collector may let that double.
const mostMemory = 700 << 20

// attack is one hostile client. It must end by itself, also when the worker lets it in.
type attack struct {
	name string
	run  func(t *testing.T, host string)
}

// A worker with a listener in the open mirrors while strangers do their worst, stays within its memory, and answers
// honest requests afterwards.
func TestHostileClientsOfTheAPINeitherStopMirroringNorTakeAllMemory(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 4})
	identity := selfSigned(t).Certificates[0]
	keyStore, _ := pemOf(t, identity)
	w := cluster.Spawn(t, cluster.MirrorMaker, twoLines(source, target)+
		"listeners=http://127.0.0.1:0,https://127.0.0.1:0\nlisteners.https.ssl.keystore.location="+writeFile(t, "worker.pem", keyStore)+
		"\nsource->target.topics=orders\n")
	flow := w.Flow("source", "target")
	flow.AwaitState(sourceConnector, "RUNNING", 1)
	plain := strings.TrimPrefix(w.URL(), "http://")
	_, secure, _ := strings.Cut(w.Log.Await("REST server listening", "listener=https://"), "address=")
	secure, _, _ = strings.Cut(secure, " ")

	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	written := 0
	load.Go(func() { // the honest work goes on throughout
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-pace.C:
				source.Produce("orders", cluster.Numbered(written, written+50, 4)...)
				written += 50
			}
		}
	})
	copied := func() int { return target.Records("source.orders") }
	target.AwaitRecords("source.orders", 50, cluster.Patience)
	rest := residentPeak(t, w.PID())

	for _, a := range []attack{
		{"bodies without end", hugeBodies},
		{"many large bodies at once", manyLargeBodies},
		{"JSON of great depth", deepJSON},
		{"floods of headers", headerFloods},
		{"tricks with paths", pathTricks},
		{"connections that say nothing, thousands", manyConnections},
		{"requests that come byte by byte, and wrong words to TLS", func(t *testing.T, host string) {
			var both sync.WaitGroup
			both.Go(func() { slowRequests(t, host) })
			both.Go(func() { badHellos(t, secure) })
			both.Wait()
		}},
	} {
		before := copied()
		t.Run(a.name, func(t *testing.T) { a.run(t, plain) })
		kafkatest.Await(t, cluster.Patience, "mirroring to go on during "+a.name, func() (bool, string) {
			now := copied()
			return now > before, fmt.Sprint(now)
		})
		kafkatest.Await(t, cluster.Patience, "an answer after "+a.name, func() (bool, string) {
			for _, url := range []string{w.URL(), "https://" + secure} {
				if err := health(url); err != nil {
					return false, err.Error()
				}
			}
			return true, ""
		})
		t.Logf("%s: %d records copied meanwhile, peak of memory %d MB", a.name, copied()-before, residentPeak(t, w.PID())>>20)
	}
	cancel()
	load.Wait()
	target.AwaitRecords("source.orders", written, cluster.Patience)
	kafkatest.CompareTopic(t, source.Bootstrap(), "orders", target.Bootstrap(), "source.orders")
	flow.AwaitState(sourceConnector, "RUNNING", 1)
	if peak := residentPeak(t, w.PID()); peak > mostMemory {
		t.Errorf("the worker had %d MB resident, %d MB before the attacks; it may have %d", peak>>20, rest>>20, mostMemory>>20)
	}
	w.Stop()
	for _, line := range w.Log.Lines("panic") {
		t.Error(line)
	}
}

// residentPeak is the most memory that a process had resident, in bytes.
func residentPeak(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("memory is told by Linux's /proc alone: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatalf("no memory in:\n%s", status)
	return 0
}

// health asks whether a worker is well, over a connection of its own.
func health(url string) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	response, err := client.Get(url + "/health")
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// dial connects and bounds all that follows.
func dial(t *testing.T, host string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", host, cluster.Patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(cluster.Patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// statusOf reads the status of an answer; 0 for a connection that was cut.
func statusOf(conn net.Conn) int {
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// blanks gives so many blanks.
type blanks int64

func (b *blanks) Read(p []byte) (int, error) {
	if *b <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), int64(*b))
	for i := range n {
		p[i] = ' '
	}
	*b -= blanks(n)
	return int(n), nil
}

// hugeBodies sends a gigabyte, with and without saying so before. The refusal comes long before the end.
func hugeBodies(t *testing.T, host string) {
	const gigabyte = 1 << 30
	for _, path := range []string{"POST /connectors", "PUT /source/target/connectors/x/config", "POST /source/target/connectors/x/tasks", "PUT /connector-plugins/MirrorSourceConnector/config/validate"} {
		for _, size := range []string{fmt.Sprintf("Content-Length: %d", gigabyte), "Transfer-Encoding: chunked"} {
			conn := dial(t, host)
			_, _ = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s\r\n\r\n", path, size)
			sent := make(chan int64, 1)
			go func() {
				body := blanks(gigabyte)
				var to io.Writer = conn
				if strings.HasPrefix(size, "Transfer") {
					to = chunks{conn}
				}
				n, _ := io.Copy(to, &body)
				sent <- n
			}()
			status := statusOf(conn)
			_ = conn.Close()
			if n := <-sent; n == gigabyte {
				t.Errorf("%s, %s: all of it was taken", path, size)
			}
			if status != http.StatusRequestEntityTooLarge && status != http.StatusBadRequest && status != 0 {
				t.Errorf("%s, %s: %d", path, size, status)
			}
		}
	}
}

// chunks writes the chunked coding.
type chunks struct{ to io.Writer }

func (c chunks) Write(p []byte) (int, error) {
	if _, err := fmt.Fprintf(c.to, "%x\r\n", len(p)); err != nil {
		return 0, err
	}
	if n, err := c.to.Write(p); err != nil {
		return n, err
	}
	_, err := io.WriteString(c.to, "\r\n")
	return len(p), err
}

// manyLargeBodies sends bodies that are allowed, but far more at once than a worker should hold: those for clients, and
// the larger ones for other workers, which nobody has signed. None is finished until all are under way.
func manyLargeBodies(t *testing.T, host string) {
	const each, clients, larger, peers = 4<<20 - 1, 150, 60 << 20, 12
	var sending sync.WaitGroup
	for i := range clients + peers {
		path, size := "POST /connectors", int64(each)
		if i >= clients {
			path, size = "POST /source/target/connectors/x/tasks", larger
		}
		sending.Go(func() {
			conn := dial(t, host)
			defer func() { _ = conn.Close() }()
			_, _ = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, size)
			body := blanks(size - 1) // one byte is kept back
			_, _ = io.Copy(conn, &body)
			_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			if status := statusOf(conn); status == http.StatusOK || status == http.StatusCreated {
				t.Errorf("%s: %d", path, status)
			}
		})
	}
	sending.Wait()
}

// deepJSON nests as deeply as a body may be long.
func deepJSON(t *testing.T, host string) {
	const depth = 1<<21 - 100
	for _, path := range []string{"POST /connectors", "PUT /source/target/connectors/x/config", "PUT /connector-plugins/MirrorSourceConnector/config/validate", "PATCH /source/target/connectors/MirrorSourceConnector/offsets"} {
		for name, body := range map[string]string{
			"arrays":            strings.Repeat("[", depth) + strings.Repeat("]", depth),
			"arrays in a value": `{"name":"x","config":{"a":` + strings.Repeat("[", depth/2),
			"objects":           strings.Repeat(`{"a":`, depth/4),
			"offsets":           `{"offsets":[{"partition":` + strings.Repeat(`{"a":`, depth/4),
			"offsets of arrays": `{"offsets":[{"partition":{"a":` + strings.Repeat("[", 2*depth-100),
		} {
			method, path, _ := strings.Cut(path, " ")
			request, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Errorf("%s %s with %s: %v", method, path, name, err)
				continue
			}
			answer, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err != nil || response.StatusCode < 400 || len(answer) > 10_000 {
				t.Errorf("%s %s with %s: %s, %d bytes, %v", method, path, name, response.Status, len(answer), err)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// headerFloods sends one header of megabytes, and megabytes of headers.
func headerFloods(t *testing.T, host string) {
	for name, header := range map[string]string{
		"long": "X: " + strings.Repeat("x", 8<<20), "many": strings.Repeat("X: y\r\n", 1<<20) + "Y: z",
	} {
		conn := dial(t, host)
		go func() { _, _ = fmt.Fprintf(conn, "GET /health HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", header) }()
		if status := statusOf(conn); status != http.StatusRequestHeaderFieldsTooLarge && status != 0 {
			t.Errorf("%s: %d", name, status)
		}
		_ = conn.Close()
	}
}

// pathTricks are paths that mean another one to some programs. Each is refused, or means the connector of that very
// name, which there is not.
func pathTricks(t *testing.T, host string) {
	for _, path := range []string{
		"/../../etc/passwd", "/connectors/../../../etc/passwd", "/connectors/%2e%2e/%2e%2e/etc/passwd", "/connectors/..%2f..%2fetc%2fpasswd",
		"/connectors/%2fetc%2fpasswd/status", "//etc/passwd", "///", "/connectors//status", "//connectors", "/connectors/%00", "/connectors/%00/status",
		"/source/target/connectors/%252e%252e%252f/status", `/connectors/..\..\windows`, "/connectors/x%0d%0aSet-Cookie:a=b/status", "/%",
		"/connectors/%ff%fe/status", "/source/..%2fother/connectors", "/connector-plugins/..%2f..%2fx/config",
		"http://elsewhere.example/connectors/x/status", "/connectors/" + strings.Repeat("a/", 12_000), "/" + strings.Repeat("a", 30_000), "/connectors/" + strings.Repeat("%2e", 9_000) + "/status",
	} {
		conn := dial(t, host)
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%.60s: %v", path, err)
			_ = conn.Close()
			continue
		}
		answer, err := io.ReadAll(response.Body)
		_ = conn.Close()
		if err != nil || response.StatusCode < 400 || response.StatusCode >= 500 || strings.Contains(string(answer), "root:") || response.Header.Get("Set-Cookie") != "" {
			t.Errorf("%.60s: %s %s, %v", path, response.Status, answer, err)
		}
	}
}

// manyConnections opens ten thousand connections, or as many as this process may, and says nothing on them. The worker
// serves 1,024 at a time and drops those that say nothing for ten seconds; the others wait in the system's queue.
func manyConnections(t *testing.T, host string) {
	wanted := 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < limit.Max {
		raised := limit
		raised.Cur = raised.Max
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err == nil {
			limit = raised
		}
	}
	const ours = 1000 // files that the test has open for other things
	if wanted > int(limit.Cur)-ours {
		wanted = int(limit.Cur) - ours
		t.Logf("this process may have %d files: %d connections instead of 10,000", limit.Cur, wanted)
	}
	var opening sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	slots := make(chan struct{}, 200)
	for range wanted {
		slots <- struct{}{}
		opening.Go(func() {
			defer func() { <-slots }()
			conn, err := net.DialTimeout("tcp", host, 300*time.Millisecond)
			if err != nil {
				return // the queue is full, which is a refusal as good as any
			}
			mu.Lock()
			defer mu.Unlock()
			open = append(open, conn)
		})
	}
	opening.Wait()
	t.Logf("%d of %d connections came about", len(open), wanted)
	if len(open) < 1024 {
		t.Errorf("only %d connections came about: no attack", len(open))
	}
	for _, conn := range open {
		_ = conn.Close()
	}
}

// slowRequests are requests that never get to their end: each is cut within the time limit for headers.
func slowRequests(t *testing.T, host string) {
	var sending sync.WaitGroup
	for range 200 {
		sending.Go(func() {
			conn := dial(t, host)
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n")
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = io.Copy(io.Discard, conn) // until the worker cuts it
			}()
			for tick := time.NewTicker(500 * time.Millisecond); ; {
				select {
				case <-ended:
					tick.Stop()
					return
				case <-tick.C:
					_, _ = io.WriteString(conn, "X: y\r\n")
				}
			}
		})
	}
	sending.Wait() // dial's deadline would end it, too, but then the test has taken Patience
}

// badHellos speaks to a TLS listener as no client does.
func badHellos(t *testing.T, host string) {
	hello := func() []byte { // a true one
		client, server := net.Pipe()
		go func() { _ = tls.Client(client, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()) }()
		buffer := make([]byte, 4096)
		n, _ := server.Read(buffer)
		_ = server.Close()
		return buffer[:n]
	}()
	var sending sync.WaitGroup
	for name, words := range map[string][]byte{
		"HTTP": []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "nothing": nil, "half a hello": hello[:len(hello)/2], "noise": []byte(strings.Repeat("\x16\x03\x01\xff\xff", 20_000)),
		"a record of no length": {22, 3, 1, 0, 0}, "an old version": {0x80, 46, 1, 0, 2}, "a hello twice": append(append([]byte{}, hello...), hello...),
	} {
		for range 20 {
			sending.Go(func() {
				conn := dial(t, host)
				defer func() { _ = conn.Close() }()
				_, _ = conn.Write(words)
				if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: the connection was not cut", name)
				}
			})
		}
	}
	sending.Wait()
}
