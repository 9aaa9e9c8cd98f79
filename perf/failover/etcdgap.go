// SPDX-License-Identifier: Apache-2.0

// Writes to etcd in a closed loop, each client with failover over all endpoints, and writes down
// when each acknowledged write ended, in ns of the monotonic clock: one line "CLIENT END_NS". A
// request without an answer after -timeout is given up and asked at the next endpoint; a client
// whose connection is refused goes to the next one at once. Ends when its input ends.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"go.etcd.io/etcd/clientv3"
)

func monotonic() int64 {
	var t syscall.Timespec
	const clockMonotonic = 1
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

func main() {
	eps := flag.String("endpoints", "", "")
	clients := flag.Int("clients", 6, "")
	period := flag.Duration("period", 10*time.Millisecond, "")
	timeout := flag.Duration("timeout", 200*time.Millisecond, "")
	flag.Parse()
	ep := strings.Split(*eps, ",")
	var done sync.WaitGroup
	var lock sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	end := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(end) }()
	for w := 0; w < *clients; w++ {
		// One connection per endpoint, kept: failing over is asking the next one.
		cs := make([]*clientv3.Client, len(ep))
		for i := range ep {
			c, err := clientv3.New(clientv3.Config{Endpoints: []string{ep[i]}})
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			cs[i] = c
		}
		done.Add(1)
		go func(w int) {
			defer done.Done()
			at := w % len(cs)
			time.Sleep(*period * time.Duration(w) / time.Duration(*clients))
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
				}
				begin := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), *timeout)
				_, err := cs[at].Put(ctx, fmt.Sprintf("key:%d:%d", w, n%100), strings.Repeat("v", 48))
				cancel()
				if err != nil {
					at = (at + 1) % len(cs)
					time.Sleep(time.Millisecond)
					continue
				}
				lock.Lock()
				fmt.Fprintln(out, w, monotonic())
				lock.Unlock()
				if rest := *period - time.Since(begin); rest > 0 {
					time.Sleep(rest)
				}
			}
		}(w)
	}
	done.Wait()
	out.Flush()
}
