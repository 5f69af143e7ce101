//go:build !linux

package awake

const canNap = false

func nap() (whole, refused bool) { return true, false }
