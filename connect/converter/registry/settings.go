package registry

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"tributary/connect"
)

// The keys that the code reads in several places.
const (
	urlKey        = "schema.registry.url"
	autoRegister  = "auto.register.schemas"
	useLatest     = "use.latest.version"
	latestStrict  = "latest.compatibility.strict"
	useID         = "use.schema.id"
	idStrict      = "id.compatibility.strict"
	normalize     = "normalize.schemas"
	latestTTL     = "latest.cache.ttl.sec"
	perSubject    = "max.schemas.per.subject"
	basicSource   = "basic.auth.credentials.source"
	basicUserInfo = "basic.auth.user.info"
	oldUserInfo   = "schema.registry.basic.auth.user.info"
	bearerSource  = "bearer.auth.credentials.source"
	bearerToken   = "bearer.auth.token"
	issuer        = "bearer.auth.issuer.endpoint.url"
	clientID      = "bearer.auth.client.id"
	clientSecret  = "bearer.auth.client.secret"
	scope         = "bearer.auth.scope"
	logical       = "bearer.auth.logical.cluster"
	identityPool  = "bearer.auth.identity.pool.id"
	proxyHost     = "proxy.host"
	proxyPort     = "proxy.port"
	connectLimit  = "http.connect.timeout.ms"
	readLimit     = "http.read.timeout.ms"
	sslPrefix     = "schema.registry."

	// CacheSize is how many schemas a converter remembers.
	CacheSize = "schemas.cache.config"
)

// Keys declares the settings that every converter with a registry has.
func Keys() []connect.ConfigKey {
	key := func(name string, t connect.ConfigType, def any, i connect.Importance, doc string) connect.ConfigKey {
		return connect.ConfigKey{Name: name, Type: t, Default: def, Importance: i, Doc: doc}
	}
	checked := func(k connect.ConfigKey, check func(any) string) connect.ConfigKey {
		k.Validate = check
		return k
	}
	keys := []connect.ConfigKey{
		{Name: "converter.type", Type: connect.TypeString, Required: true, Importance: connect.Low,
			Validate: connect.OneOf("key", "value", "header"), Doc: "Whether the converter is for keys or values; the worker sets it."},
		{Name: urlKey, Type: connect.TypeList, Required: true, Importance: connect.High, Validate: checkURLs,
			Doc: "Addresses of the Schema Registry, tried in turn, such as http://registry:8081."},
		checked(key("ignore.default.for.nullables", connect.TypeBoolean, false, connect.Medium,
			"Confluent's setting for fields that are null and have a default: the default is written. To keep the null is not built in."), keptNull),
		checked(key(CacheSize, connect.TypeInt, int64(1000), connect.Low, "How many schemas the converter remembers."), connect.AtLeast(1)),
		key(perSubject, connect.TypeInt, int64(1000), connect.Low, "How many schemas of the registry the converter remembers."),
		key(autoRegister, connect.TypeBoolean, true, connect.Medium, "Whether schemas that the registry does not know are registered. Otherwise they must be there."),
		key(normalize, connect.TypeBoolean, false, connect.Low, "Whether the registry brings schemas into a normal form before it compares them."),
		key(useLatest, connect.TypeBoolean, false, connect.Low, "Whether values are written with the subject's latest schema instead of their own. It counts only with auto.register.schemas=false."),
		key(latestStrict, connect.TypeBoolean, true, connect.Low, "Whether a value is refused when its own schema does not fit the latest one."),
		checked(key(useID, connect.TypeInt, int64(-1), connect.Low, "Id of the schema that all values are written with; -1 is none. It counts only with auto.register.schemas=false."), connect.AtLeast(-1)),
		key(idStrict, connect.TypeBoolean, true, connect.Low, "Whether a value is refused when its own schema does not fit the one of use.schema.id."),
		key(latestTTL, connect.TypeLong, int64(-1), connect.Low, "After how many seconds the latest schema of a subject is asked for again; -1 is never."),
		key("key.subject.name.strategy", connect.TypeClass, topicName, connect.Medium, "How the subject of keys is called: TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy."),
		key("value.subject.name.strategy", connect.TypeClass, topicName, connect.Medium, "How the subject of values is called: TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy."),
		checked(key(basicSource, connect.TypeString, "URL", connect.Medium, "Where user and password come from: URL, the address, or USER_INFO, basic.auth.user.info."), connect.OneOf("URL", "USER_INFO")),
		key(basicUserInfo, connect.TypePassword, "", connect.Medium, "User and password, with a colon between."),
		key(oldUserInfo, connect.TypePassword, "", connect.Medium, "The former name of basic.auth.user.info."),
		checked(key(bearerSource, connect.TypeString, "STATIC_TOKEN", connect.Medium, "Where bearer tokens come from: STATIC_TOKEN, bearer.auth.token, or OAUTHBEARER, the issuer's endpoint."), connect.OneOf("STATIC_TOKEN", "OAUTHBEARER")),
		key(bearerToken, connect.TypePassword, "", connect.Medium, "The bearer token."),
		key(issuer, connect.TypeString, nil, connect.Medium, "Token endpoint of the OAuth issuer."),
		key(clientID, connect.TypeString, nil, connect.Medium, "Id of the client at the OAuth issuer."),
		key(clientSecret, connect.TypePassword, nil, connect.Medium, "Secret of the client at the OAuth issuer."),
		key(scope, connect.TypeString, nil, connect.Medium, "Scope that the token is asked for."),
		key(logical, connect.TypeString, nil, connect.Medium, "Cluster that requests with a bearer token name in the header target-sr-cluster."),
		key(identityPool, connect.TypeString, nil, connect.Medium, "Identity pool that requests with a bearer token name in the header Confluent-Identity-Pool-Id."),
		key(proxyHost, connect.TypeString, "", connect.Low, "Host of a proxy before the registry."),
		key(proxyPort, connect.TypeInt, int64(-1), connect.Low, "Port of the proxy."),
		checked(key(connectLimit, connect.TypeInt, int64(60000), connect.Low, "Milliseconds in which a connection must be made."), connect.AtLeast(1)),
		checked(key(readLimit, connect.TypeInt, int64(60000), connect.Low, "Milliseconds in which an answer must be there."), connect.AtLeast(1)),
	}
	for i := range keys {
		if name := keys[i].Name; strings.HasSuffix(name, "subject.name.strategy") {
			keys[i].Validate = checkStrategy
		}
	}
	for _, name := range []string{
		"keystore.location", "keystore.type", "truststore.location", "truststore.type", "protocol", "enabled.protocols",
		"endpoint.identification.algorithm",
	} {
		keys = append(keys, key(sslPrefix+"ssl."+name, connect.TypeString, nil, connect.Medium, "As ssl."+name+" of Kafka's clients, for addresses with https."))
	}
	for _, name := range []string{"keystore.password", "key.password", "keystore.key", "keystore.certificate.chain", "truststore.password", "truststore.certificates"} {
		keys = append(keys, key(sslPrefix+"ssl."+name, connect.TypePassword, nil, connect.Medium, "As ssl."+name+" of Kafka's clients, for addresses with https."))
	}
	return keys
}

func checkURLs(v any) string {
	list, _ := v.([]string)
	if len(list) == 0 {
		return "It must hold at least one address, such as http://registry:8081"
	}
	for _, text := range list {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "Each address must be such as http://registry:8081 or https://registry"
		}
	}
	return ""
}

const (
	strategyPackage = "io.confluent.kafka.serializers.subject."
	topicName       = strategyPackage + "TopicNameStrategy"
	recordName      = strategyPackage + "RecordNameStrategy"
	topicRecordName = strategyPackage + "TopicRecordNameStrategy"
)

func checkStrategy(v any) string {
	if name, _ := v.(string); !slices.Contains([]string{topicName, recordName, topicRecordName}, strategyClass(name)) {
		return "It must be one of TopicNameStrategy, RecordNameStrategy, TopicRecordNameStrategy"
	}
	return ""
}

func strategyClass(name string) string {
	if !strings.Contains(name, ".") {
		return strategyPackage + name
	}
	return name
}

// subject is what the registry files a schema under. record is the schema's own name.
func (c *Client) subject(topic, record string) (string, error) {
	switch {
	case c.strategy == topicName && c.isKey:
		return topic + "-key", nil
	case c.strategy == topicName:
		return topic + "-value", nil
	case record == "":
		return "", fmt.Errorf("%s needs a schema with a name of its own, such as a record's; use TopicNameStrategy for others", c.strategy[len(strategyPackage):])
	case c.strategy == topicRecordName:
		return topic + "-" + record, nil
	}
	return record, nil
}

// withType adds converter.type, which only a worker sets.
func withType(config map[string]string, isKey bool) map[string]string {
	out := map[string]string{"converter.type": "value"}
	if isKey {
		out["converter.type"] = "key"
	}
	for k, v := range config {
		if k != "converter.type" || v != "" {
			out[k] = v
		}
	}
	return out
}

// keptNull refuses what would change values if it were ignored.
func keptNull(v any) string {
	if v == true {
		return "It is not built in: a field that is null is written with its default where it has one"
	}
	return ""
}
