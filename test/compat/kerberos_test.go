package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// kerberosRealm is a Kerberos server with what clients of the listener KERBEROS need.
type kerberosRealm struct {
	*realkafka.KDC
	keytab, cache string // of ann
}

// startRealm starts a Kerberos server that knows the broker and ann, gives the cluster a listener that takes such logins,
// and tells this process' clients of it, as Java's are told.
func startRealm(t *testing.T, options *realkafka.Options) kerberosRealm {
	t.Helper()
	r := kerberosRealm{KDC: realkafka.StartKDC(t)}
	const broker = "kafka/127.0.0.1"
	r.Add(broker, "brokers-own")
	r.Add("ann", "right")
	r.keytab, r.cache = r.Keytab("ann"), r.TicketCache("ann", "right", time.Hour)
	options.JVM = append(options.JVM, "-Djava.security.krb5.conf="+r.Config)
	options.Listeners = append(options.Listeners, realkafka.Listener{Name: "KERBEROS", Protocol: "SASL_PLAINTEXT", Properties: map[string]string{
		"sasl.enabled.mechanisms":    "GSSAPI",
		"sasl.kerberos.service.name": "kafka",
		// Clients log in again on the way.
		"gssapi.connections.max.reauth.ms": fmt.Sprint(kerberosSession.Milliseconds()),
		"gssapi.sasl.jaas.config":          fmt.Sprintf(`%s required useKeyTab=true storeKey=true keyTab="%s" principal="%s@%s";`, kerberosModule, r.Keytab(broker), broker, r.Realm),
	}})
	t.Setenv("KAFKA_OPTS", "-Djava.security.krb5.conf="+r.Config)
	return r
}

// kerberosSession is how long a login to the listener holds.
const kerberosSession = 3 * time.Second

const kerberosModule = "com.sun.security.auth.module.Krb5LoginModule"

// ways are logins with what Java's login module takes, and with what is wrong.
func (r kerberosRealm) ways() []wayIn {
	as := func(name, jaas string, says ...string) wayIn {
		return wayIn{name, "KERBEROS", "SASL_PLAINTEXT", []string{"sasl.mechanism", "GSSAPI", "sasl.kerberos.service.name", "kafka", "sasl.jaas.config", kerberosModule + " required " + jaas + ";"}, says}
	}
	const wrong, check = "cannot be logged in to with Kerberos as ", "check the principal and its key in sasl.jaas.config, sasl.kerberos.service.name and "
	stranger := as("a service that the server does not know", `principal="ann" password="right"`, wrong+"ann@", check+r.Config, "kafcar/127.0.0.1")
	stranger.pairs[3] = "kafcar"
	return []wayIn{
		as("a keytab", fmt.Sprintf(`useKeyTab=true storeKey=true keyTab="%s" principal="ann@%s"`, r.keytab, r.Realm)),
		as("a ticket cache", fmt.Sprintf(`useTicketCache=true ticketCache="%s"`, r.cache)),
		as("a password, in the default realm", `principal="ann" password="right"`),
		as("a wrong password", `principal="ann" password="mistaken"`, wrong+"ann@", check),
		as("a principal that the server does not know", `principal="bob" password="mistaken"`, wrong+"bob@", check),
		as("a keytab without the principal", fmt.Sprintf(`useKeyTab=true keyTab="%s" principal="bob@%s"`, r.keytab, r.Realm), wrong+"bob@", check),
		stranger,
	}
}

// mirrors runs a mirror in each lane for longer than a login holds.
func (r kerberosRealm) mirrors(t *testing.T, cluster *realkafka.Cluster, client *kafkatest.Client) {
	l := startLanes(t, client, "kerberos", cluster.BootstrapOf("KERBEROS"), fmt.Sprintf(`
security.protocol = SASL_PLAINTEXT
sasl.mechanism = GSSAPI
sasl.kerberos.service.name = kafka
sasl.jaas.config = %s required useKeyTab=true storeKey=true keyTab="%s" principal="ann@%s";
`, kerberosModule, r.keytab, r.Realm))
	l.send()
	l.arrive()
	for _, lane := range []string{"lane=raw", "lane=record"} {
		if !strings.Contains(l.Log(), lane) {
			t.Errorf("no task has %s", lane)
		}
	}
	starts := l.starts()
	for until := time.Now().Add(2 * kerberosSession); time.Now().Before(until); {
		l.send()
		l.arrive()
	}
	if said := l.connectionTroubles(); len(said) > 0 || l.starts() != starts {
		t.Errorf("%d tasks were started again, and this is said:\n%s", l.starts()-starts, strings.Join(said, "\n"))
	}
	l.stop()
}
