package converter

import "tributary/connect"

// typeKey says what a converter is used for; the worker sets it.
var typeKey = connect.ConfigKey{Name: "converter.type", Type: connect.TypeString, Required: true, Importance: connect.Low,
	Validate: connect.OneOf("key", "value", "header"), Doc: "Whether the converter is for keys, values or headers; the worker sets it."}

// noSettings is the definition of converters without settings of their own.
var noSettings = connect.NewConfigDef(typeKey)

func dataError(err error, message string) error {
	return &connect.DataError{Message: message, Err: err}
}
