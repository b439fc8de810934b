package main

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

// What people type wrong first, answered without a broker: one line each.
func TestMistypedCommandLines(t *testing.T) {
	folder := t.TempDir()
	for line, want := range map[string]string{
		"topic lsit":                                          `unknown command "lsit" for "barnabas topic"; did you mean list?`,
		"topics rename a b":                                   `unknown command "rename" for "barnabas topic": there are create, list, describe, alter, delete`,
		"config describe topic":                               "usage: barnabas config describe TYPE NAME [flags] (--help says more)",
		"group describe":                                      "usage: barnabas group describe GROUP... [flags] (--help says more)",
		"completion bsh":                                      `unknown command "bsh" for "barnabas completion"; did you mean bash?`,
		"completion tcsh --help-me":                           "unknown flag: --help-me; barnabas completion --help lists those there are",
		`consume ""`:                                          "an argument is empty; usage: barnabas consume TOPIC... [flags]",
		`topic delete orders ""`:                              "an argument is empty; usage: barnabas topic delete TOPIC... [flags]",
		`config describe topic ""`:                            "an argument is empty; usage: barnabas config describe TYPE NAME [flags]",
		"consume orders -n -1":                                "--count -1: give how many records to print, or 0 for all",
		"consume orders --follow --idle -2s":                  "--idle -2s is less than nothing",
		"group list billing":                                  `"billing" is one argument too many; usage: barnabas group list [flags]`,
		"produce orders hello":                                `"hello" is one argument too many; usage: barnabas produce TOPIC [flags]`,
		"config alter topic orders retention.ms=5":            `"retention.ms=5": settings are changed with barnabas config alter topic orders --set retention.ms=5`,
		"produce orders --property x=y":                       "--property x is not known here: --key-separator and --header are (see --help)",
		"consume orders -n x":                                 `--count: "x" is not a number`,
		"consume orders -n 9999999999999999999":               `--count: "9999999999999999999" is not a number in range`,
		"consume orders --follow=perhaps":                     `--follow: "perhaps" is not true or false`,
		"consume orders --property x=y":                       "--property x is not known here: --format says how to print a record (see --help)",
		"consume orders --max-messages":                       "unknown flag: --max-messages; barnabas consume --help lists those there are",
		"consume orders -n":                                   "flag needs an argument: 'n' in -n",
		"topic list --timeout 5":                              `--timeout: "5" is not a duration such as 500ms, 15s or 2m`,
		"topic list --timeout 0s":                             "--timeout 0s leaves no time for an answer",
		"topic list --bootstrap-srver x":                      "unknown flag: --bootstrap-srver; did you mean --bootstrap-server?",
		"topic list -x":                                       "unknown shorthand flag: 'x' in -x",
		"topic list -b localhost:port":                        `--bootstrap-server "localhost:port": "port" is not a port`,
		"topic list -b localhost:70000":                       `--bootstrap-server "localhost:70000": "70000" is not a port`,
		"topic list -b SSL://localhost:9093":                  `--bootstrap-server "SSL://localhost:9093": only PLAINTEXT works, give host:port`,
		"topic list --bootstrap-server=":                      "--bootstrap-server is empty: give host:port",
		"group reset g --topic t":                             "one of these is needed: --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, --to-datetime, --by-duration",
		"group reset g --topic t --to-earliest --to-offset 1": "--to-earliest and --to-offset do not go together",
		"group reset g --topic t --by-duration fortnight":     `--by-duration: "fortnight" is not a duration such as 90m, 24h or 7d`,
		"dump-log " + folder:                                  "dump: " + folder + " is a folder: name files in it",
	} {
		words := strings.Fields(line)
		for i := range words {
			words[i] = strings.Trim(words[i], "\"")
		}
		code, _, errOut := tool(t, words...)
		if code != 1 || errOut != "barnabas: "+want+"\n" {
			t.Errorf("%s: exit code %d, %s\nwant %s", line, code, errOut, want)
		}
	}
}

func TestEveryHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		args := strings.Fields(strings.TrimPrefix(c.CommandPath(), "barnabas"))
		code, out, errOut := tool(t, append(args, "--help")...)
		if code != 0 || errOut != "" || !strings.Contains(out, "Usage:") || c.Short == "" {
			t.Errorf("%s --help: exit code %d\n%s%s", c.CommandPath(), code, out, errOut)
		}
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit(newRoot())
	for _, alone := range []string{"topic", "group", "config"} { // without a subcommand they explain themselves
		if code, out, errOut := tool(t, alone); code != 0 || errOut != "" || !strings.Contains(out, "Available Commands:") {
			t.Errorf("%s: exit code %d\n%s%s", alone, code, out, errOut)
		}
	}
}

func TestReasonsNotToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ listen, data, want string }{
		{taken.Addr().String(), t.TempDir(), "choose another port with --listen"},
		{"192.0.2.1:0", t.TempDir(), "it must be an address of this machine"}, // an address that nobody has
		{"127.0.0.1:0", file, "log dir " + file},
	} {
		code, out, errOut := tool(t, "serve", "--listen", c.listen, "--data", c.data, "--log-level", "fatal")
		if code != 1 || out != "" || !strings.HasPrefix(errOut, "barnabas: start: ") || !strings.Contains(errOut, c.want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%+v: exit code %d\n%s%s", c, code, out, errOut)
		}
	}
	for want, err := range map[string]error{
		"with --data":           fmt.Errorf("log dir: %w", &fs.PathError{Op: "mkdir", Path: "/x", Err: syscall.EACCES}),
		"may write to":          fmt.Errorf("log dir: %w", &fs.PathError{Op: "mkdir", Path: "/x", Err: syscall.EROFS}),
		"for the privileged":    fmt.Errorf("listen: %w", &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", syscall.EACCES)}),
		"start: something else": fmt.Errorf("something else"),
	} {
		if got := startMistake(err).Error(); !strings.Contains(got, want) {
			t.Errorf("%s lacks %q", got, want)
		}
	}
}
