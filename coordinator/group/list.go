package group

import (
	"cmp"
	"slices"
	"strings"

	"barnabas/coordinator/runtime"
)

// The types of groups, as ListGroups names them. consumerType is both one of them and a protocol type.
const classicType = "classic"

// list shows the groups that are in one of the states and of one of the types, by name; an empty filter lets all pass. Names
// are compared without regard to case.
func (m *machine) list(states, types []string, p *runtime.Promise[[]Overview]) {
	var res []Overview
	for _, g := range m.groups {
		o := Overview{g.id, g.protocolType, g.state.String(), classicType}
		if g.consumer != nil {
			o = Overview{g.id, consumerType, g.consumer.state(), consumerType}
		}
		if among(states, o.State) && among(types, o.Type) {
			res = append(res, o)
		}
	}
	slices.SortFunc(res, func(a, b Overview) int { return cmp.Compare(a.Group, b.Group) })
	p.Resolve(res)
}

func among(filter []string, s string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, s) })
}
