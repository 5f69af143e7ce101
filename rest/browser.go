package rest

import (
	"net/http"
	"regexp"
	"slices"
)

// withoutForgery refuses requests that change something and that a browser sends on
// behalf of a page of another origin, unless access.control.allow.origin admits it: some
// of them, such as POST /connectors/x/restart, need no preflight, so that CORS alone would
// let any page that an operator visits restart connectors. Programs that are no browsers
// send neither Origin nor Sec-Fetch-Site and are not concerned.
//
// It also tells browsers to take answers for what they say they are and nothing else.
func (s *Server) withoutForgery(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if err := protection.Check(r); err != nil && !s.origins.allows(r.Header.Get("Origin")) {
			s.fail(w, r, refuse(http.StatusForbidden, "Pages of other origins may change nothing here; access.control.allow.origin names those that may"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allows reports whether a page of the origin may use the API.
func (c *crossOrigin) allows(origin string) bool {
	return c != nil && origin != "" && slices.ContainsFunc(c.origins, func(p *regexp.Regexp) bool { return p.MatchString(origin) })
}
