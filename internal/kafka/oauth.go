package kafka

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// tokenTimeout bounds one call for a token, retries included. Java has no bound.
const tokenTimeout = 30 * time.Second

// While the last token holds, a renewal may take no longer than renewTimeout, and is tried again renewPause after one that
// failed: connections wait for it, those of group heartbeats too.
const (
	renewTimeout = 3 * time.Second
	renewPause   = 5 * time.Second
)

// unknownLifetime is how long a token is used that does not say when it expires.
const unknownLifetime = time.Minute

// OAuthToken is what an OAUTHBEARER login sends (KIP-255, KIP-768).
type OAuthToken struct {
	Value Secret
	// Expires is zero if the token does not say.
	Expires time.Time
	// Extensions are the SASL extensions (KIP-342), nil if there are none.
	Extensions map[string]string
}

// tokenSource keeps one token and fetches the next when refreshFactor of its life is over.
type tokenSource struct {
	fetch         func(ctx context.Context) (OAuthToken, error)
	refreshFactor float64
	now           func() time.Time

	// turn holds the right to look at last and refresh. A channel lets a waiting caller give up.
	turn    chan struct{}
	last    OAuthToken
	refresh time.Time
}

func newTokenSource(refreshFactor float64, fetch func(ctx context.Context) (OAuthToken, error)) *tokenSource {
	return &tokenSource{fetch: fetch, refreshFactor: refreshFactor, now: time.Now, turn: make(chan struct{}, 1)}
}

// tokenError is why there is no token.
type tokenError struct{ err error }

func (e *tokenError) Error() string { return e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

func (s *tokenSource) token(ctx context.Context) (OAuthToken, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return OAuthToken{}, ctx.Err()
	}
	now := s.now()
	if s.last.Value != "" && now.Before(s.refresh) {
		return s.last, nil
	}
	limit, holds := tokenTimeout, s.last.Value != "" && now.Before(s.last.Expires)
	if holds {
		limit = renewTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	token, err := s.fetch(ctx)
	if err != nil {
		if now = s.now(); holds && now.Before(s.last.Expires) {
			// The old token still opens doors; a later login tries again.
			s.refresh = now.Add(min(renewPause, s.last.Expires.Sub(now)))
			return s.last, nil
		}
		return OAuthToken{}, &tokenError{err}
	}
	life := unknownLifetime
	if !token.Expires.IsZero() {
		life = time.Duration(float64(token.Expires.Sub(now)) * s.refreshFactor)
	}
	s.last, s.refresh = token, now.Add(life)
	return token, nil
}

// readOAuth reads the keys of OAUTHBEARER and the older options of sasl.jaas.config. It reports
// errors to v.
func readOAuth(v *values, jaas *jaasEntry) *tokenSource {
	const urlKey = "sasl.oauthbearer.token.endpoint.url"
	endpoint, err := url.Parse(v.text(urlKey))
	scheme := ""
	if err == nil {
		scheme = strings.ToLower(endpoint.Scheme)
	}
	if !slices.Contains([]string{"http", "https", "file"}, scheme) {
		v.fail(urlKey, "must be the http, https or file URL that gives the token")
		return nil
	}
	extensions := map[string]string{}
	for name, value := range jaas.options {
		if name, ok := strings.CutPrefix(name, "extension_"); ok {
			extensions[name] = value
		}
	}
	fetch := fileToken(endpoint.Path)
	if scheme != "file" {
		if fetch = readClientCredentials(v, jaas, endpoint); fetch == nil {
			return nil
		}
	} else if _, err := os.ReadFile(endpoint.Path); err != nil {
		v.fail(urlKey, "the token file cannot be read")
	}
	return newTokenSource(v.float("sasl.login.refresh.window.factor"), func(ctx context.Context) (OAuthToken, error) {
		token, err := fetch(ctx)
		token.Extensions = extensions
		return token, err
	})
}

// fileToken reads the token from a file, which another program renews.
func fileToken(path string) func(context.Context) (OAuthToken, error) {
	return func(context.Context) (OAuthToken, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return OAuthToken{}, fmt.Errorf("the OAuth token file of sasl.oauthbearer.token.endpoint.url cannot be read: %w", err)
		}
		text := strings.TrimSpace(string(data))
		if text == "" {
			return OAuthToken{}, fmt.Errorf("the OAuth token file %s of sasl.oauthbearer.token.endpoint.url is empty", path)
		}
		return OAuthToken{Value: Secret(text), Expires: jwtExpiry(text)}, nil
	}
}

// readClientCredentials reads id, secret, scope and transport of the client credentials grant.
func readClientCredentials(v *values, jaas *jaasEntry, endpoint *url.URL) func(context.Context) (OAuthToken, error) {
	value := func(key, option string) string {
		if v.given(key) {
			return v.text(key)
		}
		return strings.TrimSpace(jaas.options[option])
	}
	const idKey, secretKey = "sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.credentials.client.secret"
	id, secret := value(idKey, "clientId"), value(secretKey, "clientSecret")
	if id == "" {
		v.fail(idKey, "must be set for a token endpoint")
	}
	if secret == "" {
		v.fail(secretKey, "must be set for a token endpoint")
	}
	config := &clientcredentials.Config{
		ClientID: id, ClientSecret: secret, TokenURL: endpoint.String(), AuthStyle: oauth2.AuthStyleInHeader,
	}
	if scope := value("sasl.oauthbearer.scope", "scope"); scope != "" {
		config.Scopes = []string{scope}
	}
	if v.boolean("sasl.oauthbearer.header.urlencode") {
		id, secret = url.QueryEscape(id), url.QueryEscape(secret)
	}
	transport := tokenTransport(v, jaas)
	basic := base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
	client := &http.Client{Transport: &basicAuth{header: "Basic " + basic, next: transport}}
	retry := retryPolicy{first: v.millis("sasl.login.retry.backoff.ms"), most: v.millis("sasl.login.retry.backoff.max.ms")}
	return func(ctx context.Context) (OAuthToken, error) {
		// Connections are not kept: the next token is wanted in minutes or hours.
		defer transport.CloseIdleConnections()
		token, err := retry.do(ctx, func() (*oauth2.Token, error) {
			return config.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
		})
		if err != nil {
			return OAuthToken{}, fmt.Errorf("no OAuth token from %s (check sasl.oauthbearer.token.endpoint.url, and id and secret in sasl.oauthbearer.client.credentials.… or sasl.jaas.config): %w", endpoint.Redacted(), withoutSecrets(err, secret, config.ClientSecret, basic))
		}
		expires := jwtExpiry(token.AccessToken)
		if expires.IsZero() {
			expires = token.Expiry
		}
		return OAuthToken{Value: Secret(token.AccessToken), Expires: expires}, nil
	}
}

// withoutSecrets hides secrets in an error that holds what a server said, which may be what it was told.
func withoutSecrets(err error, secrets ...string) error {
	text := err.Error()
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, hidden)
		}
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// tokenTransport connects to the token endpoint. TLS is set up by ssl. options inside
// sasl.jaas.config, as in Java; the client's own ssl. keys are for brokers.
func tokenTransport(v *values, jaas *jaasEntry) *http.Transport {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ResponseHeaderTimeout: v.millis("sasl.login.read.timeout.ms"),
		DialContext:           (&net.Dialer{Timeout: v.millis("sasl.login.connect.timeout.ms")}).DialContext,
	}
	props := Props{}
	for name, value := range jaas.options {
		if strings.HasPrefix(name, "ssl.") {
			props[name] = value
		}
	}
	if len(props) == 0 {
		return transport
	}
	inner, _, _ := readValues(RoleAdmin, props)
	source := readTLS(inner)
	if inner.errs != nil {
		v.fail("sasl.jaas.config", "its ssl. options are wrong: "+inner.errs.Errors[len(inner.errs.Errors)-1].Error())
	}
	if source != nil {
		dialer := &Dialer{timeout: 10 * time.Second, handshake: 10 * time.Second, tls: source, failuresByAddr: map[string]dialFailures{}}
		transport.DialTLSContext = dialer.DialContext
	}
	return transport
}

// basicAuth replaces the Authorization header. The library always URL-encodes id and secret in it,
// Java does so only when told to.
type basicAuth struct {
	header string
	next   http.RoundTripper
}

func (b *basicAuth) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", b.header)
	r.Header.Set("Accept", "application/json")
	return b.next.RoundTrip(r)
}

// retryPolicy repeats a request for a token until the waits would exceed most, as Java does.
type retryPolicy struct{ first, most time.Duration }

func (p retryPolicy) do(ctx context.Context, request func() (*oauth2.Token, error)) (*oauth2.Token, error) {
	deadline := time.Now().Add(p.most)
	for n := 0; ; n++ {
		token, err := request()
		wait := exponential(p.first, p.most, n)
		if err == nil || !retriable(err) || time.Now().Add(wait).After(deadline) || ctx.Err() != nil {
			return token, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}

// retriable says whether asking again may help. Java's list of final answers is the 4xx ones without
// 408 and 429, and three that no server takes back.
func retriable(err error) bool {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		return true
	}
	switch code := refused.Response.StatusCode; code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusOK:
		return false
	default:
		return code < 400 || code >= 500
	}
}

// subject is whom the last token names, empty before there was one and for tokens that do not say.
func (s *tokenSource) subject() string {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	default:
		return "" // the next one is on its way
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if !jwtClaims(s.last.Value.Reveal(), &claims) {
		return ""
	}
	return claims.Subject
}

// expired is when the last token ended, zero if it still holds or does not say.
func (s *tokenSource) expired() time.Time {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	default:
		return time.Time{}
	}
	if s.last.Expires.IsZero() || s.now().Before(s.last.Expires) {
		return time.Time{}
	}
	return s.last.Expires
}

// jwtExpiry reads the time of expiry out of a JWT, zero if the text is none or does not say.
func jwtExpiry(text string) time.Time {
	var claims struct {
		Expiry float64 `json:"exp"`
	}
	if !jwtClaims(text, &claims) || claims.Expiry <= 0 || claims.Expiry > math.MaxInt32*100 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Expiry), 0)
}

// jwtClaims decodes the claims of a JWT, and says whether the text is one. No signature is checked: that is for
// brokers.
func jwtClaims(text string, into any) bool {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	return err == nil && json.Unmarshal(payload, into) == nil
}
