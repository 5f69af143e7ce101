package rawkafka

import (
	"testing"

	"go.uber.org/goleak"

	"tributary/test/cluster/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kafkatest.LeftByKfake()) }
