package rest

import (
	_ "embed"
	"net/http"
)

// openapiDocument describes the API; a test holds its paths against the routes.
//
//go:embed openapi.json
var openapiDocument []byte

// openapi answers GET /openapi.json.
func (s *Server) openapi(w http.ResponseWriter, r *http.Request) {
	if !accepts(r.Header.Values("Accept")) {
		s.fail(w, r, refuse(http.StatusNotAcceptable, messageAccept))
		return
	}
	writeJSON(w, http.StatusOK, openapiDocument)
}
