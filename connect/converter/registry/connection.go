package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"tributary/connect"
	"tributary/internal/kafka"
)

// dial makes the client of the registry; nothing is sent. hosts are its addresses without
// users and passwords.
func dial(config map[string]string, v connect.Values) (client *sr.Client, hosts string, err error) {
	var urls []string
	var user *url.Userinfo
	for _, text := range v.List(urlKey) {
		u, err := url.Parse(text)
		if err != nil {
			return nil, "", fmt.Errorf("%s: an address cannot be read", urlKey) // validated
		}
		if user == nil {
			user = u.User
		}
		u.User = nil
		urls = append(urls, strings.TrimSuffix(u.String(), "/"))
	}
	hosts = strings.Join(urls, ", ")
	transport, err := transport(config, v)
	if err != nil {
		return nil, "", err
	}
	limit := time.Duration(v.Int(readLimit)) * time.Millisecond
	opts := []sr.ClientOpt{
		sr.URLs(urls...), sr.UserAgent("tributary"),
		sr.HTTPClient(&http.Client{Transport: transport, Timeout: time.Duration(v.Int(connectLimit))*time.Millisecond + limit}),
	}
	login, err := login(v, user, &http.Client{Transport: transport, Timeout: limit})
	if err != nil {
		return nil, "", err
	}
	if login != nil {
		opts = append(opts, sr.PreReq(login))
	}
	client, err = sr.NewClient(opts...)
	return client, hosts, err
}

func transport(config map[string]string, v connect.Values) (*http.Transport, error) {
	connectIn := time.Duration(v.Int(connectLimit)) * time.Millisecond
	secured, err := kafka.ParseServiceTLS(config, sslPrefix, slog.Default())
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectIn}).DialContext,
		ResponseHeaderTimeout: time.Duration(v.Int(readLimit)) * time.Millisecond,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   1,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return secured.DialContext(ctx, network, addr, connectIn)
		},
	}
	if host := v.String(proxyHost); host != "" {
		port := v.Int(proxyPort)
		if port <= 0 {
			return nil, fmt.Errorf("%s is set, but %s is not", proxyHost, proxyPort)
		}
		t.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.FormatInt(port, 10))})
	}
	return t, nil
}

// login is what adds user or token to a request; nil if there is neither.
func login(v connect.Values, fromURL *url.Userinfo, client *http.Client) (func(*http.Request) error, error) {
	info := v.String(basicUserInfo)
	if info == "" {
		info = v.String(oldUserInfo)
	}
	bearer := bearerHeaders(v)
	switch {
	case v.String(basicSource) == "USER_INFO":
		user, password, ok := strings.Cut(info, ":")
		if !ok {
			return nil, fmt.Errorf("%s=USER_INFO needs %s to be user:password", basicSource, basicUserInfo)
		}
		return basic(user, password), nil
	case fromURL != nil:
		password, _ := fromURL.Password()
		return basic(fromURL.Username(), password), nil
	case v.String(bearerSource) == "OAUTHBEARER":
		return oauth(v, client, bearer)
	case v.String(bearerToken) != "":
		token := v.String(bearerToken)
		return func(r *http.Request) error {
			bearer(r)
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		}, nil
	}
	return nil, nil
}

func basic(user, password string) func(*http.Request) error {
	return func(r *http.Request) error {
		r.SetBasicAuth(user, password)
		return nil
	}
}

func bearerHeaders(v connect.Values) func(*http.Request) {
	return func(r *http.Request) {
		for key, header := range map[string]string{logical: "target-sr-cluster", identityPool: "Confluent-Identity-Pool-Id"} {
			if value := v.String(key); value != "" {
				r.Header.Set(header, value)
			}
		}
	}
}

func oauth(v connect.Values, client *http.Client, headers func(*http.Request)) (func(*http.Request) error, error) {
	var missing []string
	for _, key := range []string{issuer, clientID, clientSecret} {
		if v.String(key) == "" {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s=OAUTHBEARER needs %s", bearerSource, strings.Join(missing, ", "))
	}
	c := clientcredentials.Config{ClientID: v.String(clientID), ClientSecret: v.String(clientSecret), TokenURL: v.String(issuer), AuthStyle: oauth2.AuthStyleInHeader}
	if s := v.String(scope); s != "" {
		c.Scopes = strings.Fields(s)
	}
	tokens := c.TokenSource(context.WithValue(context.Background(), oauth2.HTTPClient, client))
	return func(r *http.Request) error {
		token, err := tokens.Token()
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response != nil {
			return fmt.Errorf("the OAuth issuer answered %d to the request for a token", refused.Response.StatusCode)
		}
		if err != nil {
			return fmt.Errorf("no token of the OAuth issuer: %w", errors.Unwrap(err))
		}
		headers(r)
		token.SetAuthHeader(r)
		return nil
	}, nil
}
