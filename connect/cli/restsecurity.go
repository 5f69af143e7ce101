package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/rest"
)

// The keys of the REST API's security.
const (
	restExtensionsKey = "rest.extension.classes"
	usersFileKey      = "rest.basic.auth.users.file"
	httpsPrefix       = "listeners.https."
	adminHTTPSPrefix  = "admin.listeners.https."
)

const (
	basicAuthExtension = "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension"
	propertyFileLogin  = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule"
	// loginSection is the section of a JAAS file that Java's extension reads.
	loginSection = "KafkaConnect"
)

// restKeys are those of a REST API's security, which every kind of process has.
var restKeys = []connect.ConfigKey{
	{Name: restExtensionsKey, Type: connect.TypeList, Default: []string{}, Importance: connect.Low, Validate: knownExtensions,
		Doc: "Extensions of the REST API. " + basicAuthExtension + " asks for a user and a password, with the users that the JAAS file of KAFKA_OPTS names."},
	{Name: usersFileKey, Type: connect.TypeString, Importance: connect.Medium, Validate: connect.NonEmpty,
		Doc: "File of the users that may use the REST API, a line each: name:bcrypt-hash or name:bcrypt-hash:role with the role admin or read-only. It is read again when it changes."},
	{Name: "ssl.client.auth", Type: connect.TypeString, Default: "none", Importance: connect.Low, Validate: connect.OneOfFold("none", "requested", "required"),
		Doc: "Whether clients of the REST API have to show a certificate, where listeners.https. has no keys: none, requested or required."},
}

// knownExtensions refuses what is not there: an extension may be what protects the API.
func knownExtensions(v any) string {
	list, _ := v.([]string)
	for _, class := range list {
		if class != basicAuthExtension {
			return fmt.Sprintf("There is no REST extension %s here; built in is %s", class, basicAuthExtension)
		}
	}
	return ""
}

// RESTSecurity reads what the properties of a process say of TLS and of the users of
// its REST API. The error holds everything that is wrong.
func RESTSecurity(properties map[string]string, log *slog.Logger) (func(*rest.Options), error) {
	var errs *multierror.Error
	values, err := connect.NewConfigDef(restKeys...).ParseValues(properties)
	if err != nil {
		return nil, err
	}
	users, err := restUsers(values, named(log, logREST))
	if err != nil {
		errs = multierror.Append(errs, err)
	}
	main, forward, err := serviceTLS(properties, httpsPrefix, "listeners", log)
	if err != nil {
		errs = multierror.Append(errs, err)
	}
	admin, _, err := serviceTLS(properties, adminHTTPSPrefix, "admin.listeners", log)
	if err != nil {
		errs = multierror.Append(errs, err)
	}
	if err := errs.ErrorOrNil(); err != nil {
		return nil, err
	}
	return func(o *rest.Options) {
		o.TLS, o.AdminTLS = main, admin
		o.Forward = rest.NewForwarder(forward)
		if users != nil {
			o.Users = users
		}
	}, nil
}

// handshakeLimit bounds connecting to another worker, with the handshake.
const handshakeLimit = 20 * time.Second

// serviceTLS makes the identity of the https listeners that the key names, nil if there
// are none, and the way to other workers' listeners. The ssl. keys behind prefix count,
// or if there is not one, those without.
func serviceTLS(properties map[string]string, prefix, listeners string, log *slog.Logger) (*tls.Config, rest.DialTLS, error) {
	own := false
	for key := range properties {
		own = own || strings.HasPrefix(key, prefix)
	}
	if !own {
		prefix = ""
	}
	service, err := kafka.ParseServiceTLS(properties, prefix, log)
	if err != nil {
		return nil, nil, err
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return service.DialContext(ctx, network, addr, handshakeLimit)
	}
	for _, listener := range List(properties[listeners]) {
		if strings.HasPrefix(strings.ToLower(listener), "https:") {
			identity, err := service.Server()
			if err != nil {
				return nil, nil, fmt.Errorf("%s=%s: %w, behind %q or without it", listeners, listener, err, prefix)
			}
			return identity, dial, nil
		}
	}
	return nil, dial, nil
}

// restUsers are those that the configuration names, nil if everybody may use the API.
func restUsers(v connect.Values, log *slog.Logger) (*rest.UserFile, error) {
	file, extension := v.String(usersFileKey), len(v.List(restExtensionsKey)) > 0
	switch {
	case file != "" && extension:
		return nil, fmt.Errorf("%s=%s cannot be combined with %s: choose one file of users", usersFileKey, file, restExtensionsKey)
	case file != "":
		users, err := rest.NewUserFile(file, log)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", usersFileKey, err)
		}
		return users, nil
	case !extension:
		return nil, nil
	}
	file, err := propertyLoginFile()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", restExtensionsKey, err)
	}
	users, err := rest.NewPropertyUserFile(file, log)
	if err != nil {
		return nil, fmt.Errorf("%s: the file of %s: %w", restExtensionsKey, propertyFileLogin, err)
	}
	return users, nil
}

// propertyLoginFile finds Java's file of users through the JAAS file.
func propertyLoginFile() (string, error) {
	modules, jaas, err := kafka.LoginModules(loginSection)
	switch {
	case err != nil:
		return "", err
	case jaas == "":
		return "", errors.New("users come from a JAAS file: KAFKA_OPTS must name it with -Djava.security.auth.login.config=FILE")
	case len(modules) == 0:
		return "", fmt.Errorf("the JAAS file %s has no section %s", jaas, loginSection)
	case len(modules) > 1 || modules[0].Class != propertyFileLogin:
		return "", fmt.Errorf("section %s of the JAAS file %s must have exactly one login module, %s", loginSection, jaas, propertyFileLogin)
	case modules[0].Options["file"] == "":
		return "", fmt.Errorf(`section %s of the JAAS file %s: the login module needs the option file="…"`, loginSection, jaas)
	}
	return modules[0].Options["file"], nil
}
