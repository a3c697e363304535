package main

import (
	"io"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	got, err := parse([]string{"--kubeconfig=k", "--reject", "--pod-cidr=10.1.0.0/16", "--listen=127.0.0.1:1",
		"--host-pod=kube-system,k8s-app=kube-dns,10.99.0.1,53", "--host-pod=a,b=c,10.99.0.1,54"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got.kubeconfig != "k" || !got.rules.Reject || got.rules.PodCIDR.String() != "10.1.0.0/16" ||
		got.listen != "127.0.0.1:1" || len(got.hostPods) != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestDenialsAreSilentUnlessAskedFor(t *testing.T) {
	got, err := parse([]string{"--kubeconfig=k"}, io.Discard)
	if err != nil || got.rules.Reject {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWrongArgumentsAreNamed(t *testing.T) {
	for args, complaint := range map[string]string{
		"":                                "--kubeconfig is required",
		"--kubeconfig=k extra":            `unexpected argument "extra"`,
		"--kubeconfig=k --pod-cidr=x":     "pod-cidr",
		"--kubeconfig=k --pod-cidr=::/64": "is no IPv4 network",
		"--kubeconfig=k --host-pod=x":     "expected NAMESPACE,LABEL=VALUE,ADDRESS,PORT",
		"--kubeconfig=k --unheard-of":     "unheard-of",
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%q: got %v, want it to say %q", args, err, complaint)
		}
	}
}
