package storage

// Settle returns when no background work of the log dirs is left, so that a test's next step begins where the last one ended.
func (m *Manager) Settle() {
	for _, d := range m.dirs {
		d.queue.wait()
	}
}

// Pieces says where a segment is split, as (base, first byte) of each piece, that has entries of (first offset, last offset,
// bytes), and may have so many bytes in a piece.
func Pieces(base, most int64, entries [][3]int64) (at [][2]int64) {
	p, pos := newPieces(base, most), int64(0)
	for _, e := range entries {
		p.add(entry{first: e[0], last: e[1], pos: pos, size: e[2], magic: 2})
		pos += e[2]
	}
	for _, one := range p.list {
		at = append(at, [2]int64{one.base, one.from})
	}
	return at
}
