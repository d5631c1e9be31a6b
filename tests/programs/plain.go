// plain.go - plain.c once more, in Go: a small program for the ends of pipes, see there
//
// Go calls the kernel itself, also where its program is linked dynamically ("net" makes it so). Its
// runtime makes each pipe that it uses non-blocking and watches it by epoll.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func produce(count int, state uint32) {
	buffer := make([]byte, 65536)
	for size := 1; count > 0; size = size * 5 % 65521 {
		if size > count {
			size = count
		}
		for i := 0; i < size; i++ {
			state = state*1103515245 + 12345
			buffer[i] = byte('a' + (state>>16)%26)
		}
		_, err := os.Stdout.Write(buffer[:size])
		check(err)
		count -= size
	}
}

func upper(from io.Reader, to io.Writer) {
	buffer := make([]byte, 65536)
	for {
		size, err := from.Read(buffer)
		if size > 0 {
			_, bad := to.Write(bytes.ToUpper(buffer[:size]))
			check(bad)
		}
		if err == io.EOF {
			return
		}
		check(err)
	}
}

func sum() {
	hash := fnv.New32a()
	count, err := io.Copy(hash, bufio.NewReaderSize(os.Stdin, 65536))
	check(err)
	fmt.Printf("%d bytes, %08x\n", count, hash.Sum32())
}

func line() {
	one := make([]byte, 1)
	var text []byte
	for len(text) == 0 || one[0] != '\n' {
		if size, _ := os.Stdin.Read(one); size != 1 {
			break
		}
		text = append(text, one[0])
	}
	_, err := os.Stdout.Write(text)
	check(err)
}

func run(arguments []string) {
	command := exec.Command(arguments[0], arguments[1:]...)
	in, err := command.StdinPipe()
	check(err)
	out, err := command.StdoutPipe()
	check(err)
	command.Stderr = os.Stderr
	check(command.Start())
	go func() {
		upper(os.Stdin, in)
		in.Close()
	}()
	upper(out, os.Stdout)
	check(command.Wait())
}

func main() {
	if len(os.Args) > 1 {
		switch arguments := os.Args[2:]; os.Args[1] {
		case "produce":
			produce(number(arguments[0]), uint32(number(arguments[1])))
			return
		case "upper":
			upper(os.Stdin, os.Stdout)
			return
		case "sum":
			sum()
			return
		case "line":
			line()
			return
		case "run":
			run(arguments)
			return
		case "hold":
			fmt.Println("here")
			waiting := make(chan os.Signal, 1)
			signal.Notify(waiting, syscall.SIGUSR2)
			<-waiting
			return
		case "leave":
			os.Stdin.Read(make([]byte, 1))
			os.Exit(number(arguments[0]))
		case "net": // what links the program dynamically
			fmt.Println(net.IPv4(127, 0, 0, 1))
			return
		}
	}
	os.Exit(1)
}
