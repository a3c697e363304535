package controller

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// Watches hold what the API server last said. Plain REST clients for the two groups in use: the full
// clientset would compile every API of Kubernetes into this small program.
type watches struct {
	namespaces, pods, policies cache.SharedInformer
}

// NewWatches prepares the watches; changed is called on each event.
func newWatches(kubeconfig string, changed func()) (watches, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return watches{}, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return watches{}, err
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	core, err := client(config, corev1.SchemeGroupVersion, "/api")
	if err != nil {
		return watches{}, err
	}
	networking, err := client(config, networkingv1.SchemeGroupVersion, "/apis")
	if err != nil {
		return watches{}, err
	}
	var result watches
	for _, w := range []struct {
		informer *cache.SharedInformer
		client   rest.Interface
		resource string
		example  runtime.Object
	}{
		{&result.namespaces, core, "namespaces", &corev1.Namespace{}},
		{&result.pods, core, "pods", &corev1.Pod{}},
		{&result.policies, networking, "networkpolicies", &networkingv1.NetworkPolicy{}},
	} {
		list := cache.NewListWatchFromClient(w.client, w.resource, metav1.NamespaceAll, fields.Everything())
		*w.informer = cache.NewSharedInformer(list, w.example, 0)
		handler := cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { changed() },
			UpdateFunc: func(any, any) { changed() },
			DeleteFunc: func(any) { changed() },
		}
		if _, err := (*w.informer).AddEventHandler(handler); err != nil {
			return watches{}, err
		}
	}
	return result, nil
}

func client(config *rest.Config, version schema.GroupVersion, path string) (rest.Interface, error) {
	own := rest.CopyConfig(config)
	own.GroupVersion = &version
	own.APIPath = path
	return rest.RESTClientFor(own)
}

// Start runs the watches until stop is closed and says whether each has heard everything once.
func (w watches) start(stop <-chan struct{}) bool {
	for _, informer := range []cache.SharedInformer{w.namespaces, w.pods, w.policies} {
		go informer.Run(stop)
	}
	return cache.WaitForCacheSync(stop, w.namespaces.HasSynced, w.pods.HasSynced, w.policies.HasSynced)
}

func all[T any](informer cache.SharedInformer) []*T {
	var objects []*T
	for _, object := range informer.GetStore().List() {
		if typed, ok := object.(*T); ok {
			objects = append(objects, typed)
		}
	}
	return objects
}
