package rest

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Listener is one entry of the property listeners.
type Listener struct {
	// Scheme is http or https.
	Scheme string
	// Host is "" for all interfaces.
	Host string
	// Port 0 takes a free one.
	Port int
}

var listenerPattern = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// ParseListener reads protocol://host:port, where the protocol may be in any case.
func ParseListener(text string) (Listener, error) {
	m := listenerPattern.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return Listener{}, fmt.Errorf("listener %q doesn't have the right format (protocol://hostname:port)", text)
	}
	l := Listener{Scheme: strings.ToLower(m[1]), Host: m[2]}
	if l.Scheme != "http" && l.Scheme != "https" {
		return Listener{}, fmt.Errorf("listener %q: the protocol must be either http or https", text)
	}
	port, err := strconv.ParseUint(m[3], 10, 16)
	if err != nil {
		return Listener{}, fmt.Errorf("listener %q: the port must be between 0 and 65535", text)
	}
	l.Port = int(port)
	return l, nil
}

// String is the listener as its URL.
func (l Listener) String() string {
	return l.Scheme + "://" + net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
}

// Advertised are the properties rest.advertised.*: how other workers reach this one,
// where that differs from what the listeners say. Zero values are unset.
type Advertised struct {
	Host     string
	Port     int
	Listener string // http or https
}

// URL is the address that a worker with these listeners, ports bound, gives to others.
// It stands in the group's metadata and has Java's trailing slash. localHost is called
// when neither the properties nor a listener names a host.
func (a Advertised) URL(listeners []Listener, localHost func() string) *url.URL {
	scheme := strings.ToLower(a.Listener)
	if scheme == "" {
		scheme = "http"
		if len(listeners) > 0 && !hasScheme(listeners, "http") {
			scheme = "https"
		}
	}
	var chosen Listener
	for _, l := range listeners {
		if l.Scheme == scheme {
			chosen = l
			break
		}
	}
	host := a.Host
	if host == "" {
		host = chosen.Host
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = localHost()
		}
	}
	port := cmp.Or(a.Port, chosen.Port)
	if port == 0 && len(listeners) > 0 {
		port = listeners[0].Port
	}
	return &url.URL{Scheme: scheme, Host: net.JoinHostPort(host, strconv.Itoa(port)), Path: "/"}
}

func hasScheme(listeners []Listener, scheme string) bool {
	for _, l := range listeners {
		if l.Scheme == scheme {
			return true
		}
	}
	return false
}

// LocalHost is this machine's address as others are likely to see it: that of its host
// name, else of an interface, else loopback.
func LocalHost() string {
	var candidates []net.IP
	if name, err := os.Hostname(); err == nil {
		if ips, err := net.LookupIP(name); err == nil {
			candidates = append(candidates, ips...)
		}
	}
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				candidates = append(candidates, n.IP)
			}
		}
	}
	for _, ipv4 := range []bool{true, false} {
		for _, ip := range candidates {
			if (ip.To4() != nil) == ipv4 && ip.IsGlobalUnicast() {
				return ip.String()
			}
		}
	}
	return "127.0.0.1"
}

// FlowPath is what stands before /connectors in the URLs of one replication flow of a
// dedicated MirrorMaker: /source/target, escaped as Java does.
func FlowPath(source, target string) string {
	return "/" + escapeAlias(source) + "/" + escapeAlias(target)
}

// escapeAlias is java.net.URLEncoder with %20 for a blank.
func escapeAlias(alias string) string {
	escaped := url.QueryEscape(alias)
	return strings.NewReplacer("+", "%20", "%2A", "*", "~", "%7E").Replace(escaped)
}
