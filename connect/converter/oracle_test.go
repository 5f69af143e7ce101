package converter_test

import (
	"testing"

	"tributary/connect/converter"
	"tributary/test/oracle"
)

func TestConvertersAnswerAsJavaDoes(t *testing.T) {
	oracle.Load(t, converter.Plugins("4.3.1")).Run(t, "testdata/converters", nil)
}
