package api

// DescribeConfigs (key 32): settings with what they are, where they come from and what they mean.
//
//	v0  value, read only, default or not, sensitive (KIP-133). Kafka 3.9 leaves is_default false for all, so do we
//	v1  source instead of is_default; synonyms when asked for (KIP-226)
//	v2  as v1; throttled answers are sent before the wait
//	v3  type, and documentation when asked for (KIP-569)
//	v4  tagged fields (KIP-482)

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/config"
)

// DescribeConfigs reads settings. It answers in its turn, so that it sees what was changed before on the connection.
func (f *Configs) DescribeConfigs(c *Call, req *kmsg.DescribeConfigsRequest) Reply {
	return Later(func(context.Context) Response { return f.describe(c, req) })
}

func (f *Configs) describe(c *Call, req *kmsg.DescribeConfigsRequest) Response {
	size := answerSize{turn: c.turn()}
	defer size.end()
	if len(req.Resources) > 1 && !size.begin() {
		return nil
	}
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	known := !slices.ContainsFunc(req.Resources, func(r kmsg.DescribeConfigsRequestResource) bool {
		return resource{r.ResourceType, r.ResourceName}.kindName() == "UNKNOWN"
	})
	var of settings
	var is *resource // whose they are: the same may be asked for over and over
	for _, asked := range req.Resources {
		answer := kmsg.NewDescribeConfigsResponseResource()
		answer.ResourceType, answer.ResourceName = asked.ResourceType, asked.ResourceName
		answer.ErrorMessage = new(string) // "" where nothing is said, as Kafka sends it
		if !known {
			// One resource of a type that Kafka does not know fails the request as a whole.
			of.err = &config.Refusal{Err: kerr.InvalidRequest, Message: "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details."}
		} else if r := (resource{asked.ResourceType, asked.ResourceName}); is == nil || *is != r {
			of.rows, of.err = f.rows(r)
			is = &r
		}
		if of.err != nil {
			answer.ErrorCode, answer.ErrorMessage = configAnswer(of.err)
			if of.err == kerr.UnknownTopicOrPartition {
				answer.ErrorMessage = new(string)
			}
		}
		for _, row := range of.rows {
			if len(asked.ConfigNames) == 0 || slices.Contains(asked.ConfigNames, row.Name) {
				c := describedRow(row, req)
				if !size.addMore(1 + len(c.ConfigSynonyms) + textSize(c.Documentation)) {
					return size.refused()
				}
				answer.Configs = append(answer.Configs, c)
			}
		}
		resp.Resources = append(resp.Resources, answer)
	}
	return size.made(resp)
}

// settings are what a resource has, or why they are not told.
type settings struct {
	rows []config.Row
	err  error
}

// textSize is what a text adds to the size of an answer.
func textSize(s *string) int {
	if s == nil {
		return 0
	}
	return len(*s) / answerUnit
}

// rows are all settings of a resource.
func (f *Configs) rows(r resource) ([]config.Row, error) {
	const notANumber = "Broker id must be an integer, but it is: %s"
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
		if problem := topicNameProblem(r.name); problem != "" {
			return nil, &config.Refusal{Err: kerr.InvalidTopicException, Message: "Topic name is invalid: " + problem}
		}
		overrides, exists := f.Topics.TopicConfig(r.name)
		if !exists {
			return nil, kerr.UnknownTopicOrPartition
		}
		return f.Settings.DescribeTopic(overrides), nil

	case kmsg.ConfigResourceTypeBroker:
		if r.name == "" {
			return f.Settings.DescribeDefault(), nil
		}
		if err := f.thisBroker(r.name, notANumber, "Unexpected broker id, expected %d or empty string, but received %s"); err != nil {
			return nil, err
		}
		return f.Settings.DescribeBroker(), nil

	case kmsg.ConfigResourceTypeBrokerLogger:
		if r.name == "" {
			return nil, invalidRequest("Broker id must not be empty")
		}
		if err := f.thisBroker(r.name, notANumber, "Unexpected broker id, expected %d but received %s"); err != nil {
			return nil, err
		}
		return loggerRows(f.Loggers.All()), nil

	case kmsg.ConfigResourceTypeGroupConfig:
		if r.name == "" {
			return nil, invalidRequest("Group name must not be empty")
		}
		return f.Settings.DescribeGroup(r.name), nil

	default: // CLIENT_METRICS
		if r.name == "" {
			return nil, invalidRequest("Client metrics subscription name must not be empty")
		}
		return nil, invalidRequest("Config type client-metrics is only supported on KRaft clusters")
	}
}

func loggerRows(levels map[string]string) []config.Row {
	rows := make([]config.Row, 0, len(levels))
	for _, name := range slices.Sorted(maps.Keys(levels)) {
		level := levels[name]
		rows = append(rows, config.Row{Name: name, Value: &level, Source: config.FromBrokerLogger, Doc: new(string)})
	}
	return rows
}

func describedRow(row config.Row, req *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value = row.Name, row.Value
	c.ReadOnly, c.IsSensitive = row.ReadOnly, row.Sensitive
	c.Source = kmsg.ConfigSource(row.Source)
	c.ConfigType = kmsg.ConfigType(row.Type)
	if req.IncludeDocumentation || row.Source == config.FromBrokerLogger { // Kafka sends loggers' empty one in any case
		c.Documentation = row.Doc
	}
	if req.IncludeSynonyms {
		for _, s := range row.Synonyms {
			y := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			y.Name, y.Value, y.Source = s.Name, s.Value, kmsg.ConfigSource(s.Source)
			c.ConfigSynonyms = append(c.ConfigSynonyms, y)
		}
	}
	return c
}

// topicNameProblem says what is wrong with a topic's name, in Kafka's words; "" when nothing is.
func topicNameProblem(name string) string {
	const longest = 249
	switch {
	case name == "":
		return "the empty string is not allowed"
	case name == "." || name == "..":
		return "'" + name + "' is not allowed"
	case len(name) > longest:
		return "the length of '" + name + "' is longer than the max allowed length 249"
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		default:
			return "'" + name + "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
		}
	}
	return ""
}
