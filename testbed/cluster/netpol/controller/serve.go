package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// ClaimTimeout is how long a new sandbox waits for its rules before it is refused; the kubelet then tries anew.
const ClaimTimeout = 15 * time.Second

// Handler serves
//
//	GET    /healthz                     200 once rules for the whole API state are in force, else 503 and why
//	GET    /applied                     Applied as JSON
//	POST   /claims                      a Claim; answers when the pod's rules are in force under this address
//	DELETE /claims?containerID=ID       the sandbox is gone
func (c *Controller) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		applied, failure, _ := c.state()
		switch {
		case failure != nil:
			http.Error(w, failure.Error(), http.StatusServiceUnavailable)
		case applied == nil:
			http.Error(w, "the API server has not told its pods, namespaces and policies yet", http.StatusServiceUnavailable)
		default:
			_, _ = fmt.Fprintln(w, "ok")
		}
	})
	mux.HandleFunc("GET /applied", func(w http.ResponseWriter, _ *http.Request) {
		applied, _, _ := c.state()
		if applied == nil {
			http.Error(w, "nothing is applied yet", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(applied)
	})
	mux.HandleFunc("POST /claims", func(w http.ResponseWriter, r *http.Request) {
		var claim Claim
		err := json.NewDecoder(r.Body).Decode(&claim)
		if err != nil || claim.Namespace == "" || claim.Name == "" || claim.ContainerID == "" || !claim.Address.Is4() {
			http.Error(w, "a claim needs namespace, name, containerID and an IPv4 address", http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), ClaimTimeout)
		defer cancel()
		if err := c.claim(ctx, claim); err != nil {
			http.Error(w, err.Error(), http.StatusGatewayTimeout)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /claims", func(w http.ResponseWriter, r *http.Request) {
		c.claims.release(r.URL.Query().Get("containerID"))
		c.poke()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// Claim returns once the pod's rules are in force under the claimed address.
func (c *Controller) claim(ctx context.Context, claim Claim) error {
	c.claims.add(claim)
	c.poke()
	for {
		applied, failure, news := c.state()
		if applied != nil {
			if pod, ok := applied.Pods[claim.key().String()]; ok && pod.Address == claim.Address {
				return nil
			}
		}
		select {
		case <-news:
		case <-ctx.Done():
			c.claims.release(claim.ContainerID)
			return fmt.Errorf("no rules for pod %s at %s within %s (last failure: %v)",
				claim.key(), claim.Address, ClaimTimeout, failure)
		}
	}
}
