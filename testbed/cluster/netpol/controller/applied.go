package controller

import (
	"net/netip"

	"airflow-platform/testbed/cluster/netpol/policy"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Applied tells which state of the API the kernel's rules stand for.
type Applied struct {
	// Generation counts the changes of the kernel's rules since this process started.
	Generation int `json:"generation"`
	// Namespaces and Policies give the resourceVersion by name, or by "namespace/name".
	Namespaces map[string]string `json:"namespaces"`
	Policies   map[string]string `json:"policies"`
	// Pods holds those that have an address in the rules, by "namespace/name".
	Pods map[string]AppliedPod `json:"pods"`
}

// AppliedPod is a pod as the rules know it.
type AppliedPod struct {
	Address         netip.Addr `json:"address"`
	ResourceVersion string     `json:"resourceVersion"`
}

func newApplied(
	before *Applied,
	changed bool,
	namespaces []*corev1.Namespace,
	pods []*corev1.Pod,
	policies []*networkingv1.NetworkPolicy,
	addresses map[types.NamespacedName]netip.Addr,
) *Applied {
	result := &Applied{
		Namespaces: map[string]string{}, Policies: map[string]string{}, Pods: map[string]AppliedPod{},
	}
	if before != nil {
		result.Generation = before.Generation
	}
	if changed {
		result.Generation++
	}
	for _, namespace := range namespaces {
		result.Namespaces[namespace.Name] = namespace.ResourceVersion
	}
	for _, policy := range policies {
		result.Policies[policy.Namespace+"/"+policy.Name] = policy.ResourceVersion
	}
	for _, pod := range pods {
		if address, ok := addresses[policy.KeyOf(pod)]; ok {
			result.Pods[pod.Namespace+"/"+pod.Name] = AppliedPod{address, pod.ResourceVersion}
		}
	}
	return result
}
