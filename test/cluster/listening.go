package cluster

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Listening gives the addresses on which a process, 0 for this one, takes TCP connections. It asks Linux, which alone
// knows: where there is no /proc the test is skipped.
func Listening(tb TB, pid int) []netip.AddrPort {
	tb.Helper()
	process := "/proc/self"
	if pid != 0 {
		process = fmt.Sprintf("/proc/%d", pid)
	}
	files, err := os.ReadDir(filepath.Join(process, "fd"))
	if os.IsNotExist(err) {
		tb.Skipf("there is no %s here to see what a process listens on", process)
	}
	if err != nil {
		tb.Fatalf("list the files of a process: %v", err)
	}
	sockets := map[string]bool{} // by inode
	for _, file := range files {
		// One that was closed meanwhile is no socket any more.
		target, _ := os.Readlink(filepath.Join(process, "fd", file.Name()))
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			sockets[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var listening []netip.AddrPort
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(filepath.Join(process, "net", table))
		if os.IsNotExist(err) {
			continue // no IPv6
		}
		if err != nil {
			tb.Fatalf("read the sockets of a process: %v", err)
		}
		for line := range strings.Lines(string(text)) {
			const local, state, inode, listen = 1, 3, 9, "0A"
			fields := strings.Fields(line)
			if len(fields) <= inode || fields[state] != listen || !sockets[fields[inode]] {
				continue
			}
			address, err := kernelAddress(fields[local])
			if err != nil {
				tb.Fatalf("%s has the line %q: %v", table, line, err)
			}
			listening = append(listening, address)
		}
	}
	slices.SortFunc(listening, netip.AddrPort.Compare)
	return listening
}

// kernelAddress reads 0100007F:1F90: words of the machine's own order, then the port.
func kernelAddress(text string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for at := 0; at+4 <= len(words); at += 4 {
		binary.BigEndian.PutUint32(words[at:], binary.NativeEndian.Uint32(words[at:]))
	}
	address, ok := netip.AddrFromSlice(words)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", host)
	}
	number, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), err
}
