package nft

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"airflow-platform/testbed/cluster/netpol/policy"
	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/knftables"
)

const (
	podA = "10.244.0.10"
	podB = "10.244.0.11"
	podC = "10.244.0.12"
)

var options = Options{PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), Reject: true}

func ports(protocol corev1.Protocol, from, to uint16) []policy.PortRange {
	return []policy.PortRange{{Protocol: protocol, From: from, To: to}}
}

func peer(text string) []netipx.IPRange {
	if !strings.Contains(text, "-") {
		text += "-" + text
	}
	return []netipx.IPRange{netipx.MustParseIPRange(text)}
}

func known(addresses ...string) policy.Model {
	model := policy.Model{Ingress: map[netip.Addr][]policy.Rule{}, Egress: map[netip.Addr][]policy.Rule{}}
	for _, address := range addresses {
		model.Known = append(model.Known, ip(address))
	}
	return model
}

func TestEqualModelsGiveEqualTextAndValidTransactions(t *testing.T) {
	model := known(podA, podB)
	rules := []policy.Rule{
		{Peers: peer("0.0.0.0-10.0.0.0"), Ports: append(ports("TCP", 1, 2), ports("UDP", 7, 7)...)},
		{AnyPeer: true, AnyPort: true},
	}
	model.Egress[ip(podA)] = rules
	model.Egress[ip(podB)] = rules
	render := func() *knftables.Transaction {
		tx := knftables.NewFake(knftables.InetFamily, Table).NewTransaction()
		Render(tx, model, options)
		return tx
	}
	text := render().String()
	if text != render().String() {
		t.Error("two renderings differ")
	}
	if err := knftables.NewFake(knftables.InetFamily, Table).Run(context.Background(), render()); err != nil {
		t.Error(err)
	}
	if strings.Count(text, "add chain inet netpol out-") != 1 {
		t.Errorf("two pods with the same rules do not share a chain:\n%s", text)
	}
	for _, line := range []string{" tcp dport { 1-2 } return", " udp dport { 7 } return", "{ 0.0.0.0-10.0.0.0 }"} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is missing in\n%s", line, text)
		}
	}
}

// Enforce applies the model in the node's namespace.
func (n network) enforce(t *testing.T, kernel *Kernel, model policy.Model) bool {
	t.Helper()
	var changed bool
	var err error
	n.node.in(func() { changed, err = kernel.Apply(context.Background(), model) })
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func (n network) kernel(t *testing.T, options Options) *Kernel {
	t.Helper()
	var kernel *Kernel
	var err error
	n.node.in(func() { kernel, err = NewKernel(options) })
	if err != nil {
		t.Fatal(err)
	}
	return kernel
}

// Expect checks flows, "SOURCE PROTOCOL TARGET" each.
func (n network) expect(t *testing.T, outcomes map[string]string) {
	t.Helper()
	for _, flow := range slices.Sorted(maps.Keys(outcomes)) {
		words := strings.Fields(flow)
		from := n.node
		if words[0] != nodeIP {
			from = n.pods[words[0]]
		}
		if got := from.try(t, words[1], words[2]); got != outcomes[flow] {
			t.Errorf("%s: %s, want %s", flow, got, outcomes[flow])
		}
	}
}

func TestTheKernelEnforcesAModel(t *testing.T) {
	n := newNetwork(t, podA, podB, podC)
	kernel := n.kernel(t, options)
	model := known(podA, podB, podC)

	n.enforce(t, kernel, model)
	n.expect(t, map[string]string{
		podA + " tcp " + podB + ":8000":   answered,
		podA + " udp " + podB + ":5000":   answered,
		podA + " tcp " + nodeIP + ":6443": answered,
		podA + " tcp 10.96.0.1:443":       answered,
		nodeIP + " tcp " + podA + ":8000": answered,
	})

	model.Ingress[ip(podB)] = []policy.Rule{
		{Peers: peer(podA), Ports: ports("TCP", 8000, 8000)},
		{Peers: peer(podC + "-10.244.0.13"), Ports: append(ports("TCP", 8001, 9000), ports("UDP", 5000, 5000)...)},
	}
	n.enforce(t, kernel, model)
	n.expect(t, map[string]string{
		podA + " tcp " + podB + ":8000":   answered,
		podA + " tcp " + podB + ":8001":   prohibited,
		podA + " udp " + podB + ":5000":   prohibited,
		podC + " tcp " + podB + ":8000":   prohibited,
		podC + " tcp " + podB + ":8001":   answered,
		podC + " udp " + podB + ":5000":   answered,
		podB + " tcp " + podA + ":8000":   answered, // replies come back in spite of the isolation
		podA + " tcp " + podC + ":8000":   answered,
		nodeIP + " tcp " + podB + ":8001": answered, // probes
	})

	model.Ingress = map[netip.Addr][]policy.Rule{}
	model.Egress[ip(podA)] = nil // isolated, nothing allowed
	model.Egress[ip(podC)] = []policy.Rule{{Peers: peer(nodeIP), Ports: ports("TCP", 6443, 6443)}}
	n.enforce(t, kernel, model)
	n.expect(t, map[string]string{
		podA + " tcp " + podB + ":8000":    prohibited,
		podA + " tcp " + nodeIP + ":6443":  prohibited,
		podA + " tcp " + gateway + ":8000": prohibited, // the node's address on the pod's own link
		podA + " tcp 10.96.0.1:443":        prohibited, // and the refusal finds its way back through the DNAT
		podA + " udp " + nodeIP + ":53":    prohibited,
		podB + " tcp " + podA + ":8000":    answered,
		podC + " tcp 10.96.0.1:443":        answered,
		podC + " tcp " + nodeIP + ":8000":  prohibited,
		nodeIP + " tcp " + podA + ":8000":  answered,
	})
}

func TestDeniedPacketsAreDroppedByDefault(t *testing.T) {
	n := newNetwork(t, podA, podB)
	model := known(podA, podB)
	model.Ingress[ip(podB)] = nil
	n.enforce(t, n.kernel(t, Options{PodCIDR: options.PodCIDR}), model)
	n.expect(t, map[string]string{podA + " tcp " + podB + ":8000": silence})
}

func TestAPodThatIsNotKnownYetIsDroppedInBothDirections(t *testing.T) {
	n := newNetwork(t, podA, podB)
	n.enforce(t, n.kernel(t, options), known(podA))
	n.expect(t, map[string]string{
		podA + " tcp " + podB + ":8000":   silence,
		podB + " tcp " + podA + ":8000":   silence,
		podB + " tcp " + nodeIP + ":6443": silence,
		nodeIP + " tcp " + podB + ":8000": answered,
		nodeIP + " tcp " + podA + ":8000": answered,
	})
}

func TestAForgedSourceIsDropped(t *testing.T) {
	n := newNetwork(t, podA, podB, podC)
	model := known(podA, podB, podC)
	model.Ingress[ip(podB)] = []policy.Rule{{Peers: peer(podA), AnyPort: true}}
	n.enforce(t, n.kernel(t, options), model)
	// The answer would go to the real podA: what counts is whether the datagram arrives.
	n.pods[podC].shell(t, "ip addr add "+podA+"/32 dev eth0")
	var inbox net.PacketConn
	var err error
	n.pods[podB].in(func() { inbox, err = net.ListenPacket("udp4", ":6000") })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inbox.Close() }()
	send := func(pod string) {
		t.Helper()
		n.pods[pod].in(func() {
			var socket *net.UDPConn
			target := &net.UDPAddr{IP: net.ParseIP(podB), Port: 6000}
			if socket, err = net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(podA)}, target); err == nil {
				_, err = socket.Write([]byte(pod))
				_ = socket.Close()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	send(podC)
	send(podA) // arrives after the forged one would have
	buffer := make([]byte, 64)
	size, _, err := inbox.ReadFrom(buffer)
	if err != nil || string(buffer[:size]) != podA {
		t.Errorf("first to arrive: %q (%v), want the datagram of %s", buffer[:size], err, podA)
	}
}

func TestAnEstablishedConnectionSurvivesATighterPolicy(t *testing.T) {
	n := newNetwork(t, podA, podB)
	kernel := n.kernel(t, options)
	model := known(podA, podB)
	n.enforce(t, kernel, model)
	connection, outcome := n.pods[podA].open(t, "tcp", podB+":8000")
	if connection == nil {
		t.Fatal(outcome)
	}
	defer func() { _ = connection.Close() }()
	model.Ingress[ip(podB)] = nil
	n.enforce(t, kernel, model)
	n.expect(t, map[string]string{podA + " tcp " + podB + ":8000": prohibited})
	if outcome := talk(t, connection); outcome != answered {
		t.Errorf("the old connection: %s", outcome)
	}
}

func TestOnlyChangesReachTheKernelAndALostTableComesBack(t *testing.T) {
	n := newNetwork(t, podA, podB)
	kernel := n.kernel(t, options)
	model := known(podA, podB)
	if !n.enforce(t, kernel, model) || n.enforce(t, kernel, model) {
		t.Error("expected the first application to change the kernel and the second not to")
	}
	n.node.shell(t, "nft flush ruleset")
	if !n.enforce(t, kernel, model) {
		t.Error("the table was not put back")
	}
}

func TestGuardKeepsTheRulesOfAnEarlierRunAndElseLetsNoPodTalk(t *testing.T) {
	n := newNetwork(t, podA, podB)
	guard := func() {
		t.Helper()
		kernel := n.kernel(t, options)
		var err error
		n.node.in(func() { err = kernel.Guard(context.Background()) })
		if err != nil {
			t.Fatal(err)
		}
	}
	guard()
	n.expect(t, map[string]string{podA + " tcp " + podB + ":8000": silence})
	n.enforce(t, n.kernel(t, options), known(podA, podB))
	guard()
	n.expect(t, map[string]string{podA + " tcp " + podB + ":8000": answered})
}

func TestPodsCannotGoAroundThePoliciesOverIPv6(t *testing.T) {
	n := newNetwork(t, podA)
	var address string
	n.node.in(func() {
		out, _ := exec.Command("sh", "-c", "ip -6 -o addr show dev veth0 scope link | awk '{print $4}' | cut -d/ -f1").Output()
		address = strings.TrimSpace(string(out))
	})
	if address == "" {
		t.Skip("this kernel gives interfaces no link-local address")
	}
	var listener net.Listener
	var err error
	n.node.in(func() { listener, err = net.Listen("tcp6", ":7000") })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	target := "[" + address + "%eth0]:7000"
	connection, outcome := n.pods[podA].dial(t, "tcp6", target)
	if connection == nil {
		t.Fatalf("without rules: %s", outcome) // else the rest would show nothing
	}
	_ = connection.Close()
	model := known(podA)
	model.Egress[ip(podA)] = nil
	n.enforce(t, n.kernel(t, options), model)
	if connection, outcome = n.pods[podA].dial(t, "tcp6", target); connection != nil || outcome != silence {
		t.Errorf("with rules: connected %t, %s", connection != nil, outcome)
	}
}
