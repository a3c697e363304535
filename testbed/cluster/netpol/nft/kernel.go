package nft

import (
	"context"
	"fmt"
	"os"
	"slices"

	"airflow-platform/testbed/cluster/netpol/policy"
	"sigs.k8s.io/knftables"
)

// Kernel keeps the table of the network namespace that this process runs in.
type Kernel struct {
	nft     knftables.Interface
	options Options
	applied string
}

// NewKernel fails where nft is missing or not permitted.
func NewKernel(options Options) (*Kernel, error) {
	nft, err := knftables.New(knftables.InetFamily, Table)
	if err != nil {
		return nil, fmt.Errorf("%w (needed: root, and nft of the Debian package nftables)", err)
	}
	if options.Reject {
		// The kernel sends a destination one ICMP error a second: a test with several denials would see silence.
		if err := os.WriteFile("/proc/sys/net/ipv4/icmp_ratelimit", []byte("0"), 0o644); err != nil {
			return nil, err
		}
	}
	return &Kernel{nft: nft, options: options}, nil
}

// Guard makes sure that some rules are in force before the first model is known: those of an earlier run if
// they are there, else rules that know no pod and thus let no pod talk.
func (k *Kernel) Guard(ctx context.Context) error {
	if k.present(ctx) {
		return nil
	}
	_, err := k.Apply(ctx, policy.Model{})
	return err
}

// Apply puts the model in force, in one transaction, unless it is in force already.
func (k *Kernel) Apply(ctx context.Context, model policy.Model) (changed bool, err error) {
	tx := k.nft.NewTransaction()
	Render(tx, model, k.options)
	if text := tx.String(); text != k.applied || !k.present(ctx) {
		if err := k.nft.Run(ctx, tx); err != nil {
			return false, fmt.Errorf("nft refused the rules, the previous ones stay: %w", err)
		}
		k.applied = text
		return true, nil
	}
	return false, nil
}

// Present says whether the table hangs in the packet's way: someone may have flushed the whole ruleset.
func (k *Kernel) present(ctx context.Context) bool {
	chains, err := k.nft.List(ctx, "chain")
	return err == nil && slices.Contains(chains, forwardChain) && slices.Contains(chains, inputChain)
}
