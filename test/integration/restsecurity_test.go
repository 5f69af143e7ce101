package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"tributary/api"
	"tributary/test/cluster"
)

// writeFile writes a file for a test and returns its path.
func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pemOf is an identity as a key store in PEM, and its certificate alone as a trust store.
func pemOf(t *testing.T, identity tls.Certificate) (keyStore, trustStore []byte) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(identity.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	trustStore = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: identity.Certificate[0]})
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), trustStore...), trustStore
}

func TestAGroupOverHTTPSWithUsersSharesTasksAndForwards(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 4})
	source.Produce("orders", cluster.Numbered(0, 100, 4)...)
	identity := selfSigned(t).Certificates[0]
	keyStore, trustStore := pemOf(t, identity)
	hash, err := bcrypt.GenerateFromPassword([]byte("o p s"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	secured := []string{
		"listeners=https://127.0.0.1:0",
		"listeners.https.ssl.keystore.location=" + writeFile(t, "worker.pem", keyStore),
		"listeners.https.ssl.truststore.location=" + writeFile(t, "trust.pem", trustStore),
		"listeners.https.ssl.client.auth=requested",
		"rest.basic.auth.users.file=" + writeFile(t, "users", []byte("ops:"+string(hash)+"\nwatch:"+string(hash)+":read-only\n")),
	}
	first := cluster.Start(t, cluster.Distributed, workerFile(target, secured...))
	second := cluster.Start(t, cluster.Distributed, workerFile(target, secured...))
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(trustStore)
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	t.Cleanup(browser.CloseIdleConnections)
	as := func(w *cluster.Worker, user string) *cluster.API {
		a := w.API()
		a.HTTP = browser
		a.Authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":o p s"))
		return a
	}
	for _, w := range []*cluster.Worker{first, second} {
		requireText(t, w.URL(), "https://127.0.0.1:")
		awaitReady(t, as(w, "ops"))
	}

	// One of the two leads, so one of the two creations is forwarded, and the tasks of a
	// connector on the other are sent to the leader, signed.
	for i, w := range []*cluster.Worker{first, second} {
		config := mirrorConfig(source, target, 2)
		config["source.cluster.alias"] = []string{"one", "two"}[i]
		config["replication.policy.separator"] = "-"
		as(w, "ops").Create(config["source.cluster.alias"], config)
	}
	for _, name := range []string{"one", "two"} {
		as(first, "watch").AwaitState(name, "RUNNING", 2)
		target.AwaitRecords(name+"-orders", 100, cluster.Patience)
	}

	refusal := as(second, "watch").Refused(func(ctx context.Context, c *api.Client) error { return c.Delete(ctx, "one") })
	requireEqual(t, "code for a reader who deletes", 403, refusal.Code)
	response, err := browser.Get(first.URL() + "/connectors")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	requireEqual(t, "code without credentials", 401, response.StatusCode)
	if _, err := http.Get(first.URL() + "/"); err == nil {
		t.Error("a client without the trust store was content")
	}
}
