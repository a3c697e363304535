package policy

import (
	"fmt"
	"net/netip"

	"go4.org/netipx"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// PeerSet is the other side of a rule: everybody, or selected endpoints and address blocks.
type peerSet struct {
	any    bool
	pods   []endpoint
	hosts  []endpoint
	blocks *netipx.IPSet
}

// Peers reads a rule's `from` or `to`; an empty one means everybody.
func (c compiler) peers(namespace string, specs []networkingv1.NetworkPolicyPeer) (peerSet, error) {
	if len(specs) == 0 {
		return peerSet{any: true}, nil
	}
	var result peerSet
	var blocks netipx.IPSetBuilder
	for _, spec := range specs {
		if spec.IPBlock != nil {
			block, err := addressesOf(spec.IPBlock)
			if err != nil {
				return peerSet{}, err
			}
			blocks.AddSet(block) // an exception counts for its own block only
			continue
		}
		matches, err := c.matcher(namespace, spec)
		if err != nil {
			return peerSet{}, err
		}
		result.pods = append(result.pods, filter(c.pods, matches)...)
		result.hosts = append(result.hosts, filter(c.hosts, matches)...)
	}
	var err error
	result.blocks, err = blocks.IPSet()
	return result, err
}

// Matcher: a namespaceSelector alone means all pods of those namespaces, a podSelector alone those of the
// policy's own namespace, both together the selected pods of the selected namespaces.
func (c compiler) matcher(namespace string, spec networkingv1.NetworkPolicyPeer) (func(endpoint) bool, error) {
	pods := labels.Everything()
	if spec.PodSelector != nil {
		var err error
		if pods, err = metav1.LabelSelectorAsSelector(spec.PodSelector); err != nil {
			return nil, fmt.Errorf("podSelector: %w", err)
		}
	}
	if spec.NamespaceSelector == nil {
		return func(e endpoint) bool { return e.key.Namespace == namespace && pods.Matches(e.labels) }, nil
	}
	namespaces, err := metav1.LabelSelectorAsSelector(spec.NamespaceSelector)
	if err != nil {
		return nil, fmt.Errorf("namespaceSelector: %w", err)
	}
	return func(e endpoint) bool {
		own, exists := c.namespaces[e.key.Namespace]
		return exists && namespaces.Matches(own) && pods.Matches(e.labels)
	}, nil
}

func addressesOf(block *networkingv1.IPBlock) (*netipx.IPSet, error) {
	var builder netipx.IPSetBuilder
	prefix, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return nil, fmt.Errorf("ipBlock: %w", err)
	}
	if prefix.Addr().Is4() { // pods have IPv4 addresses only: an IPv6 block matches nothing
		builder.AddPrefix(prefix.Masked())
	}
	for _, except := range block.Except {
		prefix, err := netip.ParsePrefix(except)
		if err != nil {
			return nil, fmt.Errorf("ipBlock.except: %w", err)
		}
		builder.RemovePrefix(prefix.Masked())
	}
	return builder.IPSet()
}

func filter(all []endpoint, matches func(endpoint) bool) []endpoint {
	var found []endpoint
	for _, candidate := range all {
		if matches(candidate) {
			found = append(found, candidate)
		}
	}
	return found
}

func onlyAddress(address netip.Addr) peerSet {
	return peerSet{pods: []endpoint{{address: address}}}
}

// Contains asks by selector and by address block, which holds pods and host pods as well as other addresses.
func (p peerSet) contains(e endpoint) bool {
	if p.any || (p.blocks != nil && p.blocks.Contains(e.address)) {
		return true
	}
	among := p.pods
	if e.only != nil {
		among = p.hosts
	}
	for _, candidate := range among {
		if candidate.key == e.key && candidate.address == e.address {
			return true
		}
	}
	return false
}

// Ranges gives the addresses in order, without overlaps. Host pods are missing: they are no whole addresses.
func (p peerSet) ranges() []netipx.IPRange {
	var builder netipx.IPSetBuilder
	for _, pod := range p.pods {
		builder.Add(pod.address)
	}
	if p.blocks != nil {
		builder.AddSet(p.blocks)
	}
	set, err := builder.IPSet()
	if err != nil { // only invalid prefixes make it fail, and none was added
		panic(err)
	}
	return set.Ranges()
}
