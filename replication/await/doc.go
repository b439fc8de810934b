// Package await is the broker's only way to wait for data: a Level is an offset that only rises, a Bell is what a
// waiter hangs on it. Waiters look, hang, look again, sleep; a ring says "look again", never "it is so".
//
// A bell carries no code and ringing it never blocks, so it may be rung under any lock. An advance that reaches no
// waiter's mark costs one atomic load besides the store.
package await
