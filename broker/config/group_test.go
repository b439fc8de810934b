package config

import (
	"slices"
	"strings"
	"testing"
)

func TestGroupSettingsAct(t *testing.T) {
	s := NewSettings(start(t, map[string]string{"group.consumer.max.session.timeout.ms": "48000", "group.consumer.heartbeat.interval.ms": "6000"}), 1)
	acts := func(group string, session, heartbeat int32) {
		t.Helper()
		if a, b := s.Group(group); a != session || b != heartbeat {
			t.Errorf("%s: %d %d, want %d %d", group, a, b, session, heartbeat)
		}
	}
	acts("g", 45000, 6000)
	noErrors(t, s.ApplyGroup("g", map[string]string{"consumer.session.timeout.ms": "46000", "consumer.heartbeat.interval.ms": "7000"}))
	acts("g", 46000, 7000)
	acts("other", 45000, 6000)
	if got := s.Groups(); !slices.Equal(got, []string{"g"}) {
		t.Error(got)
	}
	// The limits have become narrower since it was set.
	noErrors(t, s.ApplyGroup("g", map[string]string{"consumer.session.timeout.ms": "60000"}))
	acts("g", 48000, 6000)
	// What somebody has written into the store by hand.
	errs := s.ApplyGroup("g", map[string]string{"consumer.session.timeout.ms": "long", "share.session.timeout.ms": "50000", "consumer.heartbeat.interval.ms": "8000"})
	if len(errs) != 2 {
		t.Error(errs)
	}
	acts("g", 45000, 8000)
	noErrors(t, s.ApplyGroup("g", nil))
	acts("g", 45000, 6000)
	if got := s.Groups(); len(got) > 0 {
		t.Error(got)
	}
}

func TestGroupSettingsAreCheckedTogether(t *testing.T) {
	s := NewSettings(start(t, map[string]string{"group.consumer.min.session.timeout.ms": "6000", "group.consumer.session.timeout.ms": "9000"}), 1)
	for want, props := range map[string]map[string]string{
		"":                              {"consumer.session.timeout.ms": "6000"},
		"Unknown group config name: b":  {"consumer.session.timeout.ms": "x", "b": "1"},
		"must be greater than consumer": {"consumer.heartbeat.interval.ms": "9000"}, // that of the broker's session
		"consumer.session.timeout.ms must be greater than consumer": {"consumer.heartbeat.interval.ms": "8000", "consumer.session.timeout.ms": "7000"},
	} {
		err := s.ValidateGroup(props)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", props, err, want)
		}
	}
}

// TestWhatActsIsShown: of what was not set DescribeConfigs showed the protocols of a 3.9 broker, though those of 4.0 acted.
func TestWhatActsIsShown(t *testing.T) {
	for _, row := range NewSettings(start(t, nil), 1).DescribeBroker() {
		if row.Name == "group.coordinator.rebalance.protocols" {
			if *row.Value != "classic,consumer" || row.Source != FromDefinition || len(row.Synonyms) != 1 || *row.Synonyms[0].Value != "classic,consumer" {
				t.Errorf("%+v", row)
			}
			return
		}
	}
	t.Error("not shown")
}
