package nft

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Space is a network namespace without a name: it lives as long as the thread that made it, so that nothing
// is left behind however a test ends.
type space struct {
	path string
	work chan func()
}

func newSpace(t *testing.T) *space {
	t.Helper()
	s := &space{work: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		s.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		for task := range s.work {
			task()
		}
	}()
	t.Cleanup(func() { close(s.work) })
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	return s
}

// In runs the task, and what it executes, in the namespace.
func (s *space) in(task func()) {
	done := make(chan struct{})
	s.work <- func() { defer close(done); task() }
	<-done
}

func (s *space) shell(t *testing.T, script string) {
	t.Helper()
	var out []byte
	var err error
	s.in(func() { out, err = exec.Command("sh", "-ec", script).CombinedOutput() })
	if err != nil {
		t.Fatalf("%s\n%s%v", script, out, err)
	}
}

const (
	nodeIP  = "10.99.0.1"
	gateway = "10.244.0.1"
)

// Network is a node with pods, connected as the CNI plugin ptp does it, and a Service address for node:6443.
type network struct {
	node *space
	pods map[string]*space
}

func newNetwork(t *testing.T, addresses ...string) network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	n := network{node: newSpace(t), pods: map[string]*space{}}
	n.node.shell(t, `ip link set lo up; ip link add node0 type bridge; ip addr add `+nodeIP+`/24 dev node0
		ip link set node0 up; ip route add unreachable default; ip route add 10.96.0.0/16 dev node0
		echo 1 > /proc/sys/net/ipv4/ip_forward
		nft add table ip nat; nft add chain ip nat prerouting '{ type nat hook prerouting priority dstnat; }'
		nft add rule ip nat prerouting ip daddr 10.96.0.1 tcp dport 443 dnat to `+nodeIP+`:6443`)
	for i, address := range addresses {
		pod := newSpace(t)
		for _, side := range []*space{n.node, pod} { // IPv6 addresses are to be there at once, unchecked
			side.shell(t, "[ ! -d /proc/sys/net/ipv6 ] || echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad")
		}
		n.pods[address] = pod
		n.node.shell(t, fmt.Sprintf(`ip link add veth%d type veth peer name eth0 netns %s; ip link set veth%d up
			ip addr add %s/32 dev veth%d; ip route add %s/32 dev veth%d`, i, pod.path, i, gateway, i, address, i))
		pod.shell(t, fmt.Sprintf(`ip link set lo up; ip link set eth0 up; ip addr add %s/32 dev eth0
			ip route add %s dev eth0 src %s; ip route add default via %s`, address, gateway, address, gateway))
		pod.serve(t, "tcp:8000", "tcp:8001", "udp:5000")
	}
	n.node.serve(t, "tcp:6443", "tcp:8000", "udp:53")
	return n
}

// Serve answers on these ports until the test ends.
func (s *space) serve(t *testing.T, ports ...string) {
	t.Helper()
	for _, text := range ports {
		protocol, port, _ := strings.Cut(text, ":")
		var err error
		var closer interface{ Close() error }
		s.in(func() {
			if protocol == "tcp" {
				var listener net.Listener
				if listener, err = net.Listen("tcp4", ":"+port); err == nil {
					closer = listener
					go echoTCP(listener)
				}
				return
			}
			var socket net.PacketConn
			if socket, err = net.ListenPacket("udp4", ":"+port); err == nil {
				closer = socket
				go echoUDP(socket)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = closer.Close() })
	}
}

func echoTCP(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = connection.Close() }()
			buffer := make([]byte, 64)
			for {
				n, err := connection.Read(buffer)
				if err != nil {
					return
				}
				_, _ = connection.Write(buffer[:n])
			}
		}()
	}
}

func echoUDP(socket net.PacketConn) {
	buffer := make([]byte, 64)
	for {
		n, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		_, _ = socket.WriteTo(buffer[:n], from)
	}
}

// What a client sees.
const (
	answered   = "answered"
	prohibited = "prohibited" // at once, by an ICMP error
	silence    = "silence"
)

// Try sends a word from the namespace and waits for its echo.
func (s *space) try(t *testing.T, protocol, target string) string {
	t.Helper()
	connection, outcome := s.open(t, protocol, target)
	if connection == nil {
		return outcome
	}
	defer func() { _ = connection.Close() }()
	return talk(t, connection)
}

func (s *space) open(t *testing.T, protocol, target string) (net.Conn, string) {
	t.Helper()
	return s.dial(t, protocol+"4", target)
}

func (s *space) dial(t *testing.T, network, target string) (net.Conn, string) {
	t.Helper()
	var connection net.Conn
	var err error
	// Shorter than the first retransmission (1 s): silence is seen soon, and the loopback answers in microseconds.
	s.in(func() { connection, err = net.DialTimeout(network, target, 600*time.Millisecond) })
	if err != nil {
		return nil, outcomeOf(t, err)
	}
	return connection, ""
}

func talk(t *testing.T, connection net.Conn) string {
	t.Helper()
	_ = connection.SetDeadline(time.Now().Add(600 * time.Millisecond))
	buffer := make([]byte, 8)
	_, err := connection.Write([]byte("hello"))
	if err == nil {
		_, err = connection.Read(buffer)
	}
	return outcomeOf(t, err)
}

func outcomeOf(t *testing.T, err error) string {
	t.Helper()
	var timeout net.Error
	switch {
	case err == nil:
		return answered
	case errors.Is(err, syscall.EHOSTUNREACH):
		return prohibited
	case errors.As(err, &timeout) && timeout.Timeout():
		return silence
	}
	t.Fatalf("unexpected: %v", err)
	return ""
}

func ip(text string) netip.Addr { return netip.MustParseAddr(text) }
