// Makes a folder on this node for every PersistentVolumeClaim of the class that names it, and removes it again.
//
// The volumes are of the kind `local`, not `hostPath`: the kubelet applies a pod's fsGroup to them, as it does to
// a cloud's disks. They are not limited in size, and any access mode works, because there is one node.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const provisionerName = "testbed/volumes"

type folders struct {
	root string // holds one folder a volume
}

func (f folders) Provision(
	_ context.Context, options controller.ProvisionOptions,
) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	folder := filepath.Join(f.root, options.PVName)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("no folder for claim %s: %w", options.PVC.Name, err)
	}
	if err := os.Chmod(folder, 0o777); err != nil { // whatever the umask: pods run as any user
		return nil, controller.ProvisioningFinished, fmt.Errorf("no folder for claim %s: %w", options.PVC.Name, err)
	}
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity:                      options.PVC.Spec.Resources.Requests,
			PersistentVolumeSource: v1.PersistentVolumeSource{
				Local: &v1.LocalVolumeSource{Path: folder},
			},
			NodeAffinity: &v1.VolumeNodeAffinity{Required: onNode(options.SelectedNodeName)},
		},
	}, controller.ProvisioningFinished, nil
}

func onNode(name string) *v1.NodeSelector {
	return &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
		MatchExpressions: []v1.NodeSelectorRequirement{
			{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{name}},
		},
	}}}
}

func (f folders) Delete(_ context.Context, volume *v1.PersistentVolume) error {
	folder := filepath.Join(f.root, volume.Name)
	if volume.Spec.Local == nil || volume.Spec.Local.Path != folder {
		return &controller.IgnoredError{Reason: fmt.Sprintf("volume %s is not a folder of %s", volume.Name, f.root)}
	}
	return os.RemoveAll(folder)
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "file with the address and the credentials of the API server")
	root := flag.String("root", "", "folder that holds one folder a volume")
	flag.Parse()
	if err := run(*kubeconfig, *root); err != nil {
		fmt.Fprintln(os.Stderr, "volumes:", err)
		os.Exit(1)
	}
}

func run(kubeconfig, root string) error {
	if kubeconfig == "" || root == "" {
		return fmt.Errorf("--kubeconfig and --root are required")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	controller.NewProvisionController(
		ctx, client, provisionerName, folders{root: root}, controller.LeaderElection(false),
	).Run(ctx)
	return nil
}
