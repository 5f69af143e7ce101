package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/api"
	"tributary/connect/cli"
)

// The basic authentication of Java's worker: an extension, a JAAS file and a properties file.
func TestUsersOfJavasBasicAuthExtensionMayUseTheAPI(t *testing.T) {
	k, dir := cluster(t), t.TempDir()
	users := file(t, dir, "users.properties", "ops=s3cret")
	jaas := file(t, dir, "jaas.conf", `KafkaConnect { org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required file="`+users+`"; };`)
	t.Setenv("KAFKA_OPTS", "-Djava.security.auth.login.config="+jaas)
	p := start(t, workerFile(t, dir, k.Bootstrap(), "rest.extension.classes=org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension"))
	client := p.client(t)
	for authorization, want := range map[string]int{"": 401, "Basic b3BzOnMzY3JldA==": 200, "Basic b3BzOmd1ZXNz": 401, "Bearer s3cret": 401} {
		client.Authorization = authorization
		_, err := client.List(t.Context())
		code := 200
		if err != nil {
			code = err.(*api.Error).Code
		}
		if code != want {
			t.Errorf("%q: %v, want %d", authorization, err, want)
		}
	}
	p.stop()
	p.exit(t)
	if strings.Contains(p.out.String(), "s3cret") {
		t.Error("the password is in the log")
	}
}

func TestWrongSecurityOfTheRESTAPIIsSaidAtOnce(t *testing.T) {
	dir := t.TempDir()
	extension := "rest.extension.classes=org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension"
	jaas := filepath.Join(dir, "jaas.conf")
	t.Setenv("KAFKA_OPTS", "-Djava.security.auth.login.config="+jaas)
	for name, c := range map[string]struct {
		jaas  string
		lines []string
		want  string
	}{
		"an extension that is not there": {"", []string{"rest.extension.classes=com.example.Guard"}, "There is no REST extension com.example.Guard here"},
		"two files of users":             {"", []string{extension, "rest.basic.auth.users.file=/etc/users"}, "cannot be combined"},
		"a file that is not there":       {"", []string{"rest.basic.auth.users.file=/nowhere/users"}, "/nowhere/users"},
		"a JAAS file without a section":  {"KafkaClient { a.B required; };", []string{extension}, "has no section KafkaConnect"},
		"another login module":           {"KafkaConnect { com.example.Ldap required url=\"x\"; };", []string{extension}, "exactly one login module"},
		"no file in the JAAS file":       {"KafkaConnect { org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required; };", []string{extension}, `needs the option file`},
		"https without a certificate":    {"", []string{"listeners=https://127.0.0.1:0"}, "needs a certificate"},
		"a store that is not there":      {"", []string{"listeners.https.ssl.keystore.location=/nowhere.jks", "listeners.https.ssl.keystore.password=x"}, "listeners.https.ssl.keystore.location"},
		"a wrong client auth":            {"", []string{"ssl.client.auth=maybe"}, "ssl.client.auth"},
	} {
		if err := os.WriteFile(jaas, []byte(c.jaas), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			expectFailure(t, cli.ExitConfig, c.want, workerFile(t, t.TempDir(), "127.0.0.1:1", c.lines...))
		})
	}
}
