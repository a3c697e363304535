package cni

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"airflow-platform/testbed/cluster/netpol/controller"
	"github.com/containernetworking/cni/pkg/skel"
)

func arguments(listen, address string) *skel.CmdArgs {
	previous := ""
	if address != "" {
		previous = fmt.Sprintf(`,"prevResult":{"cniVersion":"0.4.0","ips":[{"version":"4","address":"%s/16"}]}`, address)
	}
	return &skel.CmdArgs{
		ContainerID: "sandbox-1",
		Args:        "IgnoreUnknown=1;K8S_POD_NAMESPACE=red;K8S_POD_NAME=web;K8S_POD_UID=7;K8S_POD_INFRA_CONTAINER_ID=x",
		StdinData: fmt.Appendf(nil,
			`{"cniVersion":"0.4.0","name":"pods","type":"netpol","listen":%q%s}`, listen, previous),
	}
}

func TestAddClaimsThePodsAddress(t *testing.T) {
	var got controller.Claim
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	if err := add(arguments(server.Listener.Addr().String(), "10.244.0.2")); err != nil {
		t.Fatal(err)
	}
	if got.Namespace != "red" || got.Name != "web" || got.UID != "7" || got.ContainerID != "sandbox-1" ||
		got.Address.String() != "10.244.0.2" {
		t.Errorf("got %+v", got)
	}
}

func TestAddFailsWhenTheEnforcerRefuses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no rules for pod red/web", http.StatusGatewayTimeout)
	}))
	defer server.Close()
	err := add(arguments(server.Listener.Addr().String(), "10.244.0.2"))
	if err == nil || !strings.Contains(err.Error(), "no rules for pod red/web") {
		t.Errorf("got %v", err)
	}
}

func TestAWrongConfigurationIsNamed(t *testing.T) {
	if err := add(arguments("127.0.0.1:1", "")); err == nil || !strings.Contains(err.Error(), "comes after a plugin") {
		t.Errorf("got %v", err)
	}
	if err := add(arguments("", "10.244.0.2")); err == nil || !strings.Contains(err.Error(), `needs "listen"`) {
		t.Errorf("got %v", err)
	}
}

func TestAnEnforcerThatStartsJustNowIsWaitedFor(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- call(ctx, http.MethodPost, address, "", nil) }()
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDelNeverFails(t *testing.T) {
	if err := del(&skel.CmdArgs{StdinData: []byte("nonsense")}); err != nil {
		t.Error(err)
	}
}
