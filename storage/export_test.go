package storage

// Settle returns when no background work of the log dirs is left, so that a test's next step begins where the last one ended.
func (m *Manager) Settle() {
	for _, d := range m.dirs {
		d.queue.wait()
	}
}
