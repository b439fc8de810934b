package peers

import "runtime"

// lockThread binds the goroutine to its thread for good; the thread ends with the goroutine.
func lockThread() { runtime.LockOSThread() }
