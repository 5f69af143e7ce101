package rest

import (
	"context"
	"net/http"
	"strings"

	"tributary/api"
	"tributary/connect/herder"
	"tributary/connect/plugin"
)

// pluginOrder is the order of GET /connector-plugins.
var pluginOrder = []plugin.Kind{plugin.Sink, plugin.Source, plugin.Transformation, plugin.Predicate, plugin.Converter, plugin.HeaderConverter}

// plugins answers GET /connector-plugins.
func (s *Server) plugins(w http.ResponseWriter, r *http.Request) {
	if err := checkMediaTypes(r); err != nil {
		s.fail(w, r, err)
		return
	}
	kinds := pluginOrder
	if query := r.URL.Query(); !query.Has("connectorsOnly") || strings.EqualFold(query.Get("connectorsOnly"), "true") {
		kinds = pluginOrder[:2]
	}
	list := []api.PluginInfo{}
	for _, kind := range kinds {
		for _, p := range s.opts.Plugins.All() {
			if p.Kind != kind {
				continue
			}
			version := p.Version
			if version == api.UndefinedVersion {
				version = ""
			}
			list = append(list, api.PluginInfo{Class: p.Class, Type: string(p.Kind), Version: version})
		}
	}
	s.reply(w, r, answer{status: http.StatusOK, body: list})
}

// pluginConfig answers GET /connector-plugins/{plugin}/config.
func pluginConfig(ctx context.Context, c *call) (answer, error) {
	name, err := c.param("plugin")
	if err != nil {
		return answer{}, err
	}
	version := "latest"
	if query := c.request.URL.Query(); query.Has("version") {
		version = query.Get("version")
	}
	keys, err := c.herder.PluginConfig(ctx, name, version)
	return answer{status: http.StatusOK, body: keys}, err
}

// validateConfig answers PUT /connector-plugins/{plugin}/config/validate.
func validateConfig(ctx context.Context, c *call) (answer, error) {
	name, err := c.param("plugin")
	if err != nil {
		return answer{}, err
	}
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	config, err := decodeConfig(body)
	if err != nil {
		return answer{}, err
	}
	if class := config["connector.class"]; class != nil && !strings.HasSuffix(withoutConnector(*class), withoutConnector(name)) {
		return answer{}, &herder.BadRequestError{Message: "Included connector type " + *class + " does not match request type " + name}
	}
	infos, err := c.herder.ValidateConfig(ctx, config)
	if is[*herder.BadRequestError](err) {
		// Java loses the status of these on the way from the thread that validates.
		err = refuse(http.StatusInternalServerError, err.Error())
	}
	return answer{status: http.StatusOK, body: infos}, err
}

// withoutConnector is what the names of a request and of its body are compared by.
func withoutConnector(name string) string {
	if short := strings.TrimSuffix(name, "Connector"); short != "" {
		return short
	}
	return name
}
