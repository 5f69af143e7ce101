package rest

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// crossOrigin answers for pages of other origins (CORS). Java's worker delivers
// preflight requests to the resources, too, so OPTIONS is answered as ever.
type crossOrigin struct {
	origins []*regexp.Regexp
	methods string
}

// preflightAge is how long, in seconds, a browser may remember what is allowed.
const preflightAge = 60

// parseCrossOrigin reads the origins that are allowed, as patterns, and the methods; no
// methods are GET, POST and HEAD. It returns nil when no origin is allowed.
func parseCrossOrigin(origins, methods []string) (*crossOrigin, error) {
	if len(origins) == 0 {
		return nil, nil
	}
	c := &crossOrigin{methods: strings.Join(methods, ",")}
	if c.methods == "" {
		c.methods = "GET,POST,HEAD"
	}
	for _, text := range origins {
		pattern := text
		if pattern == "*" {
			pattern = ".*"
		}
		compiled, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			return nil, fmt.Errorf("access.control.allow.origin has %q, which is neither an origin nor a regular expression: %w", text, err)
		}
		c.origins = append(c.origins, compiled)
	}
	return c, nil
}

func (c *crossOrigin) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if c.allows(origin) {
			header.Set("Access-Control-Allow-Origin", origin)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				header.Set("Access-Control-Allow-Methods", c.methods)
				header.Set("Access-Control-Allow-Headers", "Content-Type")
				header.Set("Access-Control-Max-Age", strconv.Itoa(preflightAge))
			}
		}
		next.ServeHTTP(w, r)
	})
}

// headerRule is one entry of response.http.headers.config.
type headerRule struct {
	name, value string
	add         bool
	// date makes the header the present time and later.
	date  bool
	later time.Duration
}

// parseHeaderRules reads entries of the form "action name:value", separated by commas,
// where action is set, add, setDate or addDate and the value of the latter two is in
// milliseconds from now. An entry that holds a comma stands in double quotes.
func parseHeaderRules(text string) ([]headerRule, error) {
	var rules []headerRule
	for _, entry := range splitQuoted(text) {
		wrong := func(why string) ([]headerRule, error) {
			return nil, fmt.Errorf("response.http.headers.config has the entry %q: %s", entry, why)
		}
		action, rest, _ := strings.Cut(entry, " ")
		name, value, found := strings.Cut(strings.TrimSpace(rest), ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found || name == "" || strings.ContainsAny(name, " \t") {
			return wrong("it must have the form [action] [header name]:[header value]")
		}
		rule := headerRule{name: name, value: value}
		switch strings.ToLower(action) {
		case "set":
		case "add":
			rule.add = true
		case "setdate", "adddate":
			rule.add, rule.date = strings.EqualFold(action, "adddate"), true
			ms, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return wrong("the value of a date must be a number of milliseconds")
			}
			rule.later = time.Duration(ms) * time.Millisecond
		default:
			return wrong("the action must be set, add, setDate or addDate")
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// splitQuoted splits at commas outside of double quotes, and takes these off.
func splitQuoted(text string) []string {
	var parts []string
	var part strings.Builder
	quoted := false
	end := func() {
		if p := strings.TrimSpace(part.String()); p != "" {
			parts = append(parts, p)
		}
		part.Reset()
	}
	for _, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			end()
		default:
			part.WriteRune(c)
		}
	}
	end()
	return parts
}

// withHeaders adds the headers of the rules to every answer.
func withHeaders(rules []headerRule) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, rule := range rules {
				value := rule.value
				if rule.date {
					value = time.Now().Add(rule.later).UTC().Format(http.TimeFormat)
				}
				if rule.add {
					w.Header().Add(rule.name, value)
				} else {
					w.Header().Set(rule.name, value)
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}
