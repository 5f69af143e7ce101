//go:build !linux

package awake

const canNap = false

func nap() (whole bool) { return true }
