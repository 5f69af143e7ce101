package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/sasl"
	bearer "github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// Login is one SASL login in progress, for clients that speak the protocol themselves.
type Login interface {
	// Challenge takes a broker's answer and returns whether the login is done, and what to send next.
	Challenge(answer []byte) (done bool, next []byte, err error)
}

// BeginLogin begins to log in to a broker; first is what to send first. A Kerberos server is asked on the way, which
// ctx does not end: its library has time limits of its own.
func (s *SASL) BeginLogin(ctx context.Context, host string) (login Login, first []byte, err error) {
	if s.Kerberos != nil {
		return s.Kerberos.begin(ctx, host)
	}
	mechanism, err := s.mechanism(ctx)
	if err != nil {
		return nil, nil, err
	}
	return mechanism.Authenticate(ctx, host)
}

func (s *SASL) mechanism(ctx context.Context) (sasl.Mechanism, error) {
	switch s.Mechanism {
	case MechanismPlain:
		return plain.Auth{User: s.Username, Pass: s.Password.Reveal()}.AsMechanism(), nil
	case MechanismSCRAM256, MechanismSCRAM512:
		return scramMechanism(s.Mechanism, s.Username, s.Password.Reveal(), s.DelegationToken), nil
	case MechanismOAuth:
		token, err := s.Token(ctx)
		if err != nil {
			return nil, err
		}
		return bearer.Auth{Token: token.Value.Reveal(), Extensions: token.Extensions}.AsMechanism(), nil
	}
	return nil, fmt.Errorf("there is no login with sasl.mechanism = %s here", s.Mechanism)
}
