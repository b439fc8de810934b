package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/config"
	"barnabas/coordinator/controller"
)

// Configs is the family that reads and changes settings: of topics, of this broker, of all brokers, of groups, of log levels.
type Configs struct {
	Images   Images
	Settings *config.Settings
	Loggers  *config.Loggers
	Topics   TopicConfigs
	Store    ConfigStore
	// Changed, where it is not nil, puts what the store has of an entity into effect on this broker before a change is
	// answered, so that whoever asks next sees it; the store's watch would tell of it a moment later.
	Changed func(ctx context.Context, entityType, entityName string)
}

// routes are the rows of the table that this family serves.
func (c *Configs) routes() []Route {
	return []Route{
		route(c.DescribeConfigs),
		route(c.AlterConfigs),
		route(c.IncrementalAlterConfigs),
		route(c.ListConfigResources),
	}
}

// TopicConfigs tells of the topics that this broker knows.
type TopicConfigs interface {
	// TopicConfig gives a topic's overrides and whether the topic exists.
	TopicConfig(topic string) (overrides map[string]string, exists bool)
}

// ConfigStore is where the settings of topics, brokers and groups are kept. Entity types are "topics", "brokers" and
// "groups"; the entity that stands for all brokers is called "<default>".
type ConfigStore interface {
	// EntityConfig gives what is stored now, empty when there is nothing, and its version.
	EntityConfig(ctx context.Context, entityType, entityName string) (settings map[string]string, version int32, err error)
	// SetConfigs replaces an entity's whole config and tells all brokers, if it is still of the version given
	// (controller.AnyConfig: of any); else the error is controller.ErrConfigChanged.
	SetConfigs(ctx context.Context, entityType, entityName string, settings map[string]string, version int32) error
}

const (
	entityTopics  = "topics"
	entityBrokers = "brokers"
	entityGroups  = "groups"
	entityDefault = "<default>"
)

// resource names what a config request is about.
type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

// kindName is Kafka's name of a resource type; what Kafka 4.0 does not know is UNKNOWN.
func (r resource) kindName() string {
	switch r.kind {
	case kmsg.ConfigResourceTypeGroupConfig:
		return "GROUP"
	case kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeClientMetrics:
		return r.kind.String()
	}
	return "UNKNOWN"
}

// String is the resource as Java prints it in error texts.
func (r resource) String() string {
	return "ConfigResource(type=" + r.kindName() + ", name='" + r.name + "')"
}

// entity is where a broker resource is stored.
func (r resource) entity() string {
	if r.name == "" {
		return entityDefault
	}
	return r.name
}

func invalidRequest(format string, args ...any) *config.Refusal {
	return &config.Refusal{Err: kerr.InvalidRequest, Message: fmt.Sprintf(format, args...)}
}

// configAnswer turns an error into the code and message of a config response. No error has no message; an error that
// is not Kafka's keeps its text to itself.
func configAnswer(err error) (int16, *string) {
	if err == nil {
		return 0, nil
	}
	ke := asKafka(err)
	if ke == kerr.UnknownServerError {
		return ke.Code, nil
	}
	text := err.Error()
	if r := (*config.Refusal)(nil); errors.As(err, &r) {
		text = r.Message
	}
	return ke.Code, &text
}

// thisBroker checks that a resource's name is this broker's id. The parts of Kafka that check it word their refusals
// differently; mismatch is "%d ... %s" of the expected and the received.
func (f *Configs) thisBroker(name, notANumber, mismatch string) error {
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return invalidRequest(notANumber, name)
	}
	if int32(id) != f.Settings.BrokerID() {
		return invalidRequest(mismatch, f.Settings.BrokerID(), name)
	}
	return nil
}

// duplicates marks the resources that a request names more than once.
func duplicates(resources []resource) []bool {
	count := map[resource]int{}
	for _, r := range resources {
		count[r]++
	}
	marks := make([]bool, len(resources))
	for i, r := range resources {
		marks[i] = count[r] > 1
	}
	return marks
}

var errDuplicateResource = invalidRequest("Each resource must appear at most once.")

// checkKeys refuses keys given twice and values that are null where one is needed.
func checkKeys(names, withoutValue []string) error {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != len(names) {
		return invalidRequest("Error due to duplicate config keys")
	}
	if len(withoutValue) > 0 {
		text := withoutValue[0]
		for _, n := range withoutValue[1:] {
			text += ", " + n
		}
		return invalidRequest("Null value not supported for : %s", text)
	}
	return nil
}

// edit changes what is stored of an entity and puts it into force, or only checks it. Who else changes the same entity
// meanwhile loses nothing: then the change is made anew, of what is stored now. Kafka loses one of the two.
func (f *Configs) edit(ctx context.Context, r resource, entityType, entityName string, validateOnly bool, change func(stored map[string]string) (map[string]string, error)) error {
	for {
		stored, version, err := f.Store.EntityConfig(ctx, entityType, entityName)
		if err != nil {
			return err
		}
		settings, err := change(stored)
		if err != nil {
			return err
		}
		if err = f.alter(ctx, r, settings, version, validateOnly); !errors.Is(err, controller.ErrConfigChanged) || ctx.Err() != nil {
			return err
		}
	}
}

// alter puts a whole new config of a topic, broker or group into force in place of one of the given version, or only checks it.
// settings must be checked for resource names already.
func (f *Configs) alter(ctx context.Context, r resource, settings map[string]string, version int32, validateOnly bool) error {
	var err error
	entityType, entityName := entityTopics, r.name
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
		err = f.checkTopic(r, settings)
	case kmsg.ConfigResourceTypeGroupConfig:
		entityType = entityGroups
		err = f.Settings.ValidateGroup(settings)
	default:
		entityType, entityName = entityBrokers, r.entity()
		err = f.Settings.ValidateBroker(settings, r.name != "")
		if err == nil {
			settings, err = f.seal(ctx, r, settings)
		}
	}
	if err != nil || validateOnly {
		return err
	}
	if err := f.Store.SetConfigs(ctx, entityType, entityName, settings, version); err != nil {
		return err
	}
	if f.Changed != nil {
		f.Changed(ctx, entityType, entityName)
	}
	return nil
}

func (f *Configs) checkTopic(r resource, settings map[string]string) error {
	if r.name == "" {
		return invalidRequest("Default topic resources are not allowed.")
	}
	if _, exists := f.Topics.TopicConfig(r.name); !exists {
		return &config.Refusal{Err: kerr.UnknownTopicOrPartition, Message: "The topic '" + r.name + "' does not exist."}
	}
	return invalidValue(r, f.Settings.ValidateTopic(settings))
}

// invalidValue introduces a bad value by the resource it was meant for. Refusals that Kafka words in full stay as they
// are.
func invalidValue(r resource, err error) error {
	if err == nil {
		return nil
	}
	if ref := (*config.Refusal)(nil); errors.As(err, &ref) {
		return err
	}
	return badConfig(r, err.Error())
}

// badConfig introduces what is wrong with a resource's config in Kafka's words.
func badConfig(r resource, problem string) error {
	return &config.Refusal{Err: kerr.InvalidConfig, Message: "Invalid config value for resource " + r.String() + ": " + problem}
}

// seal gives the settings as they are stored: new secrets encrypted, which takes password.encoder.secret. Secrets that
// are stored already stay as they are.
func (f *Configs) seal(ctx context.Context, r resource, settings map[string]string) (map[string]string, error) {
	sealed := maps.Clone(settings)
	for name, value := range settings {
		if !config.IsPassword(name) {
			continue
		}
		if r.name == "" {
			return nil, badConfig(r, "Password config can be defined only at broker level")
		}
		stored, _, err := f.Store.EntityConfig(ctx, entityBrokers, r.entity())
		if err != nil {
			return nil, err
		}
		if stored[name] == value {
			continue
		}
		encoder := f.Settings.Static().PasswordEncoder()
		if encoder == nil {
			return nil, badConfig(r, "Password encoder secret not configured")
		}
		encoded, err := encoder.Encode(value)
		if err != nil {
			return nil, invalidValue(r, err)
		}
		sealed[name] = encoded
	}
	return sealed, nil
}
