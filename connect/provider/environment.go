package provider

import (
	"errors"
	"os"

	"tributary/internal/jregex"
)

const allowlistParam = "allowlist.pattern"

// environment is EnvVarConfigProvider: the key is the name of an environment variable.
type environment struct {
	allowed *jregex.Pattern // nil allows every name
}

func newEnvironment(params map[string]string) (source, *paramError) {
	pattern, set := params[allowlistParam]
	if !set {
		return environment{}, nil
	}
	allowed, err := jregex.Compile(pattern)
	if err != nil {
		reason := err.Error()
		if syntax, ok := errors.AsType[*jregex.SyntaxError](err); ok {
			reason = syntax.Reason // the pattern is named already
		}
		return nil, &paramError{allowlistParam, pattern, "must be a Java regular expression for names of environment variables: " + reason}
	}
	return environment{allowed}, nil
}

func (e environment) lookup(path string, keys []string) (map[string]string, Reason, error) {
	if path != "" {
		return nil, MissingKey, errors.New("environment variables have no path; write ${provider:NAME}")
	}
	values := make(map[string]string, len(keys))
	for _, key := range keys {
		if e.allowed != nil {
			allowed, err := e.allowed.Match(key)
			if err != nil {
				return nil, MissingKey, err
			}
			if !allowed {
				continue
			}
		}
		if value, set := os.LookupEnv(key); set {
			values[key] = value
		}
	}
	return values, MissingKey, nil
}
