package kafka

import (
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
)

// TestSCRAMLogsIn logs in to an in-process broker with both hashes, through sarama and the dialer.
func TestSCRAMLogsIn(t *testing.T) {
	const user, password = "alice", "pässwörd, with=comma"
	for _, mechanism := range []string{MechanismSCRAM256, MechanismSCRAM512, MechanismPlain} {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(mechanism, user, password))
		if err != nil {
			t.Fatal(err)
		}
		module := map[bool]string{true: "x.PlainLoginModule", false: "x.ScramLoginModule"}[mechanism == MechanismPlain]
		login := func(password string) error {
			s := mustSarama(t, RoleAdmin, "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", mechanism,
				"sasl.jaas.config", module+` required username="`+user+`" password="`+password+`";`)
			broker := sarama.NewBroker(cluster.ListenAddrs()[0])
			if err := broker.Open(s); err != nil {
				return err
			}
			if _, err := broker.Connected(); err != nil {
				return err
			}
			return broker.Close()
		}
		if err := login(password); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		if err := login("wrong"); err == nil {
			t.Errorf("%s: a wrong password logs in", mechanism)
		}
		cluster.Close()
	}
}

func TestSCRAMMarksDelegationTokens(t *testing.T) {
	exchange := &scramExchange{mechanism: MechanismSCRAM256, delegationToken: true}
	if _, err := exchange.Step(""); err == nil {
		t.Error("a step before the beginning is no error")
	}
	if err := exchange.Begin("id", "hmac", ""); err != nil {
		t.Fatal(err)
	}
	first, err := exchange.Step("")
	if err != nil || !strings.HasPrefix(first, "n,,n=id,r=") || !strings.HasSuffix(first, ",tokenauth=true") {
		t.Errorf("first message %q, %v", first, err)
	}
	if _, err := exchange.Step("r=forged,s=AAAA,i=4096"); err == nil || exchange.Done() {
		t.Errorf("a forged answer is taken: %v", err)
	}
}
