package kafka

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// gather sets SO_RCVLOWAT.
func gather(conn net.Conn, n int) {
	control(conn, func(fd int) { _ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) })
}

func roundTrip(conn net.Conn) (least time.Duration) {
	control(conn, func(fd int) {
		if info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO); err == nil {
			least = time.Duration(info.Min_rtt) * time.Microsecond
		}
	})
	return least
}

// control does something to a socket without TLS: what TLS has read from one already is not known here.
func control(conn net.Conn, do func(fd int)) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { do(int(fd)) })
		}
	}
}
