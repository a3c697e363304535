package controller

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var webClaim = Claim{
	Namespace: "red", Name: "web", UID: "1", ContainerID: "sandbox-1", Address: netip.MustParseAddr("10.244.0.2"),
}

func newController() *Controller {
	return &Controller{
		claims: claims{byPod: map[types.NamespacedName]Claim{}},
		wake:   make(chan struct{}, 1),
		news:   make(chan struct{}),
	}
}

func (c *Controller) put(applied *Applied, failure error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.applied, c.failure = applied, failure
	close(c.news)
	c.news = make(chan struct{})
}

func web(uid types.UID) []*corev1.Pod {
	return []*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "red", Name: "web", UID: uid}}}
}

func applied(address string) *Applied {
	return &Applied{Pods: map[string]AppliedPod{"red/web": {Address: netip.MustParseAddr(address)}}}
}

func TestAClaimBelongsToThePodItWasMadeForAndNotToItsSuccessor(t *testing.T) {
	c := newController()
	c.claims.add(webClaim)
	if got := c.claims.of(web("1")); len(got) != 1 {
		t.Errorf("the pod's own claim: %v", got)
	}
	if got := c.claims.of(web("2")); len(got) != 0 {
		t.Errorf("its successor's: %v", got)
	}
}

func TestAnOldSandboxDoesNotTakeTheClaimOfANewerOneWithIt(t *testing.T) {
	c := newController()
	c.claims.add(webClaim)
	newer := webClaim
	newer.ContainerID = "sandbox-2"
	c.claims.add(newer)
	c.claims.release("sandbox-1")
	if got := c.claims.of(web("1")); len(got) != 1 {
		t.Error("the newer claim is gone")
	}
	c.claims.release("sandbox-2")
	if got := c.claims.of(web("1")); len(got) != 0 {
		t.Error("the newer claim stays")
	}
}

func TestAClaimIsAnsweredOnlyWhenItsRulesAreInForce(t *testing.T) {
	c := newController()
	c.put(applied("10.244.0.9"), nil) // an earlier address of the same pod
	answer := make(chan error, 1)
	go func() { answer <- c.claim(context.Background(), webClaim) }()
	<-c.wake // it asked for new rules
	select {
	case err := <-answer:
		t.Fatalf("answered too early: %v", err)
	default:
	}
	c.put(applied("10.244.0.2"), nil)
	select {
	case err := <-answer:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("no answer")
	}
}

func TestAClaimWithoutRulesFailsNamesThePodAndIsForgotten(t *testing.T) {
	c := newController()
	c.put(nil, errors.New("nft said no"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := c.claim(ctx, webClaim)
	if err == nil || !strings.Contains(err.Error(), "red/web") || !strings.Contains(err.Error(), "nft said no") {
		t.Errorf("got %v", err)
	}
	if len(c.claims.of(web("1"))) != 0 {
		t.Error("the claim stays")
	}
}

func TestHealthTellsWhetherEverythingIsInForce(t *testing.T) {
	c := newController()
	for _, step := range []struct {
		applied *Applied
		failure error
		status  int
		text    string
	}{
		{nil, nil, http.StatusServiceUnavailable, "has not told"},
		{applied("10.244.0.2"), nil, http.StatusOK, "ok"},
		{applied("10.244.0.2"), errors.New("nft said no"), http.StatusServiceUnavailable, "nft said no"},
	} {
		c.put(step.applied, step.failure)
		recorder := httptest.NewRecorder()
		c.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/healthz", nil))
		if recorder.Code != step.status || !strings.Contains(recorder.Body.String(), step.text) {
			t.Errorf("got %d %s", recorder.Code, recorder.Body)
		}
	}
}

func TestAnIncompleteClaimIsRefused(t *testing.T) {
	for _, body := range []string{"", "{}", `{"namespace":"a","name":"b","containerID":"c","address":"fd00::1"}`} {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodPost, "/claims", strings.NewReader(body))
		newController().Handler().ServeHTTP(recorder, request)
		if recorder.Code != http.StatusBadRequest {
			t.Errorf("%s: got %d", body, recorder.Code)
		}
	}
}
