package rest

import (
	"net/http"
	"regexp"
)

// Role is what a user may do.
type Role int

const (
	// NoAccess is for wrong or missing credentials.
	NoAccess Role = iota
	// ReadOnly may ask, and validate configurations, but change nothing.
	ReadOnly
	// FullAccess may do everything.
	FullAccess
)

// Users says who may use the API. Safe for concurrent use.
type Users interface {
	// Role checks the credentials of a request; both are empty when it has none.
	Role(name, password string) Role
	// Challenge is what refused clients are told to log in with, as the header
	// WWW-Authenticate has it; "" says nothing.
	Challenge() string
}

// messageUnauthorised is the whole answer to wrong credentials, which Java gives as plain text.
const messageUnauthorised = "User cannot access the resource."

// authenticate lets only requests through that the users' roles allow. Requests between
// workers do without: they are signed.
func (s *Server) authenticate(next http.Handler) http.Handler {
	users := s.opts.Users
	if users == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		switch role := users.Role(name, password); {
		case role == NoAccess:
			if challenge := users.Challenge(); challenge != "" {
				w.Header().Set("WWW-Authenticate", challenge)
			}
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(messageUnauthorised))
		case role == ReadOnly && !harmless(r):
			s.fail(w, r, refuse(http.StatusForbidden, "User "+name+" may only read"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// harmless are requests that change nothing.
func harmless(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return r.Method == http.MethodPut && validation.MatchString(r.URL.EscapedPath())
}

var validation = regexp.MustCompile(`^/connector-plugins/[^/]+/config/validate/?$`)
