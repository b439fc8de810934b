package group

import "barnabas/coordinator/runtime"

// describe shows a group of the classic protocol, as dead if it is of the other; nil if there is none. Metadata and assignments are
// shown of stable groups only.
func (m *machine) describe(id string, most int, p *runtime.Promise[*Description]) {
	g := m.groups[id]
	switch {
	case g == nil:
		p.Resolve(nil)
		return
	case g.consumer != nil:
		p.Resolve(&Description{State: Dead.String(), Other: true})
		return
	}
	if err := larger(len(g.members), most); err != nil {
		p.Fail(err)
		return
	}
	d := &Description{State: g.state.String(), ProtocolType: g.protocolType, Members: make([]MemberDescription, len(g.members))}
	for i, mb := range g.members {
		d.Members[i] = MemberDescription{ID: mb.id, Instance: mb.instance, Client: mb.client}
		if g.state == Stable && g.protocol != nil {
			d.Members[i].Metadata, d.Members[i].Assignment = mb.metadata(*g.protocol), mb.assignment
		}
	}
	if g.state == Stable && g.protocol != nil {
		d.Protocol = *g.protocol
	}
	p.Resolve(d)
}
