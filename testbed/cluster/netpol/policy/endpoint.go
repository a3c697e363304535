package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Endpoint is something that a selector can match: a pod, or a process of the node that counts as one.
type endpoint struct {
	key     types.NamespacedName
	labels  labels.Set
	address netip.Addr
	named   []namedPort
	// Only limits a host pod to its own ports: the node's address has others. Nil for a real pod.
	only []PortRange
}

type namedPort struct {
	name     string
	protocol corev1.Protocol
	port     uint16
}

func (e endpoint) resolve(name string, protocol corev1.Protocol) []PortRange {
	var found []PortRange
	for _, candidate := range e.named {
		if candidate.name == name && candidate.protocol == protocol {
			found = append(found, PortRange{protocol, candidate.port, candidate.port})
		}
	}
	return found
}

// HostPod is a process of the node that policies may select as if it were a pod: in a usual cluster the
// cluster's DNS is a pod, here it may be a process on the node's address.
type HostPod struct {
	Namespace string
	Labels    labels.Set
	Address   netip.Addr
	ports     []PortRange
	named     []namedPort
}

// ParseHostPod reads "NAMESPACE,LABEL=VALUE[,LABEL=VALUE…],ADDRESS,[NAME=]PORT[/PROTOCOL][,…]". A port
// without a protocol counts for TCP and UDP. Example: "kube-system,k8s-app=kube-dns,10.99.0.1,53".
func ParseHostPod(text string) (HostPod, error) {
	fail := func(why string) (HostPod, error) {
		return HostPod{}, fmt.Errorf("host pod %q: %s; "+
			"expected NAMESPACE,LABEL=VALUE,ADDRESS,PORT, as in kube-system,k8s-app=kube-dns,10.99.0.1,53", text, why)
	}
	fields := strings.Split(text, ",")
	host := HostPod{Namespace: fields[0], Labels: labels.Set{}}
	if host.Namespace == "" {
		return fail("the namespace is empty")
	}
	for _, field := range fields[1:] {
		name, value, isPair := strings.Cut(field, "=")
		if !host.Address.IsValid() {
			if isPair {
				host.Labels[name] = value
				continue
			}
			address, err := netip.ParseAddr(field)
			if err != nil || !address.Is4() {
				return fail(strconv.Quote(field) + " is neither a label nor an IPv4 address")
			}
			host.Address = address
			continue
		}
		if !isPair {
			name, value = "", field
		}
		number, protocol, hasProtocol := strings.Cut(value, "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil || port == 0 {
			return fail(strconv.Quote(field) + " is no port")
		}
		protocols := []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP}
		if hasProtocol {
			protocols = []corev1.Protocol{corev1.Protocol(strings.ToUpper(protocol))}
		}
		for _, protocol := range protocols {
			switch protocol {
			case corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
			default:
				return fail(strconv.Quote(string(protocol)) + " is none of TCP, UDP, SCTP")
			}
			host.ports = append(host.ports, PortRange{protocol, uint16(port), uint16(port)})
			if name != "" {
				host.named = append(host.named, namedPort{name, protocol, uint16(port)})
			}
		}
	}
	if len(host.Labels) == 0 || len(host.ports) == 0 {
		return fail("it needs at least one label, an address and a port")
	}
	return host, nil
}

func (h HostPod) endpoint() endpoint {
	key := types.NamespacedName{Namespace: h.Namespace, Name: "node process " + h.Address.String()}
	return endpoint{key: key, labels: h.Labels, address: h.Address, named: h.named, only: mergePorts(h.ports)}
}

// PodAddress gives the IPv4 address in the pod's status.
func PodAddress(pod *corev1.Pod) (netip.Addr, bool) {
	for _, ip := range append([]corev1.PodIP{{IP: pod.Status.PodIP}}, pod.Status.PodIPs...) {
		if address, err := netip.ParseAddr(ip.IP); err == nil && address.Is4() {
			return address, true
		}
	}
	return netip.Addr{}, false
}

// Takes part: a pod on the node's own network can't be told from the node, a completed one has lost its address.
func takesPart(pod *corev1.Pod) bool {
	done := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	return !pod.Spec.HostNetwork && !done
}

// Endpoints gives the pods that have an address. An address that the CNI plugin has just handed out (claims)
// beats the one in a status, which may be of an earlier sandbox. An address that is still claimed twice
// belongs to nobody until that is resolved: neither pod may borrow the other's rights.
func endpoints(pods []*corev1.Pod, claims map[types.NamespacedName]netip.Addr) []endpoint {
	claimed := map[netip.Addr]bool{}
	users := map[netip.Addr]int{}
	var found []endpoint
	for _, pod := range pods {
		if address, ok := claims[KeyOf(pod)]; ok && takesPart(pod) {
			claimed[address] = true
			users[address]++
			found = append(found, podEndpoint(pod, address))
		}
	}
	for _, pod := range pods {
		if _, ok := claims[KeyOf(pod)]; ok || !takesPart(pod) {
			continue
		}
		if address, ok := PodAddress(pod); ok && !claimed[address] {
			users[address]++
			found = append(found, podEndpoint(pod, address))
		}
	}
	unique := found[:0]
	for _, candidate := range found {
		if users[candidate.address] == 1 {
			unique = append(unique, candidate)
		}
	}
	return unique
}

// KeyOf gives the pod's namespace and name.
func KeyOf(pod *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
}

func podEndpoint(pod *corev1.Pod, address netip.Addr) endpoint {
	result := endpoint{key: KeyOf(pod), labels: pod.Labels, address: address}
	containers := append([]corev1.Container{}, pod.Spec.Containers...)
	for _, container := range pod.Spec.InitContainers {
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			containers = append(containers, container) // a sidecar serves as long as the pod does
		}
	}
	for _, container := range containers {
		for _, port := range container.Ports {
			if port.Name != "" {
				named := namedPort{port.Name, orTCP(port.Protocol), uint16(port.ContainerPort)}
				result.named = append(result.named, named)
			}
		}
	}
	return result
}

func orTCP(protocol corev1.Protocol) corev1.Protocol {
	if protocol == "" {
		return corev1.ProtocolTCP
	}
	return protocol
}
