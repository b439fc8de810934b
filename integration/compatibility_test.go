//go:build integration

package integration

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"barnabas/broker/config"
	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestCompatibilityLists holds the lists of APIs and settings in docs/COMPATIBILITY.md to what the broker advertises and obeys.
func TestCompatibilityLists(t *testing.T) {
	if kind() != peers.Barnabas {
		t.Skip("they are barnabas's")
	}
	inCompatibility(t, "apis", apisTable(t, target(t)))
	inCompatibility(t, "settings", settingsTable("broker", config.BrokerDefs(), config.Effective)+"\n"+settingsTable("topic", config.TopicDefs(), topicEffective())+"\n"+
		settingsTable("group", config.GroupDefs(), func(string) bool { return true }))
}

// lastAPI is the highest key of Apache Kafka 4.3.
const lastAPI = 92

// asKafka spells kmsg's names of APIs as Kafka does.
var asKafka = strings.NewReplacer("ISR", "Isr", "SASL", "Sasl", "ACL", "Acl", "SCRAM", "Scram", "ProducerID", "ProducerId",
	"AlterPartitionAssignments", "AlterPartitionReassignments")

func apisTable(t *testing.T, addr string) string {
	t.Helper()
	c, err := peers.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, "integration", "1"
	resp, err := c.RoundTrip(req, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[int16]string{}
	for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		versions[k.ApiKey] = strconv.Itoa(int(k.MinVersion))
		if k.MaxVersion > k.MinVersion {
			versions[k.ApiKey] += fmt.Sprintf(" to %d", k.MaxVersion)
		}
	}
	var out strings.Builder
	out.WriteString("| key | API | versions |\n|---|---|---|\n")
	for key := range int16(lastAPI + 1) {
		if name := kmsg.NameForKey(key); versions[key] != "" || name != "Unknown" {
			fmt.Fprintf(&out, "| %d | %s | %s |\n", key, asKafka.Replace(name), cmp.Or(versions[key], "–"))
		}
		delete(versions, key)
	}
	for key, v := range versions {
		t.Errorf("API %d, versions %s, is beyond those of Kafka 4.3", key, v)
	}
	return out.String()
}

var modes = map[config.Mode]string{config.ReadOnly: "at the start", config.PerBroker: "for a broker", config.ClusterWide: "for a broker, for all", config.TopicLevel: "for a topic", config.GroupLevel: "for a group"}

// settingsTable has a line for each setting: what is obeyed, and how it may be changed.
func settingsTable(of string, defs *config.Defs, obeyed func(name string) bool) string {
	var out strings.Builder
	fmt.Fprintf(&out, "| setting of the %s | default | set | effect |\n|---|---|---|---|\n", of)
	for _, def := range defs.All() {
		value := "–"
		if def.Default != nil {
			value = "`" + strings.ReplaceAll(*def.Default, "|", "\\|") + "`"
		}
		if value == "``" {
			value = "empty"
		}
		effect := strings.ReplaceAll(def.Doc, "|", "\\|")
		if !obeyed(def.Name) {
			effect = "no effect here: " + effect
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", def.Name, value, modes[def.Mode], effect)
	}
	return out.String()
}

// topicEffective tells of a topic's setting what config.Effective tells of a broker's.
func topicEffective() func(name string) bool {
	obeyed := map[string]bool{}
	for i, topic := 0, reflect.TypeFor[config.Topic](); i < topic.NumField(); i++ {
		name, mark, _ := strings.Cut(topic.Field(i).Tag.Get("config"), ",")
		obeyed[name] = mark != "inert"
	}
	return func(name string) bool { return obeyed[name] }
}

// inCompatibility holds a part of docs/COMPATIBILITY.md, between marks with its name, to what a test has found out, or writes it there.
func inCompatibility(t *testing.T, part, text string) {
	t.Helper()
	path := filepath.Join(peers.Root(), "docs", "COMPATIBILITY.md")
	doc := string(readFile(t, path))
	begin, end := "<!-- "+part+": ", "<!-- end of "+part+" -->"
	before, rest, found := strings.Cut(doc, begin)
	head, rest, foundHead := strings.Cut(rest, "-->\n")
	old, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundHead || !foundEnd {
		t.Fatal(errors.New("docs/COMPATIBILITY.md has no part " + part))
	}
	text = "\n" + strings.TrimSpace(text) + "\n\n"
	if old == text {
		return
	}
	if os.Getenv("BARNABAS_WRITE_COMPATIBILITY") == "" {
		theirs, ours, _ := firstDifference(old, text)
		t.Errorf("docs/COMPATIBILITY.md, part %s, says\n  %s\nand what came out is\n  %s\n(BARNABAS_WRITE_COMPATIBILITY=1 writes it)", part, theirs, ours)
		return
	}
	if err := os.WriteFile(path, []byte(before+begin+head+"-->\n"+text+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
