package integration

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"tributary/api"
	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// targetPassword is read by a configuration provider from the variable of this name.
const targetPassword = "TRIBUTARY_TEST_TARGET_PASSWORD"

// Every user has a password of its own, so that one that shows tells the way it took. Passwords come from a file, from
// the environment and, for the producer, straight from the connector's configuration, which alone may show it.
func TestNoSecretIsLoggedOrServedOrStored(t *testing.T) {
	t.Setenv(targetPassword, "planted-target")
	users := func(names ...string) (users []localkafka.User) {
		for _, name := range append([]string{"super"}, names...) {
			users = append(users, localkafka.User{Mechanism: "PLAIN", Name: name, Password: "planted-" + name, Super: true})
		}
		return users
	}
	source := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"orders": 1}, Users: users("source")})
	target := cluster.StartKafka(t, localkafka.Options{Users: users("worker", "target", "producer")})
	source.Produce("orders", cluster.Numbered(0, 10, 1)...)
	file := writeFile(t, "secrets.properties", []byte("worker=planted-worker\nsource=planted-source\nmistaken=planted-mistaken\nheader=planted-header\n"))
	reference := func(key string) string { return "${file:" + file + ":" + key + "}" }
	login := func(prefix, user, password string) map[string]string {
		return map[string]string{
			prefix + "security.protocol": "SASL_PLAINTEXT", prefix + "sasl.mechanism": "PLAIN",
			prefix + "sasl.jaas.config": fmt.Sprintf("org.apache.kafka.common.security.plain.PlainLoginModule required username=%q password=%q;", user, password),
		}
	}
	lines := []string{
		"config.providers=file,env",
		"config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider",
		"config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider",
		"config.providers.env.param.allowlist.pattern=" + targetPassword,
	}
	for _, prefix := range []string{"", "producer.", "admin."} {
		for key, value := range login(prefix, "worker", reference("worker")) {
			lines = append(lines, key+"="+value)
		}
	}
	w := cluster.Start(t, cluster.Distributed, workerFile(target, lines...))
	awaitHealthy(t, w)
	w.API().Do("log everything", func(ctx context.Context, c *api.Client) error {
		_, err := c.SetLoggerLevel(ctx, "root", "TRACE")
		return err
	})

	config := mirrorConfig(source, target, 1)
	for _, more := range []map[string]string{
		login("source.cluster.", "source", reference("source")),
		login("target.cluster.", "target", "${env:"+targetPassword+"}"),
		login("producer.override.", "producer", "planted-producer"),
		{
			"topics": "orders", "transforms": "mark", "transforms.mark.type": "InsertHeader",
			"transforms.mark.header": "mark", "transforms.mark.value.literal": reference("header"),
		},
	} {
		for key, value := range more {
			config[key] = value
		}
	}
	w.API().Create("mirror", config)
	// The passwords are in use: nothing arrives without them, and the header is what its reference stands for.
	arrived := target.AwaitRecords("source.orders", 10, cluster.Patience)[0]
	requireEqual(t, "header", []kafkatest.Header{{Key: "mark", Value: []byte("planted-header")}}, arrived[0].Headers)

	wrong := mirrorConfig(source, target, 1)
	for _, more := range []map[string]string{login("source.cluster.", "source", reference("mistaken")), login("target.cluster.", "target", "${env:"+targetPassword+"}")} {
		for key, value := range more {
			wrong[key] = value
		}
	}
	w.API().Create("refused", wrong)
	w.Log.Await("[refused]", "during the login", source.Bootstrap())
	invalid := map[string]string{"tasks.max": reference("header"), "sync.topic.acls.enabled": reference("mistaken")}
	for key, value := range config {
		if invalid[key] == "" {
			invalid[key] = value
		}
	}
	refusal := w.API().Refused(func(ctx context.Context, c *api.Client) error {
		_, _, err := c.PutConfig(ctx, "invalid", invalid)
		return err
	})
	requireText(t, refusal.Message, "tasks.max", "sync.topic.acls.enabled")

	served := everyAnswer(t, w, "mirror")
	served["the refusal"] = refusal.Message
	body, err := json.Marshal(invalid)
	if err != nil {
		t.Fatal(err)
	}
	served["the validation"] = ask(t, http.MethodPut, w.URL()+"/connector-plugins/MirrorSourceConnector/config/validate", string(body))
	requireText(t, served["the validation"], "tasks.max", "[hidden]")
	requireText(t, served["/connectors/mirror/config"], reference("source"), "${env:"+targetPassword+"}")
	requireText(t, served["/connectors/mirror/tasks"], reference("source"), "${env:"+targetPassword+"}")
	w.API().Do("restart", func(ctx context.Context, c *api.Client) error {
		_, err := c.RestartWithTasks(ctx, "mirror", false)
		return err
	})
	w.API().AwaitState("mirror", "RUNNING", 1)
	w.Stop()
	served["the log"] = strings.Join(w.Log.Lines(), "\n")
	requireText(t, served["the log"], "DEBUG", "path=/connectors/mirror/config")
	for _, topic := range []string{"connect-configs", "connect-offsets", "connect-status"} {
		for _, partition := range target.ReadTopic(topic, kafkatest.ReadUncommitted) {
			for _, record := range partition {
				served[topic] += fmt.Sprintf("%s=%s\n", record.Key, record.Value)
			}
		}
		requireText(t, served[topic], "mirror")
	}

	own := []string{"/connectors/mirror", "/connectors/mirror/config", "/connectors/mirror/tasks", "/connectors", "connect-configs"}
	for where, text := range served {
		if slices.Contains(own, where) { // as it was written, as in Java
			text = strings.ReplaceAll(text, "planted-producer", "")
		}
		for line := range strings.Lines(text) {
			if strings.Contains(line, "planted-") {
				t.Errorf("%s shows a secret: %s", where, line)
			}
		}
	}
}

// everyAnswer asks for everything that can be read of a worker with this connector, by its description of itself.
func everyAnswer(t *testing.T, w *cluster.Worker, connector string) map[string]string {
	t.Helper()
	var description struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(ask(t, http.MethodGet, w.URL()+"/openapi.json", "")), &description); err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for path, methods := range description.Paths {
		if methods["get"] == nil {
			continue
		}
		path = strings.NewReplacer("{connector}", connector, "{task}", "0", "{plugin}", "MirrorSourceConnector", "{logger}", "root").Replace(path)
		query := ""
		if path == "/connectors" {
			query = "?expand=info&expand=status"
		}
		answers[path] = ask(t, http.MethodGet, w.URL()+path+query, "")
	}
	for _, path := range []string{"/metrics", "/connectors", "/connectors/mirror/offsets", "/connectors/mirror/tasks/0/status", "/admin/loggers"} {
		if answers[path] == "" {
			t.Errorf("nothing was read from %s", path)
		}
	}
	return answers
}

// ask gives the text of an answer, which must be 200.
func ask(t *testing.T, method, url, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s\n%s", method, url, response.Status, text)
	}
	return string(text)
}

// Secrets of every kind a client can have, each with a name of its own. None works but that of SCRAM, for what goes
// wrong is what gets talked about.
func TestNoSecretOfAnyKindIsShownWhateverGoesWrong(t *testing.T) {
	t.Parallel()
	source := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"orders": 1}, Users: []localkafka.User{
		{Mechanism: "SCRAM-SHA-512", Name: "ann", Password: "planted-scram", Super: true},
	}})
	target := cluster.StartKafka(t, localkafka.Options{})
	source.Produce("orders", cluster.Numbered(0, 10, 1)...)
	stranger := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(stranger.Close)
	stranger.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	keyStore, trustStore := pemOf(t, selfSigned(t).Certificates[0])
	key, _, _ := strings.Cut(string(keyStore), "-----BEGIN CERTIFICATE")
	planted := "planted-"
	keyLines := strings.Split(strings.TrimSpace(key), "\n")
	keyLine := keyLines[1] // of the base64
	basic := base64.StdEncoding.EncodeToString([]byte("ann:planted-oauth"))

	secrets := map[string]string{
		"scram": "planted-scram", "oauth": "planted-oauth", "store": "planted-store", "key": "planted-key", "trust": "planted-trust",
		"plain": "planted-plain", "registry": "ann:planted-registry", "pem": strings.ReplaceAll(key, "\n", "\\n\\\n"), "header": "planted-header",
	}
	var text strings.Builder
	for name, secret := range secrets {
		fmt.Fprintf(&text, "%s=%s\n", name, secret)
	}
	file := writeFile(t, "secrets.properties", []byte(text.String()))
	reference := func(key string) string { return "${file:" + file + ":" + key + "}" }
	w := cluster.Spawn(t, cluster.Distributed, workerFile(target,
		"config.providers=file", "config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider"))
	awaitHealthy(t, w)
	w.API().Do("log everything", func(ctx context.Context, c *api.Client) error {
		_, err := c.SetLoggerLevel(ctx, "root", "TRACE")
		return err
	})
	const module = "org.apache.kafka.common.security."
	keystore := writeFile(t, "keys.p12", []byte("no keystore"))
	jaas := func(class, options string) map[string]string {
		return map[string]string{"source.cluster.sasl.jaas.config": module + class + " required " + options + ";"}
	}
	connectors := map[string][]map[string]string{
		"mirror": {{"source.cluster.security.protocol": "SASL_PLAINTEXT", "source.cluster.sasl.mechanism": "SCRAM-SHA-512"},
			jaas("scram.ScramLoginModule", `username="ann" password="`+reference("scram")+`"`)},
		"plain": {{"source.cluster.security.protocol": "SASL_PLAINTEXT", "source.cluster.sasl.mechanism": "PLAIN"},
			jaas("plain.PlainLoginModule", `username="ann" password="`+reference("plain")+`"`)},
		"oauth": {{"source.cluster.security.protocol": "SASL_PLAINTEXT", "source.cluster.sasl.mechanism": "OAUTHBEARER", "source.cluster.sasl.oauthbearer.token.endpoint.url": "http://127.0.0.1:9/token"},
			jaas("oauthbearer.OAuthBearerLoginModule", `clientId="ann" clientSecret="`+reference("oauth")+`"`)},
		"pem": {{"source.cluster.security.protocol": "SSL", "source.cluster.ssl.keystore.type": "PEM", "source.cluster.ssl.keystore.key": reference("pem"),
			"source.cluster.ssl.keystore.certificate.chain": string(trustStore),
			"source.cluster.bootstrap.servers":              stranger.Listener.Addr().String()}},
		"wrong-pem": {{"source.cluster.security.protocol": "SSL", "source.cluster.ssl.keystore.type": "PEM", "source.cluster.ssl.keystore.key": reference("pem"),
			"source.cluster.ssl.keystore.certificate.chain": "none", "source.cluster.ssl.key.password": reference("key")}},
		"store": {{"source.cluster.security.protocol": "SSL", "source.cluster.ssl.keystore.location": keystore, "source.cluster.ssl.keystore.password": reference("store"),
			"source.cluster.ssl.key.password": reference("key"), "source.cluster.ssl.truststore.location": keystore, "source.cluster.ssl.truststore.password": reference("trust")}},
		"broken-login": {{"source.cluster.security.protocol": "SASL_PLAINTEXT", "source.cluster.sasl.mechanism": "PLAIN"},
			jaas("plain.PlainLoginModule", "username=ann password="+reference("plain")+" "+reference("plain"))},
		"registry": {{"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.basic.auth.user.info": reference("registry"),
			"value.converter.schemas.enable": reference("header"), "tasks.max": reference("header")}},
	}
	shown := map[string]string{}
	created := map[string]bool{}
	for name, parts := range connectors {
		config := mirrorConfig(source, target, 1)
		config["topics"], config["source.cluster.alias"] = "orders", name
		for _, part := range parts {
			for key, value := range part {
				config[key] = value
			}
		}
		body, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		shown["validation of "+name] = ask(t, http.MethodPut, w.URL()+"/connector-plugins/MirrorSourceConnector/config/validate", string(body))
		status, answer := send(t, http.MethodPut, w.URL()+"/connectors/"+name+"/config", string(body))
		shown[fmt.Sprintf("creation of %s, %d", name, status)] = answer
		created[name] = status == http.StatusCreated
		_, shown["a patch of "+name] = send(t, http.MethodPatch, w.URL()+"/connectors/"+name+"/config", `{"tasks.max":"`+reference("header")+`"}`)
	}
	for name, wanted := range map[string]bool{"mirror": true, "plain": true, "oauth": true, "pem": true, "store": false, "wrong-pem": false, "broken-login": false, "registry": false} {
		if created[name] != wanted {
			t.Errorf("the connector %s: created %t, want %t", name, created[name], wanted)
		}
	}
	target.AwaitRecords("mirror.orders", 10, cluster.Patience)
	w.Log.Await("[plain]", "during the login")
	w.Log.Await("[oauth]", "does not offer sasl.mechanism")
	w.Log.Await("[pem]", "certificate")
	for path, answer := range everyAnswer(t, w, "mirror") {
		shown[path] = answer
	}
	for name := range connectors {
		for _, path := range []string{"", "/config", "/status", "/tasks", "/offsets", "/replication"} {
			_, shown[name+path] = send(t, http.MethodGet, w.URL()+"/connectors/"+name+path, "")
		}
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.PID()))
	if err != nil {
		t.Fatal(err)
	}
	shown["the process list"] = string(cmdline)
	w.Stop()
	shown["the log"] = strings.Join(w.Log.Lines(), "\n")
	requireText(t, shown["the log"], "DEBUG", "path=/connectors/plain/config")
	for where, text := range shown {
		for line := range strings.Lines(text) {
			for _, secret := range []string{planted, keyLine, basic} {
				if strings.Contains(line, secret) {
					t.Errorf("%s shows a secret: %.1000s", where, line)
				}
			}
		}
	}
}

// send gives status and text of an answer.
func send(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
