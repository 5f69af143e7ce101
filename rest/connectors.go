package rest

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/herder"
	"tributary/storage"
)

func listConnectors(ctx context.Context, c *call) (answer, error) {
	names, err := c.herder.Connectors(ctx)
	if err != nil {
		return answer{}, err
	}
	query := c.request.URL.Query()
	if !query.Has("expand") {
		if names == nil {
			names = []string{}
		}
		return answer{status: http.StatusOK, body: names}, nil
	}
	all := make(map[string]api.ConnectorExpansion, len(names))
	for _, name := range names {
		expanded, err := expand(ctx, c.herder, name, query["expand"])
		if is[*herder.NotFoundError](err) {
			continue // deleted, or not started yet: as if it were not there
		}
		if err != nil {
			return answer{}, err
		}
		all[name] = expanded
	}
	return answer{status: http.StatusOK, body: all}, nil
}

func expand(ctx context.Context, h herder.Herder, connector string, what []string) (api.ConnectorExpansion, error) {
	var out api.ConnectorExpansion
	for _, w := range what {
		switch w {
		case "status":
			status, err := h.ConnectorStatus(ctx, connector)
			if err != nil {
				return out, err
			}
			out.Status = &status
		case "info":
			info, err := h.ConnectorInfo(ctx, connector)
			if err != nil {
				return out, err
			}
			out.Info = &info
		}
	}
	return out, nil
}

// initialStates are the values of initial_state and the target states they mean.
var initialStates = map[string]storage.TargetState{
	"RUNNING": storage.Started, "PAUSED": storage.Paused, "STOPPED": storage.Stopped,
}

func createConnector(ctx context.Context, c *call) (answer, error) {
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	request, err := decodeCreateRequest(body)
	if err != nil {
		return answer{}, err
	}
	name := strings.TrimSpace(request.Name)
	config, err := named(request.Config, name)
	if err != nil {
		return answer{}, err
	}
	request.Config = config
	var initial *storage.TargetState
	if state, ok := initialStates[request.InitialState]; ok {
		initial = &state
	}
	out, err := document(http.MethodPost, "/connectors", request)
	if err != nil {
		return answer{}, err
	}
	var info api.ConnectorInfo
	in, err := c.orForward(ctx, out, func(ctx context.Context) (err error) {
		_, info, err = c.herder.PutConnectorConfig(ctx, name, maps.Clone(config), initial, false)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	a := answer{status: http.StatusCreated, body: info}
	if in != nil {
		a = forwarded(*in, http.StatusCreated)
	}
	a.location = c.located(name)
	return a, nil
}

// named returns a configuration that has the connector's name in it.
func named(config map[string]*string, connector string) (map[string]*string, error) {
	if included := config["name"]; included != nil {
		if *included != connector {
			return nil, &herder.BadRequestError{Message: "Connector name configuration (" + *included +
				") doesn't match connector name in the URL (" + connector + ")"}
		}
		return config, nil
	}
	config = maps.Clone(config)
	config["name"] = &connector
	return config, nil
}

// document is a request to another worker with a JSON body.
func document(method, path string, body any) (outgoing, error) {
	b, err := api.Marshal(body)
	return outgoing{method: method, path: path, body: b}, err
}

// connectorPath is the escaped path of a connector's resource.
func connectorPath(connector, resource string) string {
	return "/connectors/" + url.PathEscape(connector) + resource
}

// of makes a handler for one connector.
func of(handle func(ctx context.Context, c *call, connector string) (answer, error)) handler {
	return func(ctx context.Context, c *call) (answer, error) {
		connector, err := c.param("connector")
		if err != nil {
			return answer{}, err
		}
		return handle(ctx, c, connector)
	}
}

// read makes a handler that answers with what a herder's method returns.
func read[T any](get func(h herder.Herder, ctx context.Context, connector string) (T, error)) handler {
	return of(func(ctx context.Context, c *call, connector string) (answer, error) {
		result, err := get(c.herder, ctx, connector)
		return answer{status: http.StatusOK, body: result}, err
	})
}

func putConfig(ctx context.Context, c *call, connector string) (answer, error) {
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	config, err := decodeConfig(body)
	if err != nil {
		return answer{}, err
	}
	if config, err = named(config, connector); err != nil {
		return answer{}, err
	}
	out, err := document(http.MethodPut, connectorPath(connector, "/config"), config)
	if err != nil {
		return answer{}, err
	}
	var created bool
	var info api.ConnectorInfo
	in, err := c.orForward(ctx, out, func(ctx context.Context) (err error) {
		created, info, err = c.herder.PutConnectorConfig(ctx, connector, maps.Clone(config), nil, true)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	a := answer{status: http.StatusOK, body: info}
	if in != nil {
		created = in.status == http.StatusCreated
		a = forwarded(*in, http.StatusOK)
	}
	if created {
		a.status, a.location = http.StatusCreated, c.located(connector)
	}
	return a, nil
}

func patchConfig(ctx context.Context, c *call, connector string) (answer, error) {
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	patch, err := decodeConfig(body)
	if err != nil {
		return answer{}, err
	}
	out, err := document(http.MethodPatch, connectorPath(connector, "/config"), patch)
	if err != nil {
		return answer{}, err
	}
	var info api.ConnectorInfo
	in, err := c.orForward(ctx, out, func(ctx context.Context) (err error) {
		info, err = c.herder.PatchConnectorConfig(ctx, connector, patch)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	if in != nil {
		return forwarded(*in, http.StatusOK), nil
	}
	return answer{status: http.StatusOK, body: info}, nil
}

func deleteConnector(ctx context.Context, c *call, connector string) (answer, error) {
	_, err := c.orForward(ctx, outgoing{method: http.MethodDelete, path: connectorPath(connector, "")}, func(ctx context.Context) error {
		return c.herder.DeleteConnector(ctx, connector)
	})
	return answer{status: http.StatusNoContent}, err
}

func stopConnector(ctx context.Context, c *call, connector string) (answer, error) {
	_, err := c.orForward(ctx, outgoing{method: http.MethodPut, path: connectorPath(connector, "/stop")}, func(ctx context.Context) error {
		return c.herder.StopConnector(ctx, connector)
	})
	return answer{status: http.StatusNoContent}, err
}

// accepted makes a handler for a request that every worker can do.
func accepted(do func(h herder.Herder, ctx context.Context, connector string) error) handler {
	return of(func(ctx context.Context, c *call, connector string) (answer, error) {
		return answer{status: http.StatusAccepted}, do(c.herder, ctx, connector)
	})
}

func restartConnector(ctx context.Context, c *call, connector string) (answer, error) {
	request := storage.RestartRequest{Connector: connector, IncludeTasks: c.flag("includeTasks"), OnlyFailed: c.flag("onlyFailed")}
	out := outgoing{method: http.MethodPost, path: connectorPath(connector, "/restart")}
	if !request.IncludeTasks && !request.OnlyFailed {
		_, err := c.orForward(ctx, out, func(ctx context.Context) error {
			return c.herder.RestartConnector(ctx, connector)
		})
		return answer{status: http.StatusNoContent}, err
	}
	out.query = "includeTasks=" + strconv.FormatBool(request.IncludeTasks) + "&onlyFailed=" + strconv.FormatBool(request.OnlyFailed)
	var status api.ConnectorStatus
	in, err := c.orForward(ctx, out, func(ctx context.Context) (err error) {
		status, err = c.herder.RestartConnectorAndTasks(ctx, request)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	if in != nil {
		return forwarded(*in, http.StatusAccepted), nil
	}
	return answer{status: http.StatusAccepted, body: status}, nil
}

func activeTopics(ctx context.Context, c *call, connector string) (answer, error) {
	topics, err := c.herder.ActiveTopics(ctx, connector)
	if err != nil {
		return answer{}, err
	}
	if topics == nil {
		topics = []string{}
	}
	return answer{status: http.StatusOK, body: map[string]api.ActiveTopics{connector: {Topics: topics}}}, nil
}

func taskStatus(ctx context.Context, c *call, connector string) (answer, error) {
	task, err := c.task()
	if err != nil {
		return answer{}, err
	}
	status, err := c.herder.TaskStatus(ctx, connect.TaskID{Connector: connector, Task: task})
	return answer{status: http.StatusOK, body: status}, err
}

func restartTask(ctx context.Context, c *call, connector string) (answer, error) {
	task, err := c.task()
	if err != nil {
		return answer{}, err
	}
	path := connectorPath(connector, "/tasks/"+strconv.Itoa(task)+"/restart")
	_, err = c.orForward(ctx, outgoing{method: http.MethodPost, path: path}, func(ctx context.Context) error {
		return c.herder.RestartTask(ctx, connect.TaskID{Connector: connector, Task: task})
	})
	return answer{status: http.StatusNoContent}, err
}
