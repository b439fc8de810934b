// Package zk keeps the coordination tree in a real ZooKeeper, by go-zookeeper. It is the only importer of that library.
//
// It owns connections, sessions and what becomes of an operation whose connection breaks. It must never know what the
// nodes mean.
//
// A Store has one session at a time, and each session has a client of the library to itself. The library would begin a
// new session on its own after an expiry and send there what still waits in its queue: an ephemeral node that was meant
// for the old session would be made in the new one. Here an expired session's client can dial no more, and the next
// client is made only when somebody calls Session.
//
// An operation waits until the session is connected, takes one of the slots (zookeeper.max.in.flight.requests), and runs.
// When the connection breaks it waits for the next one and runs again, until its context ends or the session expires:
//
//   - Reads are repeated without ado.
//   - Writes may have been done before the break. They are repeated, and when the repetition is refused (the node exists,
//     has another version, is gone) the nodes are looked at: if they are as this write would have left them, it had been
//     done, and that is the answer; else the refusal is. See retry.go.
//   - A write that makes a sequential node is not repeated, as it would make a second one: ErrUnavailable.
//   - Nor is one with content near the server's limit of 1 MB: a server closes the connection on more, and would again.
//
// Locks: Store.mu guards which session is the current one; session.mu its state and watches. Store.mu comes first;
// nothing is called under session.mu.
//
// Non-obvious:
//
//   - Watches are kept here and not in the library's channels, for those need a goroutine each to be translated, and a
//     controller watches every topic. The library's one callback finds them. They are left before the read that they belong
//     to, so that no event can come too early; they may go off for a change that the read has seen.
//   - The library sets its watches anew after a reconnect within the session; the server then tells of what changed
//     meanwhile.
//   - The library resolves names once, when it starts. hosts.go leaves that to each dial, since the addresses of a
//     ZooKeeper in containers change.
//   - While it waits for a server's greeting the library allows ten times the read timeout; conn caps that at a third of
//     the session's time. A server that hangs would keep us from trying the next for minutes, and one that has just
//     started forgets some of the connections that it takes before it serves: whoever waits for it loses the session.
package zk
