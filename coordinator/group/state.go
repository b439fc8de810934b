package group

import "fmt"

// State is where a group stands. Its String is what clients see.
type State int8

const (
	Empty State = iota
	PreparingRebalance
	CompletingRebalance
	Stable
	Dead
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}

func (s State) String() string { return stateNames[s] }

// moves is the table of legal moves: into[to] holds the states that one may come from.
var moves = map[State][]State{
	Empty:               {PreparingRebalance},
	PreparingRebalance:  {Stable, CompletingRebalance, Empty},
	CompletingRebalance: {PreparingRebalance},
	Stable:              {CompletingRebalance},
	Dead:                {Stable, PreparingRebalance, CompletingRebalance, Empty, Dead},
}

func mustMove(group string, from, to State) {
	for _, s := range moves[to] {
		if s == from {
			return
		}
	}
	panic(fmt.Sprintf("group %q: no move from %v to %v", group, from, to))
}
