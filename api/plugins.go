package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// PluginInfo is one entry of GET /connector-plugins. An empty version is left out.
type PluginInfo struct {
	Class   string `json:"class"`
	Type    string `json:"type"`
	Version string `json:"version,omitempty"`
}

// ConfigKeyInfo declares one configuration key of a plugin. A nil default is null, which
// is also shown for required keys.
type ConfigKeyInfo struct {
	Name          string   `json:"name"`
	Type          string   `json:"type"`
	Required      bool     `json:"required"`
	DefaultValue  *string  `json:"default_value"`
	Importance    string   `json:"importance"`
	Documentation string   `json:"documentation"`
	Group         *string  `json:"group"`
	OrderInGroup  int      `json:"order_in_group"`
	Width         string   `json:"width"`
	DisplayName   string   `json:"display_name"`
	Dependents    []string `json:"dependents"`
}

// ConfigValueInfo is what validation says of one key's value.
type ConfigValueInfo struct {
	Name              string   `json:"name"`
	Value             *string  `json:"value"`
	RecommendedValues []string `json:"recommended_values"`
	Errors            []string `json:"errors"`
	Visible           bool     `json:"visible"`
}

// ConfigInfo is one key of a validated configuration. A key that is not declared has no
// definition.
type ConfigInfo struct {
	Definition *ConfigKeyInfo   `json:"definition"`
	Value      *ConfigValueInfo `json:"value"`
}

// ConfigInfos answers PUT /connector-plugins/{plugin}/config/validate.
type ConfigInfos struct {
	Name       string       `json:"name"`
	ErrorCount int          `json:"error_count"`
	Groups     []string     `json:"groups"`
	Configs    []ConfigInfo `json:"configs"`
}

// Plugins returns what the worker can run: connectors alone, or all plugins.
func (c *Client) Plugins(ctx context.Context, connectorsOnly bool) (plugins []PluginInfo, err error) {
	_, err = c.do(ctx, http.MethodGet, "/connector-plugins?connectorsOnly="+strconv.FormatBool(connectorsOnly), nil, &plugins)
	return plugins, err
}

// PluginConfig returns the configuration keys of a plugin, by its class or alias. version
// is one, a range of versions, or "" for the latest.
func (c *Client) PluginConfig(ctx context.Context, plugin, version string) (keys []ConfigKeyInfo, err error) {
	p := "/connector-plugins/" + url.PathEscape(plugin) + "/config"
	if version != "" {
		p += "?version=" + url.QueryEscape(version)
	}
	_, err = c.do(ctx, http.MethodGet, p, nil, &keys)
	return keys, err
}

// Validate checks a configuration without creating the connector. A configuration with
// mistakes is no error: they are in the answer.
func (c *Client) Validate(ctx context.Context, plugin string, config map[string]string) (infos ConfigInfos, err error) {
	_, err = c.do(ctx, http.MethodPut, "/connector-plugins/"+url.PathEscape(plugin)+"/config/validate", config, &infos)
	return infos, err
}
