package maker

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/logging"
	"tributary/rest"
)

func TestWhereANodeListens(t *testing.T) {
	const loopback, here = "http://127.0.0.1:8083", "http://127.0.0.1:0"
	for _, test := range []struct {
		name, file    string
		public, peers string
	}{
		{"by default other nodes have a listener of their own", "", loopback, here},
		{"at the advertised port", "rest.advertised.port=9001", loopback, "http://127.0.0.1:9001"},
		{"also when clients have another one on this machine", "listeners=http://localhost:9000,http://127.0.0.2:9001", "http://localhost:9000,http://127.0.0.2:9001", here},
		{"but not beside one that they can reach", "listeners=http://:9000", "http://:9000", ""},
		{"nor beside one with a name", "listeners=http://node-1:9000", "http://node-1:9000", ""},
		{"nor when that is switched off", "dedicated.mode.enable.internal.rest=false", loopback, ""},
		{"switched on as in Java, listeners is for nodes alone", "dedicated.mode.enable.internal.rest=TRUE\nlisteners=http://node-1:9000", loopback, "http://node-1:9000"},
		{"at Java's port if there is none", "dedicated.mode.enable.internal.rest=true", anyPort, "http://:8083"},
		{"without signatures no node is served unasked", "target.connect.protocol=compatible", loopback, ""},
		{"only if the file says so", "target.connect.protocol=eager\ndedicated.mode.enable.internal.rest=true\nlisteners=http://:9000", loopback, "http://:9000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			log, _ := logging.New(&out, logging.Options{})
			m := &mirrorMaker{config: parse(t, "source.bootstrap.servers=s:1\ntarget.bootstrap.servers=t:2\nrest.advertised.host.name=127.0.0.1\n"+test.file), log: log}
			m.flows = m.config.flows(nil)
			advertised, err := m.advertised()
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.listening(advertised)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.public, test.peers}, []string{strings.Join(got.public, ","), strings.Join(got.peers, ",")}); diff != "" {
				t.Error(diff)
			}
			if said := strings.Contains(out.String(), "without signatures"); said != strings.Contains(test.file, "compatible") {
				t.Errorf("the log: %s", out.String())
			}
		})
	}
	m := &mirrorMaker{config: parse(t, "source.bootstrap.servers=s:1\ntarget.bootstrap.servers=t:2\ndedicated.mode.enable.internal.rest=yes")}
	if _, err := m.listening(rest.Advertised{}); err == nil || err.Error() != `dedicated.mode.enable.internal.rest is "yes": it must be true or false` {
		t.Errorf("got %v", err)
	}
}

func TestANodeListensAtItsAdvertisedHostIfThatIsItsOwn(t *testing.T) {
	own := rest.LocalHost()
	if net.ParseIP(own) == nil {
		t.Fatalf("this machine is %s", own)
	}
	for advertised, want := range map[string]string{"": own, own: own, "127.0.0.1": "127.0.0.1", "localhost": "localhost", "192.0.2.1": "", "no-such-host.invalid": ""} {
		if got := bindHost(advertised); got != want {
			t.Errorf("advertised %q: listens at %q, want %q", advertised, got, want)
		}
	}
}
