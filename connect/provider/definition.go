package provider

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
)

// providersKey lists the names of the providers; what describes them stands below it.
const providersKey = "config.providers"

// javaPackage holds Java's built-in providers.
const javaPackage = "org.apache.kafka.common.config.provider."

// builtIn makes a provider from its params. An error says which param is wrong and why; param names
// it without the prefix.
var builtIn = map[string]func(param map[string]string) (source, *paramError){
	"DirectoryConfigProvider": newDirectory,
	"EnvVarConfigProvider":    newEnvironment,
	"FileConfigProvider":      newFile,
}

// IsProvider reports whether a class, or its name without package, is a provider's.
func IsProvider(class string) bool {
	_, known := builtIn[strings.TrimPrefix(class, javaPackage)]
	return known
}

// paramError is a param that a provider cannot use.
type paramError struct{ param, value, reason string }

// isDefinition says whether key describes providers.
func isDefinition(key string) bool {
	return key == providersKey || strings.HasPrefix(key, providersKey+".")
}

// New makes the providers that config.providers lists in props, the properties of a worker or of
// MirrorMaker; all other keys are ignored. Without providers the result leaves every value as it is.
// The error holds every mistake at once, each with its key, its value and what would be right.
func New(props map[string]string) (*Providers, error) {
	p := &Providers{sources: map[string]source{}, ttls: map[string]time.Duration{}}
	names, err := providerNames(props[providersKey])
	failures := multierror.Append(nil, err)
	for _, name := range names {
		s, ttl, err := newSource(name, props)
		if err != nil {
			failures = multierror.Append(failures, err)
			continue
		}
		p.sources[name] = s
		if ttl > 0 {
			p.ttls[name] = ttl
		}
	}
	if err := failures.ErrorOrNil(); err != nil {
		return nil, err
	}
	return p, nil
}

// providerNames splits the list of names. The names are good to go on with even if there is an error.
func providerNames(list string) ([]string, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var (
		names    []string
		failures *multierror.Error
	)
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
			failures = multierror.Append(failures, fmt.Errorf("%s: %q holds an empty name; separate the names of providers by single commas", providersKey, list))
		case slices.Contains(names, name):
			failures = multierror.Append(failures, fmt.Errorf("%s: %q names %s more than once; list each provider once", providersKey, list, name))
		default:
			names = append(names, name)
		}
	}
	return names, failures.ErrorOrNil()
}

// newSource makes the provider called name from the keys that describe it. ttl is 0 where its values
// count for ever.
func newSource(name string, props map[string]string) (s source, ttl time.Duration, err error) {
	classKey := providersKey + "." + name + ".class"
	class, set := props[classKey]
	if !set {
		return nil, 0, fmt.Errorf("%s: not set, though %s lists %s; set it to one of %s", classKey, providersKey, name, builtInClasses())
	}
	class = strings.TrimSpace(class)
	construct, known := builtIn[strings.TrimPrefix(class, javaPackage)]
	if !known {
		return nil, 0, fmt.Errorf("%s: %q is not a config provider known here; built in are %s", classKey, class, builtInClasses())
	}
	prefix := providersKey + "." + name + ".param."
	params := map[string]string{}
	for key, value := range props {
		if param, ok := strings.CutPrefix(key, prefix); ok && param != "" {
			params[param] = value
		}
	}
	if text, set := params[ttlParam]; set {
		millis, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil || millis < 1 || millis > math.MaxInt64/int64(time.Millisecond) {
			return nil, 0, fmt.Errorf("%s%s: %q must be a number of milliseconds, at least 1", prefix, ttlParam, text)
		}
		ttl = time.Duration(millis) * time.Millisecond
	}
	s, wrong := construct(params)
	if wrong != nil {
		return nil, 0, fmt.Errorf("%s%s: %q %s", prefix, wrong.param, wrong.value, wrong.reason)
	}
	return s, ttl, nil
}

// builtInClasses names what a class may be, for error messages.
func builtInClasses() string {
	simple := slices.Sorted(maps.Keys(builtIn))
	full := make([]string, len(simple))
	for i, name := range simple {
		full[i] = javaPackage + name
	}
	return strings.Join(full, ", ") + " (or, in short, " + strings.Join(simple, ", ") + ")"
}
