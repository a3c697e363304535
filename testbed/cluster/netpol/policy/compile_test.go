package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestPoliciesMeanWhatKubernetesSaysTheyMean(t *testing.T) {
	for name, c := range map[string]struct {
		policies        []string
		allowed, denied []string
	}{
		"without policies everything passes": {
			allowed: []string{"alpha/web > beta/db tcp/5433", "outside > alpha/db tcp/5432", "alpha/web > node tcp/6443"},
		},
		"policyTypes left out isolate ingress only": {
			policies: []string{"alpha: {podSelector: {}}"},
			allowed:  []string{"alpha/web > beta/web tcp/9090", "alpha/web > outside tcp/443"},
			denied:   []string{"beta/web > alpha/web tcp/8080", "alpha/web > alpha/db tcp/5432", "outside > alpha/web tcp/8080"},
		},
		"policyTypes left out with egress rules isolate both": {
			policies: []string{"alpha: {podSelector: {}, egress: [{ports: [{port: 443}]}]}"},
			allowed:  []string{"alpha/web > outside tcp/443"},
			denied:   []string{"alpha/web > outside tcp/80", "beta/web > alpha/web tcp/8080"},
		},
		"policyTypes Egress alone leaves ingress open": {
			policies: []string{"alpha: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}"},
			allowed:  []string{"beta/web > alpha/web tcp/8080", "alpha/db > beta/web tcp/9090"},
			denied:   []string{"alpha/web > beta/web tcp/9090", "alpha/web > node tcp/6443", "alpha/web > node udp/53"},
		},
		"an ingress policy type ignores egress rules": {
			policies: []string{"alpha: {podSelector: {}, policyTypes: [Ingress], egress: [{ports: [{port: 1}]}]}"},
			allowed:  []string{"alpha/web > outside tcp/443"},
		},
		"an empty rule allows everything": {
			policies: []string{"alpha: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}"},
			allowed:  []string{"outside > alpha/web udp/1", "alpha/web > node tcp/6443", "alpha/web > beta/db sctp/9"},
		},
		"policies add up": {
			policies: []string{
				"alpha: {podSelector: {}}",
				"alpha: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
				"alpha: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: job}}}]}]}",
			},
			allowed: []string{"alpha/web > alpha/db tcp/5432", "alpha/job > alpha/db tcp/5432"},
			denied:  []string{"beta/web > alpha/db tcp/5432", "alpha/db > alpha/web tcp/8080"},
		},
		"a podSelector means the policy's own namespace": {
			policies: []string{"alpha: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"},
			allowed:  []string{"alpha/job > alpha/web tcp/8080"},
			denied:   []string{"beta/web > alpha/web tcp/8080"},
		},
		"a namespaceSelector means all pods of those namespaces": {
			policies: []string{"alpha: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}]}]}"},
			allowed:  []string{"beta/web > alpha/web tcp/8080", "beta/db > alpha/web tcp/8080"},
			denied:   []string{"alpha/job > alpha/web tcp/8080"},
		},
		"an empty namespaceSelector means every pod but nothing outside": {
			policies: []string{"alpha: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"},
			allowed:  []string{"beta/web > alpha/web tcp/8080", "alpha/job > alpha/web tcp/8080"},
			denied:   []string{"outside > alpha/web tcp/8080"},
		},
		"both selectors in one peer must match": {
			policies: []string{"alpha: {podSelector: {}, ingress: [{from: " +
				"[{namespaceSelector: {matchLabels: {team: b}}, podSelector: {matchLabels: {app: web}}}]}]}"},
			allowed: []string{"beta/web > alpha/db tcp/5432"},
			denied:  []string{"beta/db > alpha/db tcp/5432", "alpha/web > alpha/db tcp/5432"},
		},
		"two peers are alternatives": {
			policies: []string{"alpha: {podSelector: {}, ingress: [{from: " +
				"[{namespaceSelector: {matchLabels: {team: b}}}, {podSelector: {matchLabels: {app: web}}}]}]}"},
			allowed: []string{"beta/db > alpha/db tcp/5432", "alpha/web > alpha/db tcp/5432"},
			denied:  []string{"alpha/job > alpha/db tcp/5432"},
		},
		"matchExpressions": {
			policies: []string{"beta: {podSelector: {matchExpressions: [{key: tier, operator: Exists}]}, ingress: [{from: " +
				"[{namespaceSelector: {}, podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [job, db]}]}}]}]}"},
			allowed: []string{"alpha/web > beta/db tcp/1", "beta/web > beta/db tcp/1", "alpha/job > beta/web tcp/1"},
			denied:  []string{"alpha/job > beta/db tcp/1", "alpha/db > beta/db tcp/1"},
		},
		"a selector that matches nobody allows nobody": {
			policies: []string{"alpha: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: none}}}]}]}"},
			denied:   []string{"alpha/job > alpha/web tcp/8080", "outside > alpha/web tcp/8080"},
		},
		"an ipBlock leaves its exceptions out": {
			policies: []string{"alpha: {podSelector: {}, policyTypes: [Egress], egress: " +
				"[{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.244.0.20/31, 10.99.0.0/24]}}]}]}"},
			allowed: []string{"alpha/web > outside tcp/443", "alpha/web > alpha/db tcp/5432"},
			denied:  []string{"alpha/web > beta/web tcp/9090", "alpha/web > beta/db tcp/5433", "alpha/web > node tcp/6443"},
		},
		"an exception counts for its own block only": {
			policies: []string{"alpha: {podSelector: {}, policyTypes: [Egress], egress: [{to: " +
				"[{ipBlock: {cidr: 10.0.0.0/8, except: [10.99.0.0/16]}}, {ipBlock: {cidr: 10.99.0.1/32}}]}]}"},
			allowed: []string{"alpha/web > node tcp/6443"},
		},
		"an IPv6 block matches nothing": {
			policies: []string{"alpha: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: '::/0'}}]}]}"},
			denied:   []string{"alpha/web > outside tcp/443"},
		},
		"a port without protocol is TCP": {
			policies: []string{"alpha: {podSelector: {}, ingress: [{ports: [{port: 8080}]}]}"},
			allowed:  []string{"beta/web > alpha/web tcp/8080"},
			denied:   []string{"beta/web > alpha/web udp/8080", "beta/web > alpha/web tcp/8081"},
		},
		"a protocol without port means all its ports": {
			policies: []string{"alpha: {podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}"},
			allowed:  []string{"beta/web > alpha/web udp/1", "beta/web > alpha/web udp/65535"},
			denied:   []string{"beta/web > alpha/web tcp/1"},
		},
		"endPort closes a range": {
			policies: []string{"alpha: {podSelector: {}, ingress: [{ports: [{protocol: SCTP, port: 100, endPort: 200}, {port: 9}]}]}"},
			allowed:  []string{"beta/web > alpha/web sctp/100", "beta/web > alpha/web sctp/200", "beta/web > alpha/web tcp/9"},
			denied:   []string{"beta/web > alpha/web sctp/99", "beta/web > alpha/web sctp/201", "beta/web > alpha/web tcp/150"},
		},
		"ports and peers must both match": {
			policies: []string{"alpha: {podSelector: {}, ingress: [" +
				"{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 1}]}, " +
				"{from: [{podSelector: {matchLabels: {app: job}}}], ports: [{port: 2}]}]}"},
			allowed: []string{"alpha/web > alpha/db tcp/1", "alpha/job > alpha/db tcp/2"},
			denied:  []string{"alpha/web > alpha/db tcp/2", "alpha/job > alpha/db tcp/1"},
		},
		"a named port of ingress is the target's own": {
			policies: []string{
				"alpha: {podSelector: {}, ingress: [{ports: [{port: http}]}]}",
				"beta: {podSelector: {}, ingress: [{ports: [{port: http}]}]}",
			},
			allowed: []string{"beta/db > alpha/web tcp/8080", "alpha/db > beta/web tcp/9090"},
			denied:  []string{"beta/db > alpha/web tcp/9090", "alpha/db > beta/web tcp/8080", "beta/db > alpha/db tcp/8080"},
		},
		"a named port of egress is resolved pod by pod": {
			policies: []string{"alpha: {podSelector: {matchLabels: {app: job}}, policyTypes: [Egress], egress: " +
				"[{to: [{namespaceSelector: {}}], ports: [{port: http}, {port: 7}]}]}"},
			allowed: []string{"alpha/job > alpha/web tcp/8080", "alpha/job > beta/web tcp/9090", "alpha/job > beta/db tcp/7"},
			denied:  []string{"alpha/job > beta/web tcp/8080", "alpha/job > alpha/web tcp/9090", "alpha/job > beta/db tcp/9090"},
		},
		"a named port of egress to anybody still means pods": {
			policies: []string{"alpha: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: sql}]}]}"},
			allowed:  []string{"alpha/job > alpha/db tcp/5432", "alpha/job > beta/db tcp/5433"},
			denied:   []string{"alpha/job > beta/db tcp/5432", "alpha/job > outside tcp/5432"},
		},
		"a named port needs the right protocol": {
			policies: []string{"alpha: {podSelector: {}, ingress: [{ports: [{port: http, protocol: UDP}]}]}"},
			denied:   []string{"beta/db > alpha/web udp/8080", "beta/db > alpha/web tcp/8080"},
		},
		"a host pod is selected by its labels and has its own ports only": {
			policies: []string{"alpha: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: " +
				"{matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], " +
				"ports: [{port: 53, protocol: UDP}, {port: 53}, {port: 6443}]}]}"},
			allowed: []string{"alpha/web > node udp/53", "alpha/web > node tcp/53"},
			denied:  []string{"alpha/web > node tcp/6443", "alpha/web > outside udp/53", "alpha/web > alpha/db tcp/5432"},
		},
		"a host pod without ports in the rule": {
			policies: []string{"alpha: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}"},
			allowed:  []string{"alpha/web > node udp/53", "alpha/web > alpha/db udp/9"},
			denied:   []string{"alpha/web > node tcp/6443"},
		},
		"a host pod's named port": {
			policies: []string{"alpha: {podSelector: {}, policyTypes: [Egress], egress: " +
				"[{to: [{namespaceSelector: {}}], ports: [{port: dns, protocol: UDP}]}]}"},
			allowed: []string{"alpha/web > node udp/53"},
			denied:  []string{"alpha/web > node tcp/53"},
		},
		"the node's address in an ipBlock has all its ports": {
			policies: []string{"alpha: {podSelector: {}, policyTypes: [Egress], egress: " +
				"[{to: [{ipBlock: {cidr: 10.99.0.1/32}}], ports: [{port: 6443}]}]}"},
			allowed: []string{"alpha/web > node tcp/6443"},
			denied:  []string{"alpha/web > node udp/53"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			input := world(c.policies...)
			input.Namespaces[2].Labels["kubernetes.io/metadata.name"] = "kube-system"
			check(t, input, c.allowed, c.denied)
		})
	}
}

const fromWeb = "alpha: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}"

func TestARelabelledPodChangesSides(t *testing.T) {
	input := world(fromWeb)
	check(t, input, nil, []string{"alpha/job > alpha/db tcp/1"})
	input.Pods[2].Labels["app"] = "web"
	check(t, input, []string{"alpha/job > alpha/db tcp/1"}, nil)
}

func TestPodsThatCompletedOrUseTheNodesNetworkTakeNoPart(t *testing.T) {
	input := world(fromWeb)
	input.Pods[0].Status.Phase = corev1.PodSucceeded
	input.Pods[1].Status.Phase = corev1.PodFailed
	input.Pods[2].Spec.HostNetwork = true
	model := compile(t, input).Model
	for _, name := range []string{"alpha/web", "alpha/db", "alpha/job"} {
		for _, known := range model.Known {
			if known.String() == addresses[name] {
				t.Errorf("%s is known", name)
			}
		}
	}
	if len(model.Ingress) != 0 || len(model.Known) != 2 {
		t.Errorf("unexpected model: %+v", model)
	}
}

func TestASidecarsNamedPortCountsAndAnInitContainersDoesNot(t *testing.T) {
	input := world("alpha: {podSelector: {}, ingress: [{ports: [{port: metrics}]}]}")
	always := corev1.ContainerRestartPolicyAlways
	input.Pods[0].Spec.InitContainers = []corev1.Container{
		{Name: "sidecar", RestartPolicy: &always, Ports: []corev1.ContainerPort{port("metrics", 9102)}},
		{Name: "once", Ports: []corev1.ContainerPort{port("metrics", 9103)}},
	}
	check(t, input, []string{"beta/web > alpha/web tcp/9102"}, []string{"beta/web > alpha/web tcp/9103"})
}

func TestAClaimBeatsTheAddressInAStatus(t *testing.T) {
	input := world(fromWeb)
	// The job's new sandbox got the address that the web pod's status still shows from an earlier one.
	input.Claims = claimsOf("alpha/job", addresses["alpha/web"])
	result := compile(t, input)
	check(t, input, nil, []string{"alpha/web > alpha/db tcp/1"}) // that address is the job's now
	if len(result.Addresses) != 4 {
		t.Errorf("expected the web pod to have no address, got %v", result.Addresses)
	}
}

func TestAnAddressOfTwoPodsIsNobodys(t *testing.T) {
	input := world(fromWeb)
	input.Pods[2].Status.PodIP = addresses["alpha/web"]
	for _, known := range compile(t, input).Model.Known {
		if known.String() == addresses["alpha/web"] {
			t.Error("the shared address is known")
		}
	}
}

func TestAPodWithoutAddressIsLeftOut(t *testing.T) {
	input := world(fromWeb)
	input.Pods[0].Status = corev1.PodStatus{Phase: corev1.PodPending}
	if got := len(compile(t, input).Model.Known); got != 4 {
		t.Errorf("expected 4 known pods, got %d", got)
	}
}

func TestTheOrderOfTheInputDoesNotMatter(t *testing.T) {
	input := world(fromWeb, "alpha: {podSelector: {}, ingress: [{ports: [{port: 1}, {port: 2}]}]}")
	first := compile(t, input)
	slices.Reverse(input.Pods)
	slices.Reverse(input.Policies)
	if second := compile(t, input); !reflect.DeepEqual(first.Model, second.Model) {
		t.Errorf("models differ:\n%+v\n%+v", first.Model, second.Model)
	}
}

func TestASelectorThatTheAPIServerWouldRefuseNamesItsPolicy(t *testing.T) {
	_, err := Compile(world("alpha: {podSelector: {matchExpressions: [{key: a, operator: Sometimes}]}}"))
	if err == nil || !strings.Contains(err.Error(), "NetworkPolicy alpha/") {
		t.Errorf("got %v", err)
	}
}

func TestPortRangesThatOverlapOrTouchAreJoined(t *testing.T) {
	tcp, udp := corev1.ProtocolTCP, corev1.ProtocolUDP
	got := mergePorts([]PortRange{{udp, 5, 5}, {tcp, 10, 20}, {tcp, 15, 30}, {tcp, 31, 31}, {tcp, 40, 65535}, {tcp, 50, 60}})
	want := []PortRange{{tcp, 10, 31}, {tcp, 40, 65535}, {udp, 5, 5}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseHostPod(t *testing.T) {
	host, err := ParseHostPod("kube-system,k8s-app=kube-dns,x/y=,10.99.0.1,dns=53/udp,9153")
	if err != nil {
		t.Fatal(err)
	}
	udp, tcp := corev1.ProtocolUDP, corev1.ProtocolTCP
	want := []PortRange{{udp, 53, 53}, {tcp, 9153, 9153}, {udp, 9153, 9153}}
	if !reflect.DeepEqual(host.ports, want) || host.named[0] != (namedPort{"dns", udp, 53}) || len(host.Labels) != 2 {
		t.Errorf("got %+v", host)
	}
	for text, complaint := range map[string]string{
		"":                              "namespace is empty",
		"ns":                            "at least one label",
		"ns,a=b":                        "at least one label",
		"ns,10.0.0.1,53":                "at least one label",
		"ns,a=b,10.0.0.1":               "at least one label",
		"ns,a=b,10.0.0.1,http":          "is no port",
		"ns,a=b,10.0.0.1,0":             "is no port",
		"ns,a=b,10.0.0.1,53/icmp":       "none of TCP",
		"ns,a=b,fd00::1,53":             "neither a label nor an IPv4 address",
		"kube-system,kube-dns,10.0.0.1": "neither a label nor an IPv4 address",
	} {
		if _, err := ParseHostPod(text); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%q: got %v, want it to say %q", text, err, complaint)
		}
	}
}
