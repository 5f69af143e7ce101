package kafka

import (
	"reflect"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/IBM/sarama"
)

// A broker may ask to be left alone for a while, and sarama obeys: the next call on the connection waits, and nothing ends
// its waiting, neither a context nor the end of the connection. The broker chooses for how long, up to 24 days.
//
// What keeps a call is a timer, which the functions here find in sarama's Broker and let run out.

var (
	throttleTimer = fieldOffset[sarama.Broker]("throttleTimer", reflect.TypeFor[*time.Timer]())
	throttleLock  = fieldOffset[sarama.Broker]("throttleTimerLock", reflect.TypeFor[sync.Mutex]())
)

func fieldOffset[T any](name string, kind reflect.Type) uintptr {
	field, ok := reflect.TypeFor[T]().FieldByName(name)
	if !ok || field.Type != kind {
		panic("sarama no longer has the field " + name + "; the tests of throttled calls and of batches say what for")
	}
	return field.Offset
}

// release ends the waiting of calls that sarama holds back. The connection under them should be cut.
func release(broker *sarama.Broker) {
	lock := (*sync.Mutex)(unsafe.Add(unsafe.Pointer(broker), throttleLock))
	timer := (*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(broker), throttleTimer))
	// The lock is held by who waits for the timer; it stays as it is until that one has woken up.
	if lock.TryLock() {
		defer lock.Unlock()
	}
	if t := (*time.Timer)(atomic.LoadPointer(timer)); t != nil {
		t.Reset(0)
	}
}
