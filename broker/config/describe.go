package config

import (
	"maps"
	"slices"
)

// Source is where a value comes from, numbered as DescribeConfigs v1+ numbers it.
type Source int8

const (
	FromTopic          Source = 1
	FromBroker         Source = 2 // dynamic, this broker
	FromDefaultBroker  Source = 3 // dynamic, all brokers
	FromFile           Source = 4
	FromDefinition     Source = 5
	FromBrokerLogger   Source = 6
	FromClientsMetrics Source = 7
	FromGroup          Source = 8
)

// Row is one setting as DescribeConfigs reports it.
type Row struct {
	Name string
	// Value is nil when the setting is unset or secret.
	Value     *string
	Source    Source
	ReadOnly  bool
	Sensitive bool
	Synonyms  []Synonym
	Type      Type
	// Doc is nil for settings that no definition knows.
	Doc *string
}

// Synonym is one place where a value could come from.
type Synonym struct {
	Name   string
	Value  *string
	Source Source
}

// DescribeTopic gives all topic settings with what a topic with these overrides has.
func (s *Settings) DescribeTopic(overrides map[string]string) []Row {
	st := s.current.Load()
	rows := make([]Row, 0, len(TopicDefs().All()))
	for _, def := range TopicDefs().All() {
		row := Row{Name: def.Name, Type: def.Type, Doc: &def.Doc, Source: FromDefinition}
		override, overridden := overrides[def.Name]
		value := st.merged.topicDefault(def.Name)
		if overridden {
			value = &override
			row.Synonyms = append(row.Synonyms, Synonym{def.Name, rendered(def, value), FromTopic})
		}
		row.Value = rendered(def, value)
		if len(def.Synonyms) > 0 {
			first := def.Synonyms[0]
			row.Synonyms = append(row.Synonyms, s.synonyms(st, first, Synonyms(first), false)...)
		}
		if len(row.Synonyms) > 0 {
			row.Source = row.Synonyms[0].Source
		}
		rows = append(rows, row)
	}
	return rows
}

// DescribeBroker gives this broker's settings: all that are not internal, and whatever else was set.
func (s *Settings) DescribeBroker() []Row {
	st := s.current.Load()
	names := map[string]bool{}
	for _, def := range BrokerDefs().All() {
		if !def.Internal {
			names[def.Name] = true
		}
	}
	for name := range st.merged.props {
		names[name] = true
	}
	rows := make([]Row, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		value := st.merged.text(name)
		if def := BrokerDefs().Get(name); def != nil {
			value = rendered(def, value)
		}
		rows = append(rows, s.brokerRow(st, name, value, true))
	}
	return rows
}

// DescribeDefault gives the settings of the default broker entity: only what is set there.
func (s *Settings) DescribeDefault() []Row {
	st := s.current.Load()
	var rows []Row
	for _, name := range slices.Sorted(maps.Keys(st.byDefault)) {
		value := st.byDefault[name]
		rows = append(rows, s.brokerRow(st, name, &value, false))
	}
	return rows
}

func (s *Settings) brokerRow(st *state, name string, value *string, perBroker bool) Row {
	row := Row{Name: name, Value: value, Source: FromDefinition, ReadOnly: true}
	def := describedAs(name)
	if def != nil {
		row.Type = def.Type
	}
	row.Sensitive = row.Type == Password || row.Type == Unknown
	if row.Sensitive {
		row.Value = nil
	}
	if own := BrokerDefs().Get(name); own != nil {
		row.Doc = &own.Doc
		row.ReadOnly = own.Mode == ReadOnly
	}
	row.Synonyms = s.synonyms(st, name, Synonyms(name), row.Sensitive)
	if !perBroker {
		row.Synonyms = slices.DeleteFunc(row.Synonyms, func(y Synonym) bool { return y.Source != FromDefaultBroker })
	}
	if len(row.Synonyms) > 0 {
		row.Source = row.Synonyms[0].Source
	}
	return row
}

// describedAs is the definition that gives a broker setting its type: its own, that of the name behind a listener's
// prefix, or a throttle's.
func describedAs(name string) *Def {
	if def := BrokerDefs().Get(name); def != nil {
		return def
	}
	if base, ok := listenerBase(name); ok {
		return BrokerDefs().Get(base)
	}
	return EntityDefs("brokers").Get(name)
}

// synonyms lists where a value could come from, strongest first. What comes before the first entry with the setting's
// own name is dropped.
func (s *Settings) synonyms(st *state, name string, names []string, sensitive bool) []Synonym {
	var list []Synonym
	add := func(layer map[string]string, source Source) {
		for _, n := range names {
			if v, ok := layer[n]; ok {
				list = append(list, Synonym{n, shownUnless(sensitive, v), source})
			}
		}
	}
	add(st.own, FromBroker)
	add(st.byDefault, FromDefaultBroker)
	add(s.static.props, FromFile)
	for _, n := range names {
		if def := BrokerDefs().Get(n); def != nil && def.Default != nil {
			list = append(list, Synonym{n, shownUnless(sensitive, *def.Default), FromDefinition})
		}
	}
	at := slices.IndexFunc(list, func(y Synonym) bool { return y.Name == name })
	if at < 0 {
		return nil
	}
	return list[at:]
}

func shownUnless(sensitive bool, value string) *string {
	if sensitive {
		return nil
	}
	return &value
}

// rendered is a value as Kafka prints it: numbers in their plain form, lists with bare commas. What cannot be parsed
// (only a store written by hand has such) is shown as it is.
func rendered(def *Def, value *string) *string {
	if value == nil {
		return nil
	}
	v, err := def.Parse(*value)
	if err != nil {
		return value
	}
	text := v.String()
	return &text
}
