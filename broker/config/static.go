package config

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// Static is what the file and the command line said, checked. It is immutable.
type Static struct {
	// given is what was said, as it was said; props adds what follows from it: node.id beside broker.id, and the defaults
	// of a broker that is alone.
	given, props map[string]string
	broker       *Broker
	notices      []Notice
}

// Notice is something about the settings that whoever starts a broker should read but that does not stop it.
type Notice struct {
	// Warn tells a probable mistake from mere information.
	Warn bool
	Text string
}

// aloneDefaults replace Kafka's where the broker is a cluster of one: it cannot hold three replicas of anything. Kafka
// itself fails every group on a single broker until the file says this.
var aloneDefaults = map[string]string{
	"offsets.topic.replication.factor":         "1",
	"transaction.state.log.replication.factor": "1",
	"transaction.state.log.min.isr":            "1",
}

// Load reads a properties file, "" for none, and puts overrides of the form key=value over it, later ones first.
// The error is a Problems when the settings themselves are wrong.
func Load(path string, overrides []string) (*Static, error) {
	props := map[string]string{}
	if path != "" {
		var err error
		if props, err = LoadProperties(path); err != nil {
			return nil, err
		}
	}
	for _, o := range overrides {
		k, v, err := ParseOverride(o)
		if err != nil {
			return nil, err
		}
		props[k] = v
	}
	return NewStatic(props)
}

// Problems is everything that is wrong with a set of settings, each with its name, its value and what would be right.
type Problems []error

func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, err := range p {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the problems to errors.As.
func (p Problems) Unwrap() []error { return p }

// NewStatic checks the settings of a properties file. It finds all problems before it gives up.
func NewStatic(given map[string]string) (*Static, error) {
	s := &Static{given: maps.Clone(given), props: maps.Clone(given)}
	if s.props == nil {
		s.given, s.props = map[string]string{}, map[string]string{}
	}
	if strings.TrimSpace(s.props["zookeeper.connect"]) == "" {
		delete(s.props, "zookeeper.connect")
		for k, v := range aloneDefaults {
			if _, ok := s.props[k]; !ok {
				s.props[k] = v
			}
		}
	}
	twin(s.props, "broker.id", "node.id")
	twin(s.props, "node.id", "broker.id")

	if problems := checkValues(s.props, BrokerDefs()); len(problems) > 0 {
		return nil, problems
	}
	v := view{s.props}
	broker, conflicts := crossCheck(v)
	if broker != nil {
		conflicts = unsupported(v, broker)
	}
	if len(conflicts) > 0 {
		var problems Problems
		for _, c := range conflicts {
			problems = append(problems, fmt.Errorf("%w (%s)", c, v.shown(c.Names)))
		}
		return nil, problems
	}
	s.broker = broker
	s.notices = notices(s.given, broker)
	return s, nil
}

// Listeners are those that the file asks for.
func (s *Static) Listeners() []Listener { return s.broker.Listeners }

func twin(props map[string]string, from, to string) {
	if v, ok := props[from]; ok {
		if _, set := props[to]; !set {
			props[to] = v
		}
	}
}

// greatest are the numbers that end the types of whole numbers, which a valid range "[1,...]" does not tell of.
var greatest = map[Type]int64{Short: math.MaxInt16, Int: math.MaxInt32, Long: math.MaxInt64}

var digits = regexp.MustCompile(`^\d{5,}$`) // a number that may be too large

// checkValues parses every value that a definition knows, those behind a listener's prefix too.
func checkValues(props map[string]string, defs *Defs) Problems {
	var problems Problems
	for _, name := range slices.Sorted(maps.Keys(props)) {
		def := defs.Get(name)
		if base, ok := listenerBase(name); ok {
			def = defs.Get(base)
		}
		if def == nil {
			continue
		}
		if _, err := def.Parse(props[name]); err != nil {
			switch most, bounded := greatest[def.Type]; {
			case bounded && digits.MatchString(strings.TrimSpace(props[name])) && strings.HasSuffix(def.Valid, ",...]"):
				err = fmt.Errorf("%w (valid: %s,...,%d])", err, strings.TrimSuffix(def.Valid, ",...]"), most)
			case def.Valid != "":
				err = fmt.Errorf("%w (valid: %s)", err, def.Valid)
			case bounded:
				err = fmt.Errorf("%w (valid: [%d,...,%d])", err, -most-1, most)
			default:
				err = fmt.Errorf("%w (type %s)", err, def.Type)
			}
			problems = append(problems, err)
		}
	}
	return problems
}

// shown lists settings with the values in effect, for a text that says what is wrong with them.
func (v view) shown(names []string) string {
	parts := make([]string, 0, len(names))
	for _, name := range names {
		value := v.text(name)
		if value == nil {
			continue
		}
		parts = append(parts, name+"="+*value)
	}
	return strings.Join(parts, ", ")
}

// unsupported refuses what would be dangerous to accept without effect: a broker that was told to authenticate or
// authorise must not run open.
func unsupported(v view, b *Broker) []*Conflict {
	var found []*Conflict
	for _, l := range b.Listeners {
		if l.Protocol != Plaintext {
			found = append(found, &Conflict{Names: []string{"listeners", "listener.security.protocol.map"}, plain: true,
				Text: fmt.Sprintf("listener %s asks for %s, but this version of barnabas serves %s only", l.Name, l.Protocol, Plaintext)})
		}
	}
	if v.word("authorizer.class.name") != "" {
		found = append(found, &Conflict{Names: []string{"authorizer.class.name"}, plain: true,
			Text: "this version of barnabas has no authorizer and will not run open where one is asked for; remove authorizer.class.name to run without"})
	}
	if v.isSet("config.providers") {
		found = append(found, &Conflict{Names: []string{"config.providers"}, plain: true,
			Text: "config providers are not supported: placeholders such as ${file:...} would be taken literally"})
	}
	return found
}

// Broker is the typed picture of the static settings.
func (s *Static) Broker() *Broker { return s.broker }

// Given tells what the file or the command line said of a setting.
func (s *Static) Given(name string) (string, bool) {
	v, ok := s.given[name]
	return v, ok
}

// Notices are the warnings and remarks to log once at the start.
func (s *Static) Notices() []Notice { return s.notices }
