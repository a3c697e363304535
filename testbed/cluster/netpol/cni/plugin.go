// Package cni is a chained CNI plugin: it holds a new pod's sandbox back until its policies are in force.
package cni

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"airflow-platform/testbed/cluster/netpol/controller"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
	apitypes "k8s.io/apimachinery/pkg/types"
)

const (
	// Patience covers an enforcer that starts, and then the time in which it must have answered.
	patience = controller.ClaimTimeout + 5*time.Second
	retry    = 200 * time.Millisecond
)

// Config is the plugin's part of the network configuration, after a plugin that gives addresses.
type Config struct {
	types.PluginConf
	// Listen is the enforcer's --listen.
	Listen string `json:"listen"`
}

type podArgs struct {
	types.CommonArgs
	K8S_POD_NAMESPACE types.UnmarshallableString //nolint:revive // the names are the runtime's
	K8S_POD_NAME      types.UnmarshallableString
	K8S_POD_UID       types.UnmarshallableString
}

// Main runs the plugin on what the runtime put into the environment and standard input.
func Main() {
	skel.PluginMainFuncs(skel.CNIFuncs{Add: add, Del: del, Check: check}, version.All,
		"netpol: waits until a pod's NetworkPolicies are in force")
}

func add(args *skel.CmdArgs) error {
	config, err := read(args)
	if err != nil {
		return err
	}
	if config.PrevResult == nil {
		return errors.New("netpol comes after a plugin that gives the pod its address")
	}
	result, err := current.GetResult(config.PrevResult)
	if err != nil {
		return err
	}
	address, err := firstIPv4(result)
	if err != nil {
		return err
	}
	var pod podArgs
	if err := types.LoadArgs(args.Args, &pod); err != nil {
		return err
	}
	body, err := json.Marshal(controller.Claim{
		Namespace: string(pod.K8S_POD_NAMESPACE), Name: string(pod.K8S_POD_NAME),
		UID: apitypes.UID(pod.K8S_POD_UID), ContainerID: args.ContainerID, Address: address,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := call(ctx, http.MethodPost, config.Listen, "", body); err != nil {
		return err
	}
	return types.PrintResult(config.PrevResult, config.CNIVersion)
}

// Del never fails: a sandbox must be able to go when the enforcer is down. Its claim ends with the pod then.
func del(args *skel.CmdArgs) error {
	if config, err := read(args); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = call(ctx, http.MethodDelete, config.Listen, "?containerID="+url.QueryEscape(args.ContainerID), nil)
	}
	return nil
}

func check(*skel.CmdArgs) error { return nil }

func read(args *skel.CmdArgs) (Config, error) {
	var config Config
	if err := json.Unmarshal(args.StdinData, &config); err != nil {
		return config, fmt.Errorf("network configuration: %w", err)
	}
	if config.Listen == "" {
		return config, errors.New(`network configuration: netpol needs "listen", the enforcer's address and port`)
	}
	if config.RawPrevResult == nil {
		return config, nil
	}
	err := version.ParsePrevResult(&config.PluginConf)
	return config, err
}

func firstIPv4(result *current.Result) (netip.Addr, error) {
	for _, ip := range result.IPs {
		if address, ok := netip.AddrFromSlice(ip.Address.IP); ok && address.Unmap().Is4() {
			return address.Unmap(), nil
		}
	}
	return netip.Addr{}, errors.New("the pod was given no IPv4 address")
}

// Call asks the enforcer; while nobody listens it tries again, for the enforcer may be starting just now.
func call(ctx context.Context, method, listen, query string, body []byte) error {
	for {
		request, err := http.NewRequestWithContext(ctx, method, "http://"+listen+"/claims"+query, bytes.NewReader(body))
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			return verdict(response)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the NetworkPolicy enforcer does not answer: %w", err)
		case <-time.After(retry):
		}
	}
}

func verdict(response *http.Response) error {
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(response.Body)
		return fmt.Errorf("the NetworkPolicy enforcer: %s", strings.TrimSpace(string(text)))
	}
	return nil
}
