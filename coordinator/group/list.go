package group

import (
	"cmp"
	"slices"
	"strings"

	"barnabas/coordinator/runtime"
)

// classicType is the type of all groups here, as ListGroups names it.
const classicType = "classic"

// list shows the groups that are in one of the states and of one of the types, by name; an empty filter lets all pass. Names
// are compared without regard to case.
func (m *machine) list(states, types []string, p *runtime.Promise[[]Overview]) {
	var res []Overview
	for _, g := range m.groups {
		if among(states, g.state.String()) && among(types, classicType) {
			res = append(res, Overview{g.id, g.protocolType, g.state.String(), classicType})
		}
	}
	slices.SortFunc(res, func(a, b Overview) int { return cmp.Compare(a.Group, b.Group) })
	p.Resolve(res)
}

func among(filter []string, s string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, s) })
}
