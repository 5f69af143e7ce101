package cli_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"tributary/test/cluster/certs"
)

var listensAt = regexp.MustCompile(`(REST server listening[a-z ]*) listener=https\S* address=(\S+)`)

// The listeners for clients want certificates of one authority; those for administration show a certificate of another,
// and want none.
func TestHTTPSListenersWantClientCertificatesAndThoseForAdministrationHaveKeysOfTheirOwn(t *testing.T) {
	k, dir := cluster(t), t.TempDir()
	public, private := certs.NewAuthority(t, "public"), certs.NewAuthority(t, "private")
	store := func(name string, i certs.Identity) string { return certs.File(t, dir, name, i.Store()) }
	p := start(t, workerFile(t, dir, k.Bootstrap(),
		"listeners=https://127.0.0.1:0",
		"listeners.https.ssl.client.auth=required",
		"listeners.https.ssl.keystore.type=PEM", "listeners.https.ssl.keystore.location="+store("public.pem", public.Issue("worker", time.Hour, "127.0.0.1")),
		"listeners.https.ssl.truststore.type=PEM", "listeners.https.ssl.truststore.location="+certs.File(t, dir, "trust.pem", public.Cert()),
		"admin.listeners=https://127.0.0.1:0",
		"admin.listeners.https.ssl.keystore.type=PEM", "admin.listeners.https.ssl.keystore.location="+store("private.pem", private.Issue("worker", time.Hour, "127.0.0.1")),
	))
	at := map[string]string{}
	eventually(t, "both listeners", func() bool {
		for _, m := range listensAt.FindAllStringSubmatch(p.out.String(), -1) {
			at[m[1]] = m[2]
		}
		return len(at) == 2
	})
	main, admin := at["REST server listening"], at["REST server listening for administration"]
	status := func(address, path string, authority *certs.Authority, shows ...certs.Identity) (int, error) {
		config := &tls.Config{RootCAs: x509.NewCertPool()}
		config.RootCAs.AppendCertsFromPEM([]byte(authority.Cert()))
		for _, i := range shows {
			pair, err := tls.X509KeyPair([]byte(i.Cert), []byte(i.Key))
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = append(config.Certificates, pair)
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		response, err := client.Get("https://" + address + path)
		if err != nil {
			return 0, err
		}
		_ = response.Body.Close()
		return response.StatusCode, nil
	}
	ours, strangers := public.Issue("ops", time.Hour), private.Issue("ops", time.Hour)
	eventually(t, "an answer", func() bool { code, _ := status(main, "/", public, ours); return code == 200 })
	for _, c := range []struct {
		what, address, path string
		authority           *certs.Authority
		shows               []certs.Identity
		code                int
		says                string
	}{
		{"a certificate", main, "/connectors", public, []certs.Identity{ours}, 200, ""},
		{"no certificate", main, "/connectors", public, nil, 0, "certificate required"},
		{"a certificate that has expired", main, "/connectors", public, []certs.Identity{public.Issue("ops", -time.Minute)}, 0, "expired certificate"},
		{"a stranger's certificate", main, "/connectors", public, []certs.Identity{strangers}, 0, "certificate"},
		{"loggers at the listener for clients", main, "/admin/loggers", public, []certs.Identity{ours}, 404, ""},
		{"loggers where they are", admin, "/admin/loggers", private, nil, 200, ""},
		{"the listener for administration with the trust of clients", admin, "/admin/loggers", public, nil, 0, "unknown authority"},
		{"connectors at the listener for administration", admin, "/connectors", private, nil, 404, ""},
	} {
		code, err := status(c.address, c.path, c.authority, c.shows...)
		if code != c.code || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %d, %v; want %d %s", c.what, code, err, c.code, c.says)
		}
	}
	p.stop()
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
