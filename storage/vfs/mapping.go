package vfs

import (
	"fmt"
	"runtime/debug"
)

// Mapping is a part of a file seen as memory, read-only. View may run in many goroutines; Close must come after them.
type Mapping struct {
	data  []byte
	unmap func([]byte) error
}

// NewMapping is a mapping over data that unmap, unless nil, gives back.
func NewMapping(data []byte, unmap func([]byte) error) *Mapping {
	return &Mapping{data: data, unmap: unmap}
}

// Len is the number of bytes mapped.
func (m *Mapping) Len() int { return len(m.data) }

// View calls f with the mapped bytes, which are valid only until f returns. A page that cannot be had ends f early and
// is ErrFault.
func (m *Mapping) View(f func(b []byte) error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			// Only a memory fault has an address; anything else is a bug of f and goes on.
			fault, ok := r.(interface{ Addr() uintptr })
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%w at byte %d", ErrFault, fault.Addr()-base(m.data))
		}
	}()
	return f(m.data)
}

// Close gives the memory back.
func (m *Mapping) Close() error {
	data := m.data
	m.data = nil
	if m.unmap == nil || data == nil {
		return nil
	}
	return m.unmap(data)
}
