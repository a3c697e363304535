// A Google Cloud Storage without Google: fsouza's fake-gcs-server, with its objects in memory.
//
//	objectstore ADDRESS URL BUCKET...   serves on ADDRESS (host:port, port 0 for any), known to its clients as URL
//
// Without a URL ("") it is the address that it listens on. Prints the URL once it answers; ends on SIGTERM.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: objectstore ADDRESS URL BUCKET...")
	}
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	url := args[1]
	if url == "" {
		url = "http://" + listener.Addr().String()
	}
	// The listener is ours, because the library's own can't be told another URL than its address.
	store, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		Scheme: "http", NoListener: true, ExternalURL: url, Writer: io.Discard,
	})
	if err != nil {
		return err
	}
	for _, bucket := range args[2:] {
		store.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: bucket})
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server := &http.Server{Handler: store.HTTPHandler()}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	fmt.Println(url)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
