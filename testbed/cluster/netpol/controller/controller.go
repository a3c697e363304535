// Package controller keeps the kernel's rules equal to what the API server says, and tells what is in force.
package controller

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"airflow-platform/testbed/cluster/netpol/nft"
	"airflow-platform/testbed/cluster/netpol/policy"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// Gather is how long changes are collected before they are applied together.
	gather = 100 * time.Millisecond
	// Recheck is how often the table is looked for, and a failed change tried again.
	recheck = 5 * time.Second
)

// Controller applies policies until its context ends.
type Controller struct {
	kernel   *nft.Kernel
	hostPods []policy.HostPod
	watches  watches
	claims   claims
	wake     chan struct{}
	log      *slog.Logger

	mutex   sync.Mutex
	applied *Applied // nil until the first model is in force
	failure error    // of the latest attempt
	news    chan struct{}
}

// New prepares a controller; it talks to nobody yet.
func New(kubeconfig string, hostPods []policy.HostPod, kernel *nft.Kernel, log *slog.Logger) (*Controller, error) {
	c := &Controller{
		kernel:   kernel,
		hostPods: hostPods,
		claims:   claims{byPod: map[types.NamespacedName]Claim{}},
		wake:     make(chan struct{}, 1),
		log:      log,
		news:     make(chan struct{}),
	}
	var err error
	c.watches, err = newWatches(kubeconfig, c.poke)
	return c, err
}

func (c *Controller) poke() {
	select {
	case c.wake <- struct{}{}:
	default: // a wake-up is on its way already
	}
}

// Run applies every change until ctx ends. The rules stay in the kernel: what was isolated stays isolated.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.kernel.Guard(ctx); err != nil {
		return err
	}
	if !c.watches.start(ctx.Done()) {
		return nil // told to stop before the API server answered
	}
	ticker := time.NewTicker(recheck)
	defer ticker.Stop()
	for {
		c.apply(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-c.wake:
			select { // the rest of a burst: it joins this change
			case <-ctx.Done():
				return nil
			case <-time.After(gather):
			}
			select {
			case <-c.wake:
			default:
			}
		}
	}
}

func (c *Controller) apply(ctx context.Context) {
	pods := all[corev1.Pod](c.watches.pods)
	namespaces := all[corev1.Namespace](c.watches.namespaces)
	policies := all[networkingv1.NetworkPolicy](c.watches.policies)
	result, err := policy.Compile(policy.Input{
		Namespaces: namespaces, Pods: pods, Policies: policies, HostPods: c.hostPods, Claims: c.claims.of(pods),
	})
	changed := false
	if err == nil {
		changed, err = c.kernel.Apply(ctx, result.Model)
	}
	if err != nil && ctx.Err() != nil {
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.failure = err
	if err != nil {
		c.log.Error("rules not applied", "error", err)
		return
	}
	c.applied = newApplied(c.applied, changed, namespaces, pods, policies, result.Addresses)
	if changed {
		c.log.Info("rules applied", "generation", c.applied.Generation, "policies", len(policies),
			"pods", len(result.Model.Known), "isolatedIngress", len(result.Model.Ingress),
			"isolatedEgress", len(result.Model.Egress))
	}
	close(c.news)
	c.news = make(chan struct{})
}

// State gives what is in force, the failure of the latest attempt, and a channel that closes on the next news.
func (c *Controller) state() (applied *Applied, failure error, news <-chan struct{}) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.applied, c.failure, c.news
}
