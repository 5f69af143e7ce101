package api

import (
	"context"
	"net/http"
	"net/url"
)

// LoggerLevel is the level of one logger (KIP-495). LastModified is in milliseconds since
// 1970, nil until the level was changed.
type LoggerLevel struct {
	Level        string `json:"level"`
	LastModified *int64 `json:"last_modified"`
}

// Loggers returns the levels of the worker's loggers by name.
func (c *Client) Loggers(ctx context.Context) (levels map[string]LoggerLevel, err error) {
	_, err = c.do(ctx, http.MethodGet, "/admin/loggers", nil, &levels)
	return levels, err
}

// LoggerLevel returns the level of one logger.
func (c *Client) LoggerLevel(ctx context.Context, logger string) (level LoggerLevel, err error) {
	_, err = c.do(ctx, http.MethodGet, "/admin/loggers/"+url.PathEscape(logger), nil, &level)
	return level, err
}

// SetLoggerLevel sets the level of a namespace on this worker, and returns the loggers
// whose level that changed.
func (c *Client) SetLoggerLevel(ctx context.Context, namespace, level string) (changed []string, err error) {
	_, err = c.do(ctx, http.MethodPut, "/admin/loggers/"+url.PathEscape(namespace), map[string]string{"level": level}, &changed)
	return changed, err
}

// SetClusterLoggerLevel sets the level of a namespace on all workers (KIP-976).
func (c *Client) SetClusterLoggerLevel(ctx context.Context, namespace, level string) error {
	_, err := c.do(ctx, http.MethodPut, "/admin/loggers/"+url.PathEscape(namespace)+"?scope=cluster", map[string]string{"level": level}, nil)
	return err
}
