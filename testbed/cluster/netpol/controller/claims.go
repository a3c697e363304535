package controller

import (
	"net/netip"
	"sync"

	"airflow-platform/testbed/cluster/netpol/policy"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Claim is an address that the CNI plugin has just given to a pod's sandbox.
type Claim struct {
	Namespace   string     `json:"namespace"`
	Name        string     `json:"name"`
	UID         types.UID  `json:"uid"`
	ContainerID string     `json:"containerID"`
	Address     netip.Addr `json:"address"`
}

func (c Claim) key() types.NamespacedName {
	return types.NamespacedName{Namespace: c.Namespace, Name: c.Name}
}

// Claims remember the latest address of each pod until its sandbox goes.
type claims struct {
	mutex sync.Mutex
	byPod map[types.NamespacedName]Claim
}

func (c *claims) add(claim Claim) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.byPod[claim.key()] = claim
}

// Release forgets the claim of this sandbox, if the pod has no newer one.
func (c *claims) release(containerID string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for key, claim := range c.byPod {
		if claim.ContainerID == containerID {
			delete(c.byPod, key)
		}
	}
}

// Of gives the claims that belong to these pods: one of the same name may have been made anew since.
func (c *claims) of(pods []*corev1.Pod) map[types.NamespacedName]netip.Addr {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	result := map[types.NamespacedName]netip.Addr{}
	for _, pod := range pods {
		key := policy.KeyOf(pod)
		if claim, ok := c.byPod[key]; ok && (claim.UID == "" || claim.UID == pod.UID) {
			result[key] = claim.Address
		}
	}
	return result
}
