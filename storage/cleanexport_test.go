package storage

// Cleaning says whether a pass is at work.
func (l *Log) Cleaning() bool {
	l.cleaning.mu.Lock()
	defer l.cleaning.mu.Unlock()
	return l.cleaning.stop != nil
}

// CleanLog does what a worker of the cleaner does with a log that is due, here and now. The error is why the log cannot be
// compacted, or the failure of its disk.
func (m *Manager) CleanLog(topic string, partition int32, o CleanOptions) error {
	h, _ := m.find(topic, partition)
	e, err := h.log.Cleanable(h.log.now())
	if err != nil {
		return err
	}
	m.cleaner.clean(h, e, o)
	if bad := h.log.uncleanable.Load(); bad != nil {
		return *bad
	}
	if bad := h.log.Failed(); bad != nil {
		return bad
	}
	return nil
}

// Rest returns when no worker of the cleaner is at work.
func (m *Manager) Rest() {
	m.cleaner.mu.Lock()
	defer m.cleaner.mu.Unlock()
	m.cleaner.restLocked()
}
