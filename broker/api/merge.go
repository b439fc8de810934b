package api

// allDiffer says whether no two of n elements have the same key. Requests name few; one that names many pays for a map.
func allDiffer[K comparable](n int, key func(i int) K) bool {
	if n > 32 {
		seen := make(map[K]struct{}, n)
		for i := range n {
			seen[key(i)] = struct{}{}
		}
		return len(seen) == n
	}
	for i := 1; i < n; i++ {
		for j := range i {
			if key(i) == key(j) {
				return false
			}
		}
	}
	return true
}

// byName is a topic as a request names it.
type byName struct {
	name string
	id   [16]byte
}

// merged are the topics of a request that may name one of them, or a partition, twice, with each once: Kafka keeps
// them in a map, where the last of two takes the place of the first. The request is not touched unless it does that.
func merged[T, P any](topics []T, name func(*T) byName, partitions func(*T) *[]P, id func(*P) int32) []T {
	once := allDiffer(len(topics), func(i int) byName { return name(&topics[i]) })
	for i := 0; once && i < len(topics); i++ {
		ps := *partitions(&topics[i])
		once = allDiffer(len(ps), func(j int) int32 { return id(&ps[j]) })
	}
	if once {
		return topics
	}
	var out []T
	at := map[byName]int{}
	places := map[byName]map[int32]int{}
	for i := range topics {
		t := topics[i]
		n := name(&t)
		into, known := at[n]
		ps := *partitions(&t)
		if !known {
			into = len(out)
			at[n], places[n] = into, map[int32]int{}
			*partitions(&t) = nil
			out = append(out, t)
		}
		kept := partitions(&out[into])
		for _, p := range ps {
			place, taken := places[n][id(&p)]
			if taken {
				(*kept)[place] = p
				continue
			}
			places[n][id(&p)] = len(*kept)
			*kept = append(*kept, p)
		}
	}
	return out
}

// eachOnce are the names of a list, each once, in the order of their first mention. Lists come from requests, and may be
// as long as those.
func eachOnce(names []string) []string {
	var once []string
	seen := make(map[string]struct{}, len(names))
	for _, name := range names {
		if _, twice := seen[name]; !twice {
			seen[name] = struct{}{}
			once = append(once, name)
		}
	}
	return once
}
