package registry_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"tributary/connect"
	"tributary/connect/converter/avro"
	"tributary/connect/converter/jsonschema"
	"tributary/connect/converter/protobuf"
)

func newRegistry(t *testing.T, opts ...srfake.Option) *srfake.Registry {
	t.Helper()
	r := srfake.New(opts...)
	t.Cleanup(r.Close)
	return r
}

func configure(c connect.Converter, isKey bool, settings ...string) error {
	config := map[string]string{}
	for _, s := range settings {
		k, v, _ := strings.Cut(s, "=")
		config[k] = v
	}
	return c.Configure(config, isKey)
}

func newAvro(t *testing.T, isKey bool, settings ...string) *avro.Converter {
	t.Helper()
	c := new(avro.Converter)
	if err := configure(c, isKey, settings...); err != nil {
		t.Fatal(err)
	}
	return c
}

// requests notes what a registry was asked.
type requests struct {
	mu   sync.Mutex
	seen []string
}

func (q *requests) note(_ http.ResponseWriter, r *http.Request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seen = append(q.seen, r.Method+" "+r.URL.Path)
	return false
}

func (q *requests) taken() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := strings.Join(q.seen, ", ")
	q.seen = nil
	return out
}

func row(t *testing.T, name string, n int32) (*connect.Schema, *connect.StructValue) {
	t.Helper()
	s := connect.StructOf(connect.Field{Name: "n", Schema: connect.Int32Schema}).WithName(name)
	v := connect.NewStruct(s)
	if err := v.PutAt(0, n); err != nil {
		t.Fatal(err)
	}
	return s, v
}

func TestEachSchemaIsAskedForOnce(t *testing.T) {
	r := newRegistry(t)
	var asked requests
	r.Intercept(asked.note)
	c := newAvro(t, false, "schema.registry.url="+r.URL())
	var last []byte
	for n := range int32(3) {
		s, v := row(t, "R", n) // an equal schema, but not the same
		var err error
		if last, err = c.FromConnectData("t", nil, s, v); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := asked.taken(), "POST /subjects/t-value/versions"; got != want {
		t.Errorf("writing asked %s, want %s", got, want)
	}
	for range 3 {
		if _, v, err := c.ToConnectData("t", nil, last); err != nil || fmt.Sprint(v) != "Struct{n=2}" {
			t.Fatalf("got %v, %v", v, err)
		}
	}
	if got, want := asked.taken(), "GET /schemas/ids/1, GET /schemas/ids/1/versions"; got != want {
		t.Errorf("reading asked %s, want %s", got, want)
	}
	// With room for one schema, two that alternate are asked for again and again.
	small := newAvro(t, false, "schema.registry.url="+r.URL(), "max.schemas.per.subject=1", "schemas.cache.config=1")
	for range 2 {
		for _, name := range []string{"R", "S"} {
			s, v := row(t, name, 1)
			if _, err := small.FromConnectData("t", nil, s, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := strings.Count(asked.taken(), "POST"); got != 4 {
		t.Errorf("asked %d times, want 4", got)
	}
}

func TestSubjectsAreCalledAsTheStrategySays(t *testing.T) {
	for _, c := range []struct {
		isKey         bool
		setting, want string
		needsAName    bool
	}{
		{false, "", "orders-value", false}, {true, "", "orders-key", false},
		{false, "value.subject.name.strategy=RecordNameStrategy", "com.acme.R", true},
		{false, "value.subject.name.strategy=io.confluent.kafka.serializers.subject.TopicRecordNameStrategy", "orders-com.acme.R", true},
		{true, "value.subject.name.strategy=RecordNameStrategy", "orders-key", false},
		{true, "key.subject.name.strategy=RecordNameStrategy", "com.acme.R", true},
	} {
		r := newRegistry(t)
		s, v := row(t, "com.acme.R", 1)
		own := newAvro(t, c.isKey, "schema.registry.url="+r.URL(), c.setting)
		data, err := own.FromConnectData("orders", nil, s, v)
		if err != nil {
			t.Fatal(err)
		}
		if !r.SubjectExists(c.want) {
			t.Errorf("%s: %s was not registered", c.setting, c.want)
		}
		if _, got, err := own.ToConnectData("orders", nil, data); err != nil || fmt.Sprint(got) != "Struct{n=1}" {
			t.Errorf("%s: got %v, %v", c.setting, got, err)
		}
		_, err = own.FromConnectData("orders", nil, connect.StringSchema, "x")
		if needed := err != nil && strings.Contains(err.Error(), "needs a schema with a name of its own"); needed != c.needsAName {
			t.Errorf("%s: a text without a name gave %v", c.setting, err)
		}
	}
}

const basicAnn = "Basic YW5uOnMzY3JldDp4" // ann:s3cret:x

func TestEveryWayToLogIn(t *testing.T) {
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "me" || password != "s3cret" || r.FormValue("scope") != "a b" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"tok","token_type":"bearer","expires_in":3600}`)
	}))
	defer issuer.Close()
	for name, c := range map[string]struct {
		header   string
		settings []string
		userInfo string
	}{
		"url":       {basicAnn, nil, "ann:s3cret%3Ax@"},
		"user info": {basicAnn, []string{"basic.auth.credentials.source=USER_INFO", "basic.auth.user.info=ann:s3cret:x"}, ""},
		"old name":  {basicAnn, []string{"basic.auth.credentials.source=USER_INFO", "schema.registry.basic.auth.user.info=ann:s3cret:x"}, ""},
		"token":     {"Bearer t0ken", []string{"bearer.auth.token=t0ken"}, ""},
		"oauth": {"Bearer tok", []string{"bearer.auth.credentials.source=OAUTHBEARER", "bearer.auth.issuer.endpoint.url=" + issuer.URL,
			"bearer.auth.client.id=me", "bearer.auth.client.secret=s3cret", "bearer.auth.scope=a b", "bearer.auth.logical.cluster=lsrc-1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, srfake.WithAuth(c.header))
			var cluster string
			r.Intercept(func(_ http.ResponseWriter, q *http.Request) bool {
				cluster = q.Header.Get("target-sr-cluster")
				return false
			})
			url := strings.Replace(r.URL(), "http://", "http://"+c.userInfo, 1)
			s, v := row(t, "R", 1)
			if _, err := newAvro(t, false, append(c.settings, "schema.registry.url="+url)...).FromConnectData("t", nil, s, v); err != nil {
				t.Error(err)
			}
			if name == "oauth" && cluster != "lsrc-1" {
				t.Errorf("the cluster was %q", cluster)
			}
			_, err := newAvro(t, false, "schema.registry.url="+strings.Replace(r.URL(), "http://", "http://ann:wr0ng@", 1)).FromConnectData("t", nil, s, v)
			want := "Failed to serialize Avro data from topic t: registering the schema under subject t-value: the Schema Registry at " + r.URL() + " answered 403: "
			if _, ok := err.(*connect.DataError); !ok || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "wr0ng") {
				t.Errorf("got %T %v, want %s", err, err, want)
			}
		})
	}
	refused := newAvro(t, false, "schema.registry.url=http://127.0.0.1:1", "bearer.auth.credentials.source=OAUTHBEARER", "bearer.auth.issuer.endpoint.url="+issuer.URL, "bearer.auth.client.id=me", "bearer.auth.client.secret=wr0ng")
	s, v := row(t, "R", 1)
	if _, err := refused.FromConnectData("t", nil, s, v); err == nil || !strings.Contains(err.Error(), "the OAuth issuer answered 401") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("got %v", err)
	}
}

func TestARegistryBehindTLS(t *testing.T) {
	r := srfake.NewRegistry()
	server := httptest.NewTLSServer(r.Handler())
	defer server.Close()
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	s, v := row(t, "R", 1)
	trusting := newAvro(t, false, "schema.registry.url="+server.URL, "schema.registry.ssl.truststore.type=PEM", "schema.registry.ssl.truststore.certificates="+certificate)
	if _, err := trusting.FromConnectData("t", nil, s, v); err != nil {
		t.Error(err)
	}
	_, err := newAvro(t, false, "schema.registry.url="+server.URL).FromConnectData("t", nil, s, v)
	if err == nil || !strings.Contains(err.Error(), "TLS handshake") || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}

func TestARegistryThatCannotBeReachedIsTriedAgain(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s, v := row(t, "R", 1)
	for name, c := range map[string]connect.Converter{"Avro": new(avro.Converter), "JSON": new(jsonschema.Converter), "Protobuf": new(protobuf.Converter)} {
		if err := configure(c, false, "schema.registry.url=http://bob:s3cret@"+gone); err != nil {
			t.Fatal(err)
		}
		_, err := c.FromConnectData("t", nil, s, v)
		_, _, readErr := c.ToConnectData("t", nil, []byte("\x00\x00\x00\x00\x07\x00"))
		for _, err := range []error{err, readErr} {
			retriable, ok := errors.AsType[*connect.RetriableError](err)
			if !ok || !strings.Contains(retriable.Error(), "the Schema Registry at http://"+gone+" cannot be reached: ") || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "bob") {
				t.Errorf("%s: got %T %v", name, err, err)
			}
		}
	}
	// What stands behind it in the list is asked instead.
	r := newRegistry(t)
	if _, err := newAvro(t, false, "schema.registry.url=http://"+gone+","+r.URL()).FromConnectData("t", nil, s, v); err != nil {
		t.Error(err)
	}
	// Trouble of its own passes, too, and is forgotten.
	trouble := true
	r.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		if trouble {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error_code":50002,"message":"no leader"}`)
		}
		return trouble
	})
	c := newAvro(t, false, "schema.registry.url="+r.URL())
	_, err = c.FromConnectData("u", nil, s, v)
	if _, ok := errors.AsType[*connect.RetriableError](err); !ok || !strings.Contains(err.Error(), "answered 503: no leader") {
		t.Errorf("got %T %v", err, err)
	}
	trouble = false
	if _, err := c.FromConnectData("u", nil, s, v); err != nil {
		t.Error(err)
	}
}

func TestASchemaThatTheRegistryRefusesFailsTheRecord(t *testing.T) {
	r := newRegistry(t)
	r.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodPost || !strings.HasSuffix(q.URL.Path, "/versions") {
			return false
		}
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"error_code":409,"message":"Schema being registered is incompatible with an earlier schema for subject \"t-value\""}`)
		return true
	})
	s, v := row(t, "R", 1)
	_, err := newAvro(t, false, "schema.registry.url="+r.URL()).FromConnectData("t", nil, s, v)
	want := `answered 409: Schema being registered is incompatible with an earlier schema for subject "t-value"`
	if _, ok := err.(*connect.DataError); !ok || !strings.Contains(err.Error(), want) {
		t.Errorf("got %T %v, want %s", err, err, want)
	}
	_, err = newAvro(t, false, "schema.registry.url="+r.URL(), "auto.register.schemas=false").FromConnectData("t", nil, s, v)
	want = "looking the schema up under subject t-value (auto.register.schemas=false): the Schema Registry at " + r.URL() + " answered 404"
	if _, ok := err.(*connect.DataError); !ok || !strings.Contains(err.Error(), want) {
		t.Errorf("got %T %v, want %s", err, err, want)
	}
	r.ClearInterceptors()
	if _, _, err := r.RegisterSchema("t-value", sr.Schema{Schema: `{"type":"record","name":"R","fields":[{"name":"n","type":"long"}]}`}); err != nil {
		t.Fatal(err)
	}
	data, err := newAvro(t, false, "schema.registry.url="+r.URL(), "auto.register.schemas=false", "use.schema.id=1").FromConnectData("t", nil, s, v)
	if err != nil || string(data) != "\x00\x00\x00\x00\x01\x02" {
		t.Errorf("got %x, %v", data, err)
	}
}

func TestWrongSettingsAreToldAtOnce(t *testing.T) {
	err := configure(new(avro.Converter), false, "schema.registry.url=registry", "auto.register.schemas=perhaps", "value.subject.name.strategy=MyStrategy",
		"basic.auth.credentials.source=SASL_INHERIT", "schemas.cache.config=0", "connect.meta.data=2", "ignore.default.for.nullables=true")
	for _, want := range []string{
		"Invalid value [registry] for configuration schema.registry.url: Each address must be such as http://registry:8081",
		"Invalid value perhaps for configuration auto.register.schemas", "Invalid value MyStrategy for configuration value.subject.name.strategy: It must be one of TopicNameStrategy",
		"Invalid value SASL_INHERIT for configuration basic.auth.credentials.source", "Invalid value 0 for configuration schemas.cache.config", "Invalid value 2 for configuration connect.meta.data",
		"Invalid value true for configuration ignore.default.for.nullables: It is not built in: a field that is null is written with its default where it has one",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, c := range []struct{ settings, want string }{
		{"", `Missing required configuration "schema.registry.url"`},
		{"schema.registry.url=http://r basic.auth.credentials.source=USER_INFO basic.auth.user.info=s3cret", "basic.auth.credentials.source=USER_INFO needs basic.auth.user.info to be user:password"},
		{"schema.registry.url=http://r bearer.auth.credentials.source=OAUTHBEARER bearer.auth.client.id=x", "needs bearer.auth.issuer.endpoint.url, bearer.auth.client.secret"},
		{"schema.registry.url=http://r proxy.host=p", "proxy.host is set, but proxy.port is not"},
		{"schema.registry.url=https://r schema.registry.ssl.truststore.location=/no/such schema.registry.ssl.truststore.password=s3cret", "schema.registry.ssl.truststore.location"},
		{"schema.registry.url=http://ann:s3cret@:80:80", "Invalid value"},
	} {
		for _, own := range []connect.Converter{new(avro.Converter), new(jsonschema.Converter), new(protobuf.Converter)} {
			err := configure(own, false, strings.Fields(c.settings)...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%T %s: got %v, want %s", own, c.settings, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%T: a secret stands in %v", own, err)
			}
		}
	}
}

func TestAnAvroSchemaMayReferToOthers(t *testing.T) {
	r := newRegistry(t)
	if _, _, err := r.RegisterSchema("money", sr.Schema{Schema: `{"type":"record","name":"Money","namespace":"x","fields":[{"name":"cents","type":"long"}]}`}); err != nil {
		t.Fatal(err)
	}
	id, _, err := r.RegisterSchema("t-value", sr.Schema{Schema: `{"type":"record","name":"Bill","fields":[{"name":"sum","type":"x.Money"}]}`, References: []sr.SchemaReference{{Name: "x.Money", Subject: "money", Version: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := newAvro(t, false, "schema.registry.url="+r.URL()).ToConnectData("t", nil, []byte{0, 0, 0, 0, byte(id), 14})
	if err != nil || fmt.Sprint(got) != "Struct{sum=Struct{cents=7}}" {
		t.Errorf("got %v, %v", got, err)
	}
}
