package cli_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"tributary/api"
	"tributary/connect/cli"
)

func TestLevelsOfLoggersAreSetForTheWorkerAndForAll(t *testing.T) {
	k, dir, ctx := cluster(t), t.TempDir(), t.Context()
	p := start(t, workerFile(t, dir, k.Bootstrap()))
	client := p.client(t)
	changed, err := client.SetLoggerLevel(ctx, "tributary.rest", "debug")
	if err != nil || !slices.Equal(changed, []string{"tributary.rest"}) {
		t.Fatalf("changed %v, %v", changed, err)
	}
	level, err := client.LoggerLevel(ctx, "tributary.rest")
	if err != nil || level.Level != "DEBUG" || level.LastModified == nil {
		t.Errorf("%+v, %v", level, err)
	}
	eventually(t, "the worker is healthy", func() bool {
		health, err := client.Health(ctx)
		return err == nil && health.Status == "healthy"
	})
	if err := client.SetClusterLoggerLevel(ctx, "tributary.connect", "WARN"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the level of all workers is this one's, too", func() bool {
		levels, err := client.Loggers(ctx)
		return err == nil && levels["tributary.connect.herder"].Level == "WARN" && levels["root"].Level == "INFO" && levels["tributary.rest"].Level == "DEBUG"
	})
	p.stop()
	p.exit(t)
}

func TestPropertiesOfTheRESTServerTakeEffect(t *testing.T) {
	k, dir := cluster(t), t.TempDir()
	p := start(t, workerFile(t, dir, k.Bootstrap(), "admin.listeners=", "access.control.allow.origin=http://a.example", "response.http.headers.config=set X-Frame-Options:DENY"))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.client(t).BaseURL+"/admin/loggers", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "http://a.example")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if h := response.Header; response.StatusCode != 404 || h.Get("Access-Control-Allow-Origin") != "http://a.example" || h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("%s %v", response.Status, h)
	}
	p.stop()
	p.exit(t)

	expectFailure(t, cli.ExitConfig, `response.http.headers.config has the entry "drop X:y"`, workerFile(t, t.TempDir(), "127.0.0.1:1", "response.http.headers.config=drop X:y"))
	expectFailure(t, cli.ExitConfig, `connector.client.config.override.policy is "Some"`, workerFile(t, t.TempDir(), "127.0.0.1:1", "connector.client.config.override.policy=Some"))
	expectFailure(t, cli.ExitConfig, `for configuration admin.listeners`, workerFile(t, t.TempDir(), "127.0.0.1:1", "admin.listeners=nowhere"))
}

func TestValidationKnowsTheWorkersConverterAndItsOverridePolicy(t *testing.T) {
	k, dir, ctx := cluster(t), t.TempDir(), t.Context()
	p := start(t, workerFile(t, dir, k.Bootstrap(), "connector.client.config.override.policy=None"))
	client := p.client(t)
	var infos api.ConfigInfos
	config := map[string]string{"name": "c", "connector.class": "CounterConnector", "topic": "numbers", "count": "1", "producer.override.acks": "1"}
	eventually(t, "the worker validates", func() (ok bool) {
		var err error
		infos, err = client.Validate(ctx, "CounterConnector", config)
		return err == nil
	})
	values := map[string]api.ConfigInfo{}
	for _, c := range infos.Configs {
		values[c.Value.Name] = c
	}
	if d := values["key.converter"].Definition.DefaultValue; d == nil || *d != "org.apache.kafka.connect.storage.StringConverter" {
		t.Errorf("key.converter: %+v", values["key.converter"].Definition)
	}
	want := "The 'None' policy does not allow 'acks' to be overridden in the connector configuration."
	if got := values["producer.override.acks"].Value.Errors; infos.ErrorCount != 1 || !slices.Equal(got, []string{want}) {
		t.Errorf("%d errors, %v", infos.ErrorCount, got)
	}
	var refused *api.Error
	_, err := client.CreateConnector(ctx, api.CreateConnectorRequest{Name: "c", Config: api.Config(config)})
	if !errors.As(err, &refused) || refused.Code != 400 || refused.Message != "Connector configuration is invalid and contains the following 1 error(s):\n"+want+
		"\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`" {
		t.Errorf("create: %v", err)
	}
	p.stop()
	p.exit(t)
}
