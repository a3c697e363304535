// The only program in the image that the cluster's tests use: a server, a client, a resolver and a file.
//
//	probe listen tcp:8080 udp:9000          answers "<hostname> <address of the caller>" on every port, until ended
//	probe connect tcp HOST PORT [TIMEOUT]   prints that answer; TIMEOUT like 2s, default 3s
//	probe resolve NAME                      prints the addresses, one a line
//	probe write PATH TEXT | read PATH       a file's text
//	probe sleep                             until ended
//
// The exit code is 0 on success and 1 otherwise; a failed connect prints "refused", "timeout" or the error.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Println(reason(err))
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) >= 2 && args[0] == "listen":
		return listen(ctx, args[1:])
	case (len(args) == 4 || len(args) == 5) && args[0] == "connect":
		timeout := 3 * time.Second
		if len(args) == 5 {
			given, err := time.ParseDuration(args[4])
			if err != nil {
				return err
			}
			timeout = given
		}
		return connect(ctx, args[1], net.JoinHostPort(args[2], args[3]), timeout)
	case len(args) == 2 && args[0] == "resolve":
		addresses, err := net.DefaultResolver.LookupHost(ctx, args[1])
		fmt.Println(strings.Join(addresses, "\n"))
		return err
	case len(args) == 3 && args[0] == "write":
		return os.WriteFile(args[1], []byte(args[2]), 0o644)
	case len(args) == 2 && args[0] == "read":
		text, err := os.ReadFile(args[1])
		fmt.Print(string(text))
		return err
	case len(args) == 1 && args[0] == "sleep":
		<-ctx.Done()
		return nil
	}
	return fmt.Errorf("unknown command %q: see the head of main.go", strings.Join(args, " "))
}

// listen serves every "tcp:PORT" and "udp:PORT" until ctx ends or one of them fails.
func listen(ctx context.Context, ports []string) error {
	failed := make(chan error, len(ports))
	for _, port := range ports {
		protocol, number, _ := strings.Cut(port, ":")
		switch protocol {
		case "tcp":
			listener, err := net.Listen("tcp", ":"+number)
			if err != nil {
				return err
			}
			go func() { failed <- serveTCP(listener) }()
		case "udp":
			socket, err := net.ListenPacket("udp", ":"+number)
			if err != nil {
				return err
			}
			go func() { failed <- serveUDP(socket) }()
		default:
			return fmt.Errorf("%q is neither tcp:PORT nor udp:PORT", port)
		}
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func serveTCP(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			// Read first: closing with unread data would reset the connection and drop the answer.
			if _, err := connection.Read(make([]byte, 2048)); err == nil {
				fmt.Fprintln(connection, answer(connection.RemoteAddr()))
			}
		}()
	}
}

func serveUDP(socket net.PacketConn) error {
	buffer := make([]byte, 2048)
	for {
		_, caller, err := socket.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if _, err := socket.WriteTo([]byte(answer(caller)+"\n"), caller); err != nil {
			return err
		}
	}
}

func answer(caller net.Addr) string {
	name, _ := os.Hostname()
	address, _, _ := net.SplitHostPort(caller.String())
	return name + " " + address
}

// connect sends a line, which UDP needs to be noticed, and prints the answer.
func connect(ctx context.Context, protocol, address string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(ctx, protocol, address)
	if err != nil {
		return err
	}
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	if err := connection.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(connection, "hello"); err != nil {
		return err
	}
	buffer := make([]byte, 2048)
	length, err := connection.Read(buffer)
	if err != nil {
		return err
	}
	fmt.Print(string(buffer[:length]))
	return nil
}

func reason(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &network) && network.Timeout():
		return "timeout"
	}
	return err.Error()
}
