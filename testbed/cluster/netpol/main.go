// Netpol enforces networking.k8s.io/v1 NetworkPolicies on the testbed's one node. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"airflow-platform/testbed/cluster/netpol/cni"
	"airflow-platform/testbed/cluster/netpol/controller"
	"airflow-platform/testbed/cluster/netpol/nft"
	"airflow-platform/testbed/cluster/netpol/policy"
)

type settings struct {
	kubeconfig string
	listen     string
	hostPods   []policy.HostPod
	rules      nft.Options
}

func main() {
	if os.Getenv("CNI_COMMAND") != "" { // the container runtime calls: see package cni
		cni.Main()
		return
	}
	settings, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(settings)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "netpol:", err)
		os.Exit(1)
	}
}

func parse(args []string, out io.Writer) (settings, error) {
	flags := flag.NewFlagSet("netpol", flag.ContinueOnError)
	flags.SetOutput(out)
	result := settings{rules: nft.Options{PodCIDR: netip.MustParsePrefix("10.244.0.0/16")}}
	flags.StringVar(&result.kubeconfig, "kubeconfig", "", "how to reach the API server (required)")
	flags.StringVar(&result.listen, "listen", "127.0.0.1:10400", "address and port of /healthz, /applied and /claims")
	flags.BoolVar(&result.rules.Reject, "reject", false,
		"answer denied packets with an ICMP error, so that callers fail at once; the default drops them")
	flags.TextVar(&result.rules.PodCIDR, "pod-cidr", result.rules.PodCIDR, "the pod network")
	flags.Func("host-pod", "NAMESPACE,LABEL=VALUE,ADDRESS,PORT: a process of the node that policies select like a pod; "+
		"may be given several times", func(text string) error {
		host, err := policy.ParseHostPod(text)
		result.hostPods = append(result.hostPods, host)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return result, err
	}
	switch {
	case flags.NArg() > 0:
		return result, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case result.kubeconfig == "":
		return result, errors.New("--kubeconfig is required")
	case !result.rules.PodCIDR.IsValid() || !result.rules.PodCIDR.Addr().Is4():
		return result, fmt.Errorf("--pod-cidr %s is no IPv4 network", result.rules.PodCIDR)
	}
	return result, nil
}

func run(settings settings) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	kernel, err := nft.NewKernel(settings.rules)
	if err != nil {
		return err
	}
	enforcer, err := controller.New(settings.kubeconfig, settings.hostPods, kernel, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", settings.listen)
	if err != nil {
		return err
	}
	server := http.Server{Handler: enforcer.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("stopped serving", "error", err)
			stop()
		}
	}()
	defer func() { _ = server.Close() }()
	return enforcer.Run(ctx)
}
