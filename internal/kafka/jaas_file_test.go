package kafka

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const jaasFile = `
// What the broker uses.
KafkaServer { org.apache.kafka.common.security.plain.PlainLoginModule required username="broker" password="b"; };
KafkaClient {
  org.apache.kafka.common.security.scram.ScramLoginModule required
    username="alice" password="s3;cret}";
  org.apache.kafka.common.security.plain.PlainLoginModule optional username="bob" password='p';
};
Empty { };
`

func TestSectionsOfAJAASFileAreReadAsJavaReadsThem(t *testing.T) {
	got, err := parseJAASFile(jaasFile)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]LoginModule{
		"KafkaServer": {{"org.apache.kafka.common.security.plain.PlainLoginModule", map[string]string{"username": "broker", "password": "b"}}},
		"KafkaClient": {
			{"org.apache.kafka.common.security.scram.ScramLoginModule", map[string]string{"username": "alice", "password": "s3;cret}"}},
			{"org.apache.kafka.common.security.plain.PlainLoginModule", map[string]string{"username": "bob", "password": "p"}},
		},
		"Empty": {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWrongJAASFilesAreSaidWithoutWhatTheyHold(t *testing.T) {
	for text, want := range map[string]string{
		`KafkaClient { a.B required password="secret"; }`:       "must end with a semicolon",
		`KafkaClient a.B required password="secret";`:           "in braces",
		`A { a.B required password="secret"; }; A { };`:         "the section A is there twice",
		`A { a.B required password="secret";`:                   "closing brace",
		`A { a.B password="secret"; };`:                         "section A: a login module must be followed by its control flag",
		`A { a.B required password=secret words="and" more; };`: "section A: the value of",
	} {
		_, err := parseJAASFile(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestKafkaOptsNameTheJAASFile(t *testing.T) {
	for options, want := range map[string]string{
		"": "",
		"-Xmx1g -Djava.security.auth.login.config=/etc/kafka/jaas.conf -Da=b":              "/etc/kafka/jaas.conf",
		"-Djava.security.auth.login.config==/a/b":                                          "/a/b",
		"-Djava.security.auth.login.config=file:/a/b":                                      "/a/b",
		"-Djava.security.auth.login.config=file:///a/b":                                    "/a/b",
		"-Djava.security.auth.login.config=/first -Djava.security.auth.login.config=/last": "/last",
	} {
		if got := loginConfigFile(options); got != want {
			t.Errorf("%s: %q", options, got)
		}
	}
}

func TestALoginComesFromTheJAASFileOfKafkaOptsWhereTheConfigurationHasNone(t *testing.T) {
	file := write(t, "jaas.conf", []byte(jaasFile))
	t.Setenv("KAFKA_OPTS", "-Djava.security.auth.login.config="+file)
	parse := func(pairs ...string) (*Config, error) {
		props := Props{"bootstrap.servers": "a:1", "security.protocol": "SASL_PLAINTEXT"}
		for i := 0; i < len(pairs); i += 2 {
			props[pairs[i]] = pairs[i+1]
		}
		return ParseConfig(RoleAdmin, props)
	}

	for mechanism, user := range map[string]string{"SCRAM-SHA-512": "alice", "PLAIN": "bob"} {
		c, err := parse("sasl.mechanism", mechanism)
		if err != nil {
			t.Fatal(err)
		}
		if c.Security.SASL.Username != user {
			t.Errorf("%s logs in as %s", mechanism, c.Security.SASL.Username)
		}
	}
	c, err := parse("sasl.mechanism", "PLAIN", "sasl.jaas.config", `org.apache.kafka.common.security.plain.PlainLoginModule required username="own" password="x";`)
	if err != nil || c.Security.SASL.Username != "own" {
		t.Errorf("the configuration's own login does not win: %v, %v", c, err)
	}
	if _, err = parse("sasl.mechanism", "GSSAPI"); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "GSSAPI") || strings.Contains(err.Error(), "s3") {
		t.Errorf("a mechanism that the file does not have: %v", err)
	}
}

func TestTheKerberosConfigurationIsWhereJavaLooksForIt(t *testing.T) {
	for _, c := range []struct{ options, variable, want string }{
		{"", "", "/etc/krb5.conf"},
		{"", "/v/krb5.conf", "/v/krb5.conf"},
		{"-Xmx1g -Djava.security.krb5.conf=/o/krb5.conf -Da=b", "/v/krb5.conf", "/o/krb5.conf"},
		{"-Djava.security.krb5.conf=/o/one -Djava.security.krb5.conf=/o/two", "", "/o/two"},
	} {
		t.Setenv("KAFKA_OPTS", c.options)
		t.Setenv("KRB5_CONFIG", c.variable)
		cfg, err := ParseConfig(RoleAdmin, Props{
			"bootstrap.servers": "a:1", "security.protocol": "SASL_SSL", "sasl.kerberos.service.name": "kafka",
			"sasl.jaas.config": `com.sun.security.auth.module.Krb5LoginModule required principal="u@R" password="p";`,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Security.SASL.Kerberos.ConfigFile; got != c.want {
			t.Errorf("%q and %q lead to %s, want %s", c.options, c.variable, got, c.want)
		}
	}
}
