// The one program in the test node's image. It uses a stated share of CPU and a stated amount of memory, so that a test
// or the demo knows what a sizer must find out; without arguments (or with `pause`) it waits, which is all that the
// image has to do as a pod's sandbox.
//
//	podfit-workload use --cpu 0.2 --memory 60Mi [--then-memory 200Mi] [--then-cpu 0.5] [--after 20s] [--for 60s]
//
// Memory is the resident size of the whole process, give or take 2 MiB; it is touched, so it counts as working set.
// CPU is real CPU time over wall time, also on a busy machine, and may exceed one core. --for ends the program with
// exit code 0, for Jobs.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// What the program itself needs before it holds anything, measured on cgroup v1.
const ownBytes = 1 << 20

func main() {
	if len(os.Args) < 2 || os.Args[1] == "pause" {
		pause()
		return
	}
	if os.Args[1] != "use" {
		fmt.Fprintln(os.Stderr, "usage: podfit-workload pause | use --cpu CORES --memory BYTES [--then-memory BYTES] [--then-cpu CORES] [--after TIME] [--for TIME]")
		os.Exit(2)
	}
	flags := flag.NewFlagSet("use", flag.ExitOnError)
	cpu := flags.Float64("cpu", 0, "cores to use, such as 0.2")
	thenCPU := flags.Float64("then-cpu", -1, "cores to use once --after has passed")
	var memory, thenMemory bytes
	flags.Var(&memory, "memory", "memory to hold, such as 60Mi")
	flags.Var(&thenMemory, "then-memory", "memory to hold once --after has passed (it only grows)")
	after := flags.Duration("after", 20*time.Second, "when --then-memory and --then-cpu start to apply")
	lifetime := flags.Duration("for", 0, "how long to run; 0 means until told to end")
	_ = flags.Parse(os.Args[2:])

	var share atomic.Uint64 // millionths of a core
	share.Store(uint64(*cpu * 1e6))
	go burn(&share)
	held := hold(0, int(memory))
	fmt.Printf("holding %d MiB, using %.3f cores\n", memory>>20, *cpu)

	time.AfterFunc(*after, func() {
		if *thenCPU >= 0 {
			share.Store(uint64(*thenCPU * 1e6))
			fmt.Printf("now using %.3f cores\n", *thenCPU)
		}
		if thenMemory > 0 {
			fmt.Printf("growing to %d MiB\n", thenMemory>>20)
			hold(held, int(thenMemory))
		}
	})
	if *lifetime > 0 {
		time.AfterFunc(*lifetime, func() { os.Exit(0) })
	}
	pause()
}

// pause waits for a request to end. As process 1 of a sandbox it also collects orphans that ended.
func pause() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range ended {
		if s != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

// hold maps and touches memory until the process has `want` bytes, and returns that. Mapped rather than allocated: Go's
// heap grows in steps of its own. It does so in small steps, so that a limit is hit while running, as a real leak would.
func hold(have, want int) int {
	const step = 1 << 20
	have = max(have, ownBytes)
	for ; have+step <= want; have += step {
		block, err := syscall.Mmap(-1, 0, step, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			fmt.Fprintln(os.Stderr, "cannot map memory:", err)
			os.Exit(1)
		}
		for i := 0; i < step; i += os.Getpagesize() {
			block[i] = 1
		}
		time.Sleep(time.Millisecond)
	}
	return have
}

// burn uses the shared number of cores, each core's part by one thread.
func burn(share *atomic.Uint64) {
	for core := range runtime.NumCPU() {
		go burnCore(func() float64 { return min(max(float64(share.Load())/1e6-float64(core), 0), 1) })
	}
}

// burnCore uses `part` (0 to 1) of one core: it compares the thread's own CPU time with the wall time every 10 ms, so
// neighbours on the machine do not change the outcome as long as the time can be had at all. What was missed for longer
// than a second is not made up for.
func burnCore(part func() float64) {
	runtime.LockOSThread()
	owed, last, used := 0.0, time.Now(), threadSeconds()
	for {
		now := time.Now()
		owed = min(owed+part()*now.Sub(last).Seconds(), 1)
		last = now
		for owed > 0 {
			for range 20000 { // some 10 µs; Go does not optimise an empty loop away
			}
			t := threadSeconds()
			owed -= t - used
			used = t
			if time.Since(last) > 10*time.Millisecond {
				break
			}
		}
		if owed <= 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func threadSeconds() float64 {
	const rusageThread = 1
	var usage syscall.Rusage
	_ = syscall.Getrusage(rusageThread, &usage)
	return float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
}

// bytes is a size on the command line: a whole number with the suffix Ki, Mi, Gi or none.
type bytes int

func (b *bytes) String() string { return strconv.Itoa(int(*b)) }

func (b *bytes) Set(text string) error {
	shift := 0
	for i, suffix := range []string{"Ki", "Mi", "Gi"} {
		if number, found := strings.CutSuffix(text, suffix); found {
			text, shift = number, 10*(i+1)
		}
	}
	n, err := strconv.Atoi(text)
	*b = bytes(n << shift)
	return err
}
