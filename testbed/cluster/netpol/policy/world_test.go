package policy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// The world of the tests: two teams, an address a pod. "a" is in namespace alpha, and so on.
var addresses = map[string]string{
	"alpha/web": "10.244.0.10", "alpha/db": "10.244.0.11", "alpha/job": "10.244.0.12",
	"beta/web": "10.244.0.20", "beta/db": "10.244.0.21",
	"node": "10.99.0.1", "outside": "192.0.2.7",
}

func world(policies ...string) Input {
	input := Input{
		Namespaces: []*corev1.Namespace{
			namespace("alpha", "team=a"), namespace("beta", "team=b"), namespace("kube-system", ""),
		},
		Pods: []*corev1.Pod{
			pod("alpha/web", "app=web", port("http", 8080)),
			pod("alpha/db", "app=db", port("sql", 5432)),
			pod("alpha/job", "app=job"),
			pod("beta/web", "app=web", port("http", 9090)),
			pod("beta/db", "app=db,tier=gold", port("sql", 5433)),
		},
		HostPods: []HostPod{mustHostPod("kube-system,k8s-app=kube-dns,10.99.0.1,dns=53")},
	}
	for _, text := range policies {
		input.Policies = append(input.Policies, networkPolicy(text))
	}
	return input
}

func namespace(name, labels string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labelsOf(labels)}}
}

func pod(key, labels string, ports ...corev1.ContainerPort) *corev1.Pod {
	space, name, _ := strings.Cut(key, "/")
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: name, Labels: labelsOf(labels)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Ports: ports}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: addresses[key]},
	}
}

func port(name string, number int32) corev1.ContainerPort {
	return corev1.ContainerPort{Name: name, ContainerPort: number}
}

func labelsOf(text string) map[string]string {
	result := map[string]string{}
	for _, pair := range strings.Split(text, ",") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			result[name] = value
		}
	}
	return result
}

func mustHostPod(text string) HostPod {
	host, err := ParseHostPod(text)
	if err != nil {
		panic(err)
	}
	return host
}

// NetworkPolicy reads "NAMESPACE: SPEC", with the spec in YAML's flow style; it is named after its text.
func networkPolicy(text string) *networkingv1.NetworkPolicy {
	space, spec, _ := strings.Cut(text, ": ")
	result := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: spec}}
	if err := yaml.UnmarshalStrict([]byte(spec), &result.Spec); err != nil {
		panic(err)
	}
	return result
}

// Flow reads "alpha/web > beta/db tcp/5432" and says whether the model lets a new connection through.
func allows(t *testing.T, model Model, flow string) bool {
	t.Helper()
	words := strings.Fields(flow)
	source, target := netip.MustParseAddr(addresses[words[0]]), netip.MustParseAddr(addresses[words[2]])
	protocol, number, _ := strings.Cut(words[3], "/")
	wanted := PortRange{Protocol: corev1.Protocol(strings.ToUpper(protocol))}
	for _, digit := range number {
		wanted.From = wanted.From*10 + uint16(digit-'0')
	}
	passes := func(isolated map[netip.Addr][]Rule, own, peer netip.Addr) bool {
		rules, isIsolated := isolated[own]
		return !isIsolated || slices.ContainsFunc(rules, func(rule Rule) bool {
			peerFits := rule.AnyPeer ||
				slices.ContainsFunc(rule.Peers, func(r netipx.IPRange) bool { return r.Contains(peer) })
			portFits := rule.AnyPort || slices.ContainsFunc(rule.Ports, func(r PortRange) bool {
				return r.Protocol == wanted.Protocol && r.From <= wanted.From && wanted.From <= r.To
			})
			return peerFits && portFits
		})
	}
	return passes(model.Egress, source, target) && passes(model.Ingress, target, source)
}

func compile(t *testing.T, input Input) Result {
	t.Helper()
	result, err := Compile(input)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func check(t *testing.T, input Input, allowed, denied []string) {
	t.Helper()
	model := compile(t, input).Model
	for _, flow := range allowed {
		if !allows(t, model, flow) {
			t.Errorf("%s is denied but should be allowed", flow)
		}
	}
	for _, flow := range denied {
		if allows(t, model, flow) {
			t.Errorf("%s is allowed but should be denied", flow)
		}
	}
}

func claimsOf(pairs ...string) map[types.NamespacedName]netip.Addr {
	result := map[types.NamespacedName]netip.Addr{}
	for i := 0; i < len(pairs); i += 2 {
		space, name, _ := strings.Cut(pairs[i], "/")
		result[types.NamespacedName{Namespace: space, Name: name}] = netip.MustParseAddr(pairs[i+1])
	}
	return result
}
