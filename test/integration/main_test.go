package integration

import (
	"testing"

	"tributary/test/cluster"
)

func TestMain(m *testing.M) { cluster.Main(m) }
