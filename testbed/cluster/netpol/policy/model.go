// Package policy compiles Kubernetes objects to a model of what may pass: which pods are isolated in which
// direction, and for those the rules that let traffic through. It knows nothing of nftables and does no I/O.
package policy

import (
	"cmp"
	"net/netip"
	"slices"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
)

// Model is what the kernel has to know. Everything in it is sorted, so equal inputs give equal models.
type Model struct {
	// Known holds the address of every pod that was evaluated. Traffic from or to another address of the
	// pod network belongs to a pod whose policies are not in force yet.
	Known []netip.Addr
	// Ingress and Egress hold the pods that are isolated in that direction. A pod that is missing here may
	// talk freely; one with an empty list may not talk at all.
	Ingress, Egress map[netip.Addr][]Rule
}

// Rule lets traffic through. Its zero value matches nothing.
type Rule struct {
	// AnyPeer says that the other side does not matter; otherwise it must lie in Peers.
	AnyPeer bool
	Peers   []netipx.IPRange
	// AnyPort says that protocol and port do not matter (ICMP passes too); otherwise one of Ports must match.
	AnyPort bool
	Ports   []PortRange
}

// PortRange holds the destination ports From to To, both included, of one protocol.
type PortRange struct {
	Protocol corev1.Protocol
	From, To uint16
}

// NewRule gives the rule for these peers and ports; ok is false where it could not match anything.
func newRule(peers peerSet, ports portSet) (Rule, bool) {
	rule := Rule{AnyPeer: peers.any, AnyPort: ports.any}
	if !peers.any {
		rule.Peers = peers.ranges()
	}
	if !ports.any {
		rule.Ports = mergePorts(ports.ranges)
	}
	return rule, (rule.AnyPeer || len(rule.Peers) > 0) && (rule.AnyPort || len(rule.Ports) > 0)
}

// MergePorts sorts the ranges and joins those that overlap or touch: nft refuses overlapping elements.
func mergePorts(ranges []PortRange) []PortRange {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b PortRange) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	var merged []PortRange
	for _, next := range sorted {
		if len(merged) > 0 {
			last := &merged[len(merged)-1]
			if last.Protocol == next.Protocol && int(next.From) <= int(last.To)+1 {
				last.To = max(last.To, next.To)
				continue
			}
		}
		merged = append(merged, next)
	}
	return merged
}
