package kafka

import (
	"context"
	"errors"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// scramExchange lets sarama log in with franz-go's SCRAM, so both clients share one implementation.
// Like Java it does not normalise names and passwords.
type scramExchange struct {
	mechanism string
	// delegationToken marks user and password as the id and HMAC of a delegation token (KIP-48).
	delegationToken bool

	session sasl.Session
	first   []byte
	done    bool
}

var _ sarama.SCRAMClient = (*scramExchange)(nil)

// Begin prepares one login. authzID is always empty: sarama's configuration sets none.
func (s *scramExchange) Begin(user, password, _ string) error {
	var err error
	s.session, s.first, err = scramMechanism(s.mechanism, user, password, s.delegationToken).Authenticate(context.Background(), "")
	return err
}

func scramMechanism(name, user, password string, delegationToken bool) sasl.Mechanism {
	auth := scram.Auth{User: user, Pass: password, IsToken: delegationToken}
	if name == MechanismSCRAM512 {
		return auth.AsSha512Mechanism()
	}
	return auth.AsSha256Mechanism()
}

// Step answers a challenge. The first call has none.
func (s *scramExchange) Step(challenge string) (string, error) {
	if s.session == nil {
		return "", errors.New("SCRAM login was not begun")
	}
	if s.first != nil {
		first := s.first
		s.first = nil
		return string(first), nil
	}
	done, answer, err := s.session.Challenge([]byte(challenge))
	s.done = done
	return string(answer), err
}

// Done says that the server has proved to know the password.
func (s *scramExchange) Done() bool { return s.done }
