// Package nft puts a policy model into the kernel: one table, replaced whole in one transaction.
package nft

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"airflow-platform/testbed/cluster/netpol/policy"
	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/knftables"
)

// Table is the name of the table, in the family inet.
const Table = "netpol"

// Options hold what does not depend on policies.
type Options struct {
	// PodCIDR is the pod network. Addresses outside are nobody's but an ipBlock's.
	PodCIDR netip.Prefix
	// Reject answers denied packets with "administratively prohibited" instead of silence.
	Reject bool
}

const (
	forwardChain = "forward"
	inputChain   = "input"
	guardChain   = "guard"
	denyChain    = "deny"
	knownSet     = "known"
	selfSet      = "self"
	egressMap    = "egress"
	ingressMap   = "ingress"
)

// Render gives the transaction that replaces the table by one for this model. Equal models give equal text.
func Render(tx *knftables.Transaction, model policy.Model, options Options) {
	tx.Add(&knftables.Table{}) // so that there is one to delete
	tx.Delete(&knftables.Table{})
	tx.Add(&knftables.Table{})
	r := renderer{tx: tx, sets: map[string]bool{}, chains: map[string]bool{}}
	r.known(model.Known)
	r.chain(denyChain, denial(options))
	r.dispatch(egressMap, model.Egress, "out", "ip daddr")
	r.dispatch(ingressMap, model.Ingress, "in", "ip saddr")
	r.hooks(options)
}

func denial(options Options) string {
	if options.Reject {
		// Not a TCP reset: that could not be told from a port where nobody listens.
		return "counter reject with icmpx admin-prohibited"
	}
	return "counter drop"
}

type renderer struct {
	tx     *knftables.Transaction
	sets   map[string]bool
	chains map[string]bool
}

func (r renderer) known(addresses []netip.Addr) {
	r.tx.Add(&knftables.Set{Name: knownSet, Type: "ipv4_addr"})
	r.tx.Add(&knftables.Set{Name: selfSet, Type: "ipv4_addr . ipv4_addr"})
	for _, address := range addresses {
		r.tx.Add(&knftables.Element{Set: knownSet, Key: []string{address.String()}})
		r.tx.Add(&knftables.Element{Set: selfSet, Key: []string{address.String(), address.String()}})
	}
}

func (r renderer) chain(name string, rules ...string) {
	r.tx.Add(&knftables.Chain{Name: name})
	for _, rule := range rules {
		r.tx.Add(&knftables.Rule{Chain: name, Rule: rule})
	}
}

// Dispatch sends each isolated pod to a chain that returns what is allowed and denies the rest. Pods with
// the same rules share a chain: its name is a hash of its content.
func (r renderer) dispatch(name string, isolated map[netip.Addr][]policy.Rule, prefix, peer string) {
	r.tx.Add(&knftables.Map{Name: name, Type: "ipv4_addr : verdict"})
	for _, address := range slices.SortedFunc(maps.Keys(isolated), netip.Addr.Compare) {
		var lines []string
		for _, rule := range isolated[address] {
			lines = append(lines, r.allow(rule, peer)...)
		}
		chain := prefix + "-" + hash(lines)
		if !r.chains[chain] {
			r.chains[chain] = true
			r.chain(chain, append(lines, "jump "+denyChain)...)
		}
		r.tx.Add(&knftables.Element{Map: name, Key: []string{address.String()}, Value: []string{"jump " + chain}})
	}
}

// Allow gives a line for each protocol of the rule, or one if the port does not matter.
func (r renderer) allow(rule policy.Rule, peer string) []string {
	match := ""
	if !rule.AnyPeer {
		match = peer + " @" + r.addresses(rule.Peers) + " "
	}
	if rule.AnyPort {
		return []string{match + "return"}
	}
	ports := map[corev1.Protocol][]string{}
	for _, port := range rule.Ports {
		text := fmt.Sprint(port.From)
		if port.To != port.From {
			text = fmt.Sprintf("%d-%d", port.From, port.To)
		}
		ports[port.Protocol] = append(ports[port.Protocol], text)
	}
	var lines []string
	for _, protocol := range slices.Sorted(maps.Keys(ports)) {
		lines = append(lines, fmt.Sprintf("%s%s dport { %s } return",
			match, strings.ToLower(string(protocol)), strings.Join(ports[protocol], ", ")))
	}
	return lines
}

// Addresses gives the name of a set of these ranges, adding it where it is new.
func (r renderer) addresses(ranges []netipx.IPRange) string {
	var elements []string
	for _, r := range ranges {
		if r.From() == r.To() {
			elements = append(elements, r.From().String())
		} else {
			elements = append(elements, r.String())
		}
	}
	name := "ip-" + hash(elements)
	if !r.sets[name] {
		r.sets[name] = true
		r.tx.Add(&knftables.Set{Name: name, Type: "ipv4_addr", Flags: []knftables.SetFlag{knftables.IntervalFlag}})
		for _, element := range elements {
			r.tx.Add(&knftables.Element{Set: name, Key: []string{element}})
		}
	}
	return name
}

// Hooks hang the table into the packet's way. Forward sees pod to pod and pod to outside, after kube-proxy's
// DNAT and before its masquerading; input sees pod to node. Output is left alone: the node may reach its pods.
func (r renderer) hooks(options Options) {
	cidr := options.PodCIDR.String()
	r.chain(guardChain,
		"ct state established,related accept",
		// Pods have IPv4 only; link-local IPv6, which no policy can name, must not lead around the policies.
		"meta nfproto ipv6 drop",
		// A source that is not routed back where it came from is forged.
		"fib saddr . iif oif missing counter drop",
		// A pod that was not evaluated waits in silence: its retry succeeds, a refusal would be final.
		fmt.Sprintf("ip saddr %s ip saddr != @%s counter drop", cidr, knownSet),
	)
	base := func(name string, hook knftables.BaseChainHook, rules ...string) {
		r.tx.Add(&knftables.Chain{
			Name:     name,
			Type:     knftables.PtrTo(knftables.FilterType),
			Hook:     knftables.PtrTo(hook),
			Priority: knftables.PtrTo(knftables.FilterPriority),
		})
		for _, rule := range rules {
			r.tx.Add(&knftables.Rule{Chain: name, Rule: rule})
		}
	}
	base(forwardChain, knftables.ForwardHook,
		"jump "+guardChain,
		fmt.Sprintf("ip daddr %s ip daddr != @%s counter drop", cidr, knownSet),
		fmt.Sprintf("ip saddr . ip daddr @%s accept", selfSet),
		"ip saddr vmap @"+egressMap,
		"ip daddr vmap @"+ingressMap,
	)
	base(inputChain, knftables.InputHook,
		"iif lo accept",
		"jump "+guardChain,
		"ip saddr vmap @"+egressMap,
	)
}

func hash(lines []string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:6])
}
