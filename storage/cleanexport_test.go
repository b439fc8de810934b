package storage

// Cleaning says whether a pass is at work.
func (l *Log) Cleaning() bool {
	l.cleaning.mu.Lock()
	defer l.cleaning.mu.Unlock()
	return l.cleaning.stop != nil
}
