package transform_test

import (
	"testing"

	"tributary/connect/converter"
	"tributary/connect/predicate"
	"tributary/connect/transform"
	"tributary/test/oracle"
)

func plugins(t *testing.T) *oracle.Plugins {
	t.Helper()
	return oracle.Load(t, converter.Plugins("4.3.1"), transform.Plugins("4.3.1"), predicate.Plugins("4.3.1"))
}

func TestRecordsBecomeWhatJavaMakesOfThem(t *testing.T) {
	const (
		digits = "Java before 19 prints more digits of a float32 than are needed"
		early  = "a setting that cannot work is refused at the start, by Java with each record"
		shy    = "the message does not show the record's data"
	)
	plugins(t).Run(t, "testdata/transforms", map[string]string{
		"cast whole to float32/8/value": digits, "cast whole to float32/8/valueJson": digits, "cast whole with schema to float32/9/value": digits,
		"cast fields to float32/0/value": digits, "cast fields to float32/0/valueJson": digits,
		"extract path ": early, "regex router .* $9": early,
		"timestamp router {}/2": shy, "timestamp router {'topic_format': 'fixed'}/2": shy, "timestamp router {'timestamp_format': 'YYYY-ww EEE'}/2": shy,
		`timestamp router {'topic_format': '${timestamp}/${topic}/${topic}', 'timestamp_format': "yyyy-MM-dd'T'HH:mm:ss.SSSX"}/2`: shy,
	})
}

func TestSettingsAreDeclaredAsInJava(t *testing.T) {
	plugins(t).Run(t, "testdata/definitions", nil)
}
