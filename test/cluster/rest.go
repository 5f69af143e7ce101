package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
)

// API is a client of a worker, with conditions to wait for.
type API struct {
	api.Client

	tb TB
}

// Do runs a request that must succeed, again while the group is rebalancing.
func (a *API) Do(what string, request func(ctx context.Context, c *api.Client) error) {
	a.tb.Helper()
	a.retry(what, func(ctx context.Context) error { return request(ctx, &a.Client) })
}

// Create creates a connector.
func (a *API) Create(name string, config map[string]string) api.ConnectorInfo {
	a.tb.Helper()
	var info api.ConnectorInfo
	a.retry("create connector "+name, func(ctx context.Context) (err error) {
		info, err = a.CreateConnector(ctx, api.CreateConnectorRequest{Name: name, Config: api.Config(config)})
		return err
	})
	return info
}

// Refused sends a request that must be refused and returns the refusal.
func (a *API) Refused(request func(ctx context.Context, c *api.Client) error) *api.Error {
	a.tb.Helper()
	var refusal *api.Error
	a.retry("refuse", func(ctx context.Context) error {
		err := request(ctx, &a.Client)
		if err == nil {
			a.tb.Fatalf("the request was not refused")
		}
		if errors.As(err, &refusal) && refusal.Code != conflict && refusal.Code != notReady {
			return nil
		}
		return err
	})
	return refusal
}

// What a worker answers while it cannot know.
const (
	conflict = 409
	notReady = 503
)

// retry repeats a request while the answer is that the worker rebalances or is not ready yet.
func (a *API) retry(what string, request func(ctx context.Context) error) {
	a.tb.Helper()
	kafkatest.Await(a.tb, Patience, what, func() (bool, string) {
		ctx, cancel := context.WithTimeout(a.tb.Context(), Patience)
		defer cancel()
		err := request(ctx)
		var refusal *api.Error
		if errors.As(err, &refusal) && refusal.Code != conflict && refusal.Code != notReady {
			a.tb.Fatalf("%s: %v", what, err)
		}
		return err == nil, fmt.Sprint(err)
	})
}

// AwaitConnectors waits until the worker lists exactly these connectors.
func (a *API) AwaitConnectors(names ...string) {
	a.tb.Helper()
	slices.Sort(names)
	a.await("connectors "+strings.Join(names, ", "), func(ctx context.Context) (bool, string) {
		got, err := a.List(ctx)
		slices.Sort(got)
		return err == nil && slices.Equal(got, names), fmt.Sprint(got, err)
	})
}

// AwaitState waits until a connector and this number of tasks are in a state, and returns the status.
func (a *API) AwaitState(connector, state string, tasks int) api.ConnectorStatus {
	a.tb.Helper()
	return a.AwaitStatus(connector, fmt.Sprintf("%s to be %s with %d tasks", connector, state, tasks), func(s api.ConnectorStatus) bool {
		return s.Connector.State == state && len(s.Tasks) == tasks && !slices.ContainsFunc(s.Tasks, func(t api.TaskStatus) bool { return t.State != state })
	})
}

// AwaitStatus waits until a connector's status meets a condition, and returns it.
func (a *API) AwaitStatus(connector, what string, condition func(api.ConnectorStatus) bool) api.ConnectorStatus {
	a.tb.Helper()
	var status api.ConnectorStatus
	a.await(what, func(ctx context.Context) (bool, string) {
		var err error
		status, err = a.Status(ctx, connector)
		return err == nil && condition(status), fmt.Sprintf("%+v, %v", status, err)
	})
	return status
}

// requestLimit bounds one request of a condition.
const requestLimit = 10 * time.Second

func (a *API) await(what string, condition func(ctx context.Context) (bool, string)) {
	a.tb.Helper()
	kafkatest.Await(a.tb, Patience, what, func() (bool, string) {
		ctx, cancel := context.WithTimeout(a.tb.Context(), requestLimit)
		defer cancel()
		return condition(ctx)
	})
}

// Workers counts the tasks of a status by the worker that runs them.
func Workers(status api.ConnectorStatus) map[string]int {
	count := map[string]int{}
	for _, task := range status.Tasks {
		count[task.WorkerID]++
	}
	return count
}
