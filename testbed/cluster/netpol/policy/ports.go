package policy

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// PortSet holds destination ports: all of every protocol, or some ranges.
type portSet struct {
	any    bool
	ranges []PortRange
}

// NumericPorts reads a rule's `ports` but for the named ones; an empty list means all ports.
func numericPorts(specs []networkingv1.NetworkPolicyPort) portSet {
	if len(specs) == 0 {
		return portSet{any: true}
	}
	var result portSet
	for _, spec := range specs {
		from, to := uint16(0), uint16(math.MaxUint16) // a protocol without a port means all of its ports
		if spec.Port != nil {
			if spec.Port.Type == intstr.String {
				continue
			}
			from = uint16(spec.Port.IntVal)
			to = from
			if spec.EndPort != nil {
				to = uint16(*spec.EndPort)
			}
		}
		result.ranges = append(result.ranges, PortRange{protocolOf(spec), from, to})
	}
	return result
}

// NamedPorts resolves the named ports of a rule as the endpoint that is talked to names them.
func namedPorts(specs []networkingv1.NetworkPolicyPort, target endpoint) portSet {
	var result portSet
	for _, spec := range specs {
		if spec.Port != nil && spec.Port.Type == intstr.String {
			result.ranges = append(result.ranges, target.resolve(spec.Port.StrVal, protocolOf(spec))...)
		}
	}
	return result
}

func protocolOf(spec networkingv1.NetworkPolicyPort) corev1.Protocol {
	if spec.Protocol == nil {
		return corev1.ProtocolTCP
	}
	return orTCP(*spec.Protocol)
}

func (p portSet) and(other portSet) portSet {
	return portSet{any: p.any || other.any, ranges: append(append([]PortRange{}, p.ranges...), other.ranges...)}
}

// Within gives the ports that are also in limits.
func (p portSet) within(limits []PortRange) portSet {
	if p.any {
		return portSet{ranges: limits}
	}
	var result portSet
	for _, own := range p.ranges {
		for _, limit := range limits {
			from, to := max(own.From, limit.From), min(own.To, limit.To)
			if own.Protocol == limit.Protocol && from <= to {
				result.ranges = append(result.ranges, PortRange{own.Protocol, from, to})
			}
		}
	}
	return result
}
