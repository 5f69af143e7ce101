package kafka

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/jcmturner/gokrb5/v8/client"
	krb5 "github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/twmb/franz-go/pkg/sasl/kerberos"
)

// Kerberos says where the ticket for a GSSAPI login comes from: a keytab, a ticket cache, or a
// password if both are empty.
type Kerberos struct {
	// User is the client's principal without its realm.
	User  string
	Realm string
	// ServiceName is the first part of the brokers' principals.
	ServiceName     string
	KeytabFile      string
	TicketCacheFile string
	Password        Secret
	// ConfigFile is the krb5.conf.
	ConfigFile string
}

// readKerberos maps the options of Java's Krb5LoginModule.
func readKerberos(v *values, jaas *jaasEntry) *Kerberos {
	on := func(name string) bool { return strings.EqualFold(jaas.options[name], "true") }
	k := &Kerberos{ServiceName: v.text("sasl.kerberos.service.name"), ConfigFile: kerberosConfigFile()}
	switch fromJAAS := jaas.options["serviceName"]; {
	case k.ServiceName == "":
		k.ServiceName = fromJAAS
	case fromJAAS != "" && fromJAAS != k.ServiceName:
		v.fail("sasl.kerberos.service.name", "contradicts the option serviceName of sasl.jaas.config")
	}
	if k.ServiceName == "" {
		v.fail("sasl.kerberos.service.name", "must be set; it is the first part of the brokers' Kerberos principals, often kafka")
	}
	k.User, k.Realm, _ = strings.Cut(jaas.options["principal"], "@")
	switch {
	case on("useKeyTab"):
		k.KeytabFile = strings.TrimPrefix(jaas.options["keyTab"], "file:")
		if k.KeytabFile == "" || k.User == "" {
			v.fail("sasl.jaas.config", "the options keyTab and principal must be set with useKeyTab=true")
		}
	case on("useTicketCache"):
		k.TicketCacheFile = ticketCache(jaas.options["ticketCache"])
		if k.User == "" {
			// The cache names the client; the library only insists on some name.
			k.User = "ticket-cache"
		}
	default:
		k.Password = Secret(jaas.options["password"])
		if k.User == "" || k.Password == "" {
			v.fail("sasl.jaas.config", "set useKeyTab=true with keyTab and principal, useTicketCache=true, or principal and password")
		}
	}
	if k.Realm == "" && !v.bad["sasl.jaas.config"] {
		conf, err := krb5.Load(k.ConfigFile)
		if err != nil || conf.LibDefaults.DefaultRealm == "" {
			v.fail("sasl.jaas.config", fmt.Sprintf("the option principal must name its realm (user@REALM), since %s gives no default realm", k.ConfigFile))
			return k
		}
		k.Realm = conf.LibDefaults.DefaultRealm
	}
	return k
}

// ticketCache finds the cache file as the Kerberos libraries do.
func ticketCache(option string) string {
	for _, name := range []string{option, os.Getenv("KRB5CCNAME")} {
		if name != "" {
			return strings.TrimPrefix(name, "FILE:")
		}
	}
	return "/tmp/krb5cc_" + strconv.Itoa(os.Getuid())
}

// kerberosConfigFile is where the krb5.conf is: where KAFKA_OPTS tells Java to look, else where Kerberos' own programs do.
func kerberosConfigFile() string {
	for _, file := range []string{javaFile(os.Getenv("KAFKA_OPTS"), "java.security.krb5.conf"), os.Getenv("KRB5_CONFIG")} {
		if file != "" {
			return file
		}
	}
	return "/etc/krb5.conf"
}

// begin begins a login to a broker with a ticket for it, for which the Kerberos server is asked.
func (k *Kerberos) begin(ctx context.Context, host string) (Login, []byte, error) {
	c, err := k.client()
	if err != nil {
		return nil, nil, err
	}
	defer c.Destroy() // once there is a ticket for the broker, the login needs it no more
	mechanism := kerberos.Auth{Client: c, Service: k.ServiceName}.AsMechanism()
	// The library insists on a port, and does nothing with it.
	return mechanism.Authenticate(ctx, net.JoinHostPort(host, "0"))
}

// client makes a client of the Kerberos server, as sarama does for its own logins.
func (k *Kerberos) client() (*client.Client, error) {
	conf, err := krb5.Load(k.ConfigFile)
	if err != nil {
		return nil, err
	}
	switch {
	case k.KeytabFile != "":
		keys, err := keytab.Load(k.KeytabFile)
		if err != nil {
			return nil, err
		}
		return client.NewWithKeytab(k.User, k.Realm, keys, conf), nil
	case k.TicketCacheFile != "":
		cache, err := credentials.LoadCCache(k.TicketCacheFile)
		if err != nil {
			return nil, err
		}
		return client.NewFromCCache(cache, conf)
	}
	return client.NewWithPassword(k.User, k.Realm, k.Password.Reveal(), conf), nil
}
