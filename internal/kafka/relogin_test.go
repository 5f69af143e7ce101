package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/jcmturner/gokrb5/v8/krberror"

	"tributary/internal/localkafka"
)

// sarama logs in again within a call when the session of a connection ends. After a login that failed brokers answer
// every request on it that it is not valid in the present state, for good.
func TestAConnectionIsGivenUpAfterALoginThatFailed(t *testing.T) {
	cluster := startCluster(t, localkafka.Options{})
	for name, c := range map[string]struct {
		err       error
		says      string
		retriable bool // while the producer's delivery.timeout.ms lasts, for example
	}{
		"no token":                {&tokenError{errors.New("no OAuth token from there")}, "cannot be logged in to: no OAuth token from there", true},
		"a login refused":         {sarama.Wrap(sarama.ErrSASLAuthenticationFailed, errors.New("re-authentication")), "refuses the login: check sasl.jaas.config", true},
		"no ticket":               {krberror.New(krberror.KDCError, "no such principal"), "no such principal", true},
		"a request after that":    {&ServerError{Code: int16(sarama.ErrIllegalSASLState)}, "takes no request before a login", true},
		"sarama's word for it":    {sarama.ErrIllegalSASLState, "takes no request before a login", true},
		"a mechanism that is off": {sarama.ErrUnsupportedSASLMechanism, "does not offer sasl.mechanism", false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t, RoleAdmin, cluster.Bootstrap())
			conn, err := open(cfg, cluster.Bootstrap(), 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.close()
			cfg.Security.SASL = &SASL{Mechanism: MechanismOAuth, Kerberos: &Kerberos{}} // as if it had logged in
			err = conn.do(t.Context(), func(*sarama.Broker) error { return fmt.Errorf("heartbeat: %w", c.err) })
			if !broken(err) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), cluster.Bootstrap()) {
				t.Errorf("broken is %t of %v", broken(err), err)
			}
			if IsRetriable(err) != c.retriable {
				t.Errorf("retriable is %t of %v", IsRetriable(err), err)
			}
		})
	}
	conn, err := open(testConfig(t, RoleAdmin, cluster.Bootstrap()), cluster.Bootstrap(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()
	err = conn.do(t.Context(), func(*sarama.Broker) error { return &ServerError{Code: int16(sarama.ErrNotLeaderForPartition)} })
	if broken(err) {
		t.Errorf("an answer has the connection given up: %v", err)
	}
}
