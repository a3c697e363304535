package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Input is what a model is compiled from.
type Input struct {
	Namespaces []*corev1.Namespace
	Pods       []*corev1.Pod
	Policies   []*networkingv1.NetworkPolicy
	HostPods   []HostPod
	// Claims are addresses that the CNI plugin handed out, which statuses don't tell yet.
	Claims map[types.NamespacedName]netip.Addr
}

// Result is a model, and the address that each evaluated pod has in it.
type Result struct {
	Model     Model
	Addresses map[types.NamespacedName]netip.Addr
}

// Compile fails only for a selector or CIDR that the API server would have refused.
func Compile(input Input) (Result, error) {
	c := compiler{namespaces: map[string]labels.Set{}, pods: endpoints(input.Pods, input.Claims)}
	for _, namespace := range input.Namespaces {
		c.namespaces[namespace.Name] = namespace.Labels
	}
	for _, host := range input.HostPods {
		c.hosts = append(c.hosts, host.endpoint())
	}
	result := Result{
		Model:     Model{Ingress: map[netip.Addr][]Rule{}, Egress: map[netip.Addr][]Rule{}},
		Addresses: map[types.NamespacedName]netip.Addr{},
	}
	for _, pod := range c.pods {
		result.Model.Known = append(result.Model.Known, pod.address)
		result.Addresses[pod.key] = pod.address
	}
	slices.SortFunc(result.Model.Known, netip.Addr.Compare)
	policies := slices.Clone(input.Policies)
	slices.SortFunc(policies, func(a, b *networkingv1.NetworkPolicy) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	for _, policy := range policies {
		if err := c.add(policy, &result.Model); err != nil {
			return Result{}, fmt.Errorf("NetworkPolicy %s/%s: %w", policy.Namespace, policy.Name, err)
		}
	}
	return result, nil
}

type compiler struct {
	namespaces map[string]labels.Set
	pods       []endpoint
	hosts      []endpoint
}

func (c compiler) add(policy *networkingv1.NetworkPolicy, model *Model) error {
	selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
	if err != nil {
		return fmt.Errorf("podSelector: %w", err)
	}
	isolatesIngress, isolatesEgress := directions(policy.Spec)
	var egress []Rule
	if isolatesEgress {
		if egress, err = c.egress(policy); err != nil {
			return err
		}
	}
	for _, pod := range c.pods {
		if pod.key.Namespace != policy.Namespace || !selector.Matches(pod.labels) {
			continue
		}
		if isolatesEgress {
			model.Egress[pod.address] = append(model.Egress[pod.address], egress...)
		}
		if isolatesIngress {
			ingress, err := c.ingress(policy, pod)
			if err != nil {
				return err
			}
			model.Ingress[pod.address] = append(model.Ingress[pod.address], ingress...)
		}
	}
	return nil
}

// Directions: a policy without policyTypes isolates ingress, and egress if it has rules for it.
func directions(spec networkingv1.NetworkPolicySpec) (ingress, egress bool) {
	if len(spec.PolicyTypes) == 0 {
		return true, len(spec.Egress) > 0
	}
	return slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeIngress),
		slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

func (c compiler) ingress(policy *networkingv1.NetworkPolicy, target endpoint) ([]Rule, error) {
	var rules []Rule
	for _, spec := range policy.Spec.Ingress {
		peers, err := c.peers(policy.Namespace, spec.From)
		if err != nil {
			return nil, err
		}
		if rule, ok := newRule(peers, numericPorts(spec.Ports).and(namedPorts(spec.Ports, target))); ok {
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

func (c compiler) egress(policy *networkingv1.NetworkPolicy) ([]Rule, error) {
	var rules []Rule
	add := func(peers peerSet, ports portSet) {
		if rule, ok := newRule(peers, ports); ok {
			rules = append(rules, rule)
		}
	}
	for _, spec := range policy.Spec.Egress {
		peers, err := c.peers(policy.Namespace, spec.To)
		if err != nil {
			return nil, err
		}
		numeric := numericPorts(spec.Ports)
		add(peers, numeric)
		// A named port means another number on every pod that has one of that name.
		for _, pod := range c.pods {
			if peers.contains(pod) {
				add(onlyAddress(pod.address), namedPorts(spec.Ports, pod))
			}
		}
		for _, host := range c.hosts {
			if peers.contains(host) {
				add(onlyAddress(host.address), numeric.and(namedPorts(spec.Ports, host)).within(host.only))
			}
		}
	}
	return rules, nil
}
