package maker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tributary/connect/cli"
	"tributary/rest"
)

// defaultListener is where the REST API is when the file has no listeners: reachable
// from this machine only, since MirrorMaker users do not expect it at all.
const (
	defaultListener = "http://127.0.0.1:8083"
	anyPort         = "http://127.0.0.1:0"
)

// internalREST is Java's switch for what its nodes need to work together.
const internalREST = "dedicated.mode.enable.internal.rest"

// listening is where a node's REST server listens.
type listening struct {
	// public are for clients, peers for the signed requests of other nodes alone. Without
	// peers the nodes use the public ones.
	public, peers []string
	// named says that the user chose the public ones.
	named bool
}

// listening reads the file. Java has no API for clients in the dedicated mode: there
// listeners is for other nodes alone, and so it is here when Java's switch is on. When
// it is not set, nodes work together all the same: if clients are only served from this
// machine, other nodes get a listener of their own.
func (m *mirrorMaker) listening(advertised rest.Advertised) (l listening, err error) {
	text, named := m.config.TopLevel("listeners")
	given := cli.List(text)
	internal, set := m.config.TopLevel(internalREST)
	if set && !isTrue(internal) && !strings.EqualFold(strings.TrimSpace(internal), "false") {
		return l, fmt.Errorf("%s is %q: it must be true or false", internalREST, internal)
	}
	if isTrue(internal) {
		l = listening{public: []string{defaultListener}, peers: given}
		if !named {
			l.peers = []string{"http://:8083"} // as in Java
		}
		if slices.ContainsFunc(l.peers, func(peer string) bool { return strings.HasSuffix(peer, ":8083") }) {
			l.public = []string{anyPort}
		}
		return l, nil
	}
	l = listening{public: []string{defaultListener}}
	if named {
		l = listening{public: given, named: true}
	}
	if set || !onlyLoopback(l.public) {
		return l, nil
	}
	for _, f := range m.flows {
		if p := m.config.WorkerProps(f)["connect.protocol"]; p != "" && !strings.EqualFold(p, "sessioned") {
			m.log.Warn("Other nodes of this MirrorMaker cannot send it their requests: without signatures they are served only if the file says so", "flow", f.String(),
				"connect.protocol", p, "key", internalREST)
			return l, nil
		}
	}
	scheme := "http://"
	if slices.ContainsFunc(l.public, func(text string) bool { return strings.HasPrefix(strings.ToLower(text), "https:") }) {
		scheme = "https://"
	}
	l.peers = []string{scheme + net.JoinHostPort(bindHost(advertised.Host), strconv.Itoa(advertised.Port))}
	return l, nil
}

// onlyLoopback reports whether listeners can be reached from this machine alone. What
// cannot be read is for the server to refuse.
func onlyLoopback(listeners []string) bool {
	for _, text := range listeners {
		l, err := rest.ParseListener(text)
		if err != nil || l.Host != "localhost" && !isLoopback(l.Host) {
			return false
		}
	}
	return true
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// lookupLimit bounds asking for the addresses of the advertised host name.
const lookupLimit = 5 * time.Second

// bindHost is the host to listen at for an advertised one: the same, or all interfaces
// when that is no address of this machine but leads to it, as behind a port mapping.
func bindHost(advertised string) string {
	if advertised == "" {
		return rest.LocalHost()
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupLimit)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", advertised)
	if err != nil || len(found) == 0 {
		return ""
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, addr := range found {
		if !addr.IsLoopback() && !isOwn(own, addr.Unmap()) {
			return ""
		}
	}
	return advertised
}

func isOwn(own []net.Addr, addr netip.Addr) bool {
	for _, a := range own {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}

// listen starts the REST server. Where the user named no listener and the port is taken,
// the API for clients is at any other.
func (m *mirrorMaker) listen() error {
	advertised, err := m.advertised()
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	serving, err := m.program.Serving(m.config.resolved)
	if err != nil {
		return err
	}
	secured, err := cli.RESTSecurity(m.config.resolved, m.log)
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	l, err := m.listening(advertised)
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	open := func() error {
		m.process, err = cli.NewProcess(m.plugins, l.public, advertised, m.log, serving, secured, func(o *rest.Options) { o.PeerListeners = l.peers })
		if err != nil {
			return &cli.ConfigError{Err: err}
		}
		if err := m.process.Server.Start(); err != nil {
			m.process.Stop()
			return err
		}
		return nil
	}
	err = open()
	if errors.Is(err, syscall.EADDRINUSE) && !l.named {
		l.public = []string{anyPort}
		if err = open(); err == nil {
			m.log.Warn("The port of the REST API is taken by another process: this one's is at another. "+m.choosing(), "listener", defaultListener, "instead", m.process.Server.URLs()[0])
		}
	}
	return err
}

// choosing says how the user can choose where the API for clients is.
func (m *mirrorMaker) choosing() string {
	if internal, _ := m.config.TopLevel(internalREST); isTrue(internal) {
		return "With " + internalREST + "=true, listeners is for other nodes; without that key it is where the API is, and nodes work together all the same"
	}
	return "Set listeners to choose where"
}

func (m *mirrorMaker) advertised() (rest.Advertised, error) {
	get := func(key string) string { v, _ := m.config.TopLevel(key); return v }
	a := rest.Advertised{Host: get("rest.advertised.host.name"), Listener: get("rest.advertised.listener")}
	if port := get("rest.advertised.port"); port != "" {
		if _, err := fmt.Sscan(port, &a.Port); err != nil || a.Port < 1 || a.Port > 65535 {
			return a, fmt.Errorf("rest.advertised.port is %q: it must be a port between 1 and 65535", port)
		}
	}
	return a, nil
}
