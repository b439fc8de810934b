package runtime

// errand is an operation that nobody waits for. It waits itself: for the load of the partition, for enough in-sync replicas,
// and, if its machine is thrown away before what it wrote is committed, for the next one. It ends with the leadership.
type errand[M Machine] struct {
	shard *shard
	f     func(M)
}

// Post runs an operation on the machine of a partition, now or as soon as that is possible. It may run again after a failure, so
// it must do the same when it finds its work done. On a partition that is not led it does nothing.
func Post[M Machine](r *Runtime, partition int32, f func(M)) {
	if s := r.shard(partition); s != nil {
		s.post(&errand[M]{s, f})
	}
}

func (e *errand[M]) run(s *Scope) {
	if s.log.Writable() != nil {
		e.later()
		return
	}
	e.f(s.machine.(M))
	s.park(e)
}

// later puts the errand into the inbox again, after a while: a log that fails may go on failing.
func (e *errand[M]) later() {
	e.shard.rt.o.Clock.AfterFunc(retryAfter, func() { e.shard.post(e) })
}

func (e *errand[M]) refuse(error) { e.later() }
func (e *errand[M]) deliver()     {}

// abandon is told that what the errand wrote is gone with its machine, or that it is not committed yet. To do it again is right in
// both cases.
func (e *errand[M]) abandon(error) { e.later() }
