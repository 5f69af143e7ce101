package herder

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/connect/worker"
)

// Validate checks a connector's configuration against the definitions of the
// framework and of the connector. All violations are one *BadRequestError, whose
// text never shows the value of a password.
func Validate(plugins *plugin.Registry, config map[string]string) error {
	class := strings.TrimSpace(config["connector.class"])
	if class == "" {
		return &BadRequestError{Message: "Connector config contains no connector type: set connector.class"}
	}
	instance, p, err := plugins.NewConnector(class)
	if err != nil {
		return &BadRequestError{Message: err.Error()}
	}
	// The connector's own definition of a key replaces the framework's.
	own := instance.ConfigDef().Keys()
	keys := make([]connect.ConfigKey, len(own))
	for i, k := range own {
		keys[i] = *k
	}
	var violations []string
	for _, v := range worker.ConnectorDef(p.Kind).With(keys...).Parse(config) {
		violations = append(violations, v.Errors...)
	}
	if validator, ok := instance.(connect.ConfigValidator); ok {
		further := validator.ValidateConfig(config)
		for _, key := range slices.Sorted(maps.Keys(further)) {
			violations = append(violations, further[key]...)
		}
	}
	if len(violations) == 0 {
		return nil
	}
	return &BadRequestError{Message: fmt.Sprintf(
		"Connector configuration is invalid and contains the following %d error(s):\n%s\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`",
		len(violations), strings.Join(violations, "\n"))}
}
