// Package protocol turns bytes on a connection into requests and responses into bytes: frames with a hard limit,
// headers of all versions, and messages made of bytes and of stretches of files. It knows no disk, no cluster and no
// API beyond its key and version.
//
// Non-obvious:
//   - The client id in a request header is never a compact string, also where the rest of the header is flexible.
//   - An ApiVersions response always has header version 0, whatever the body's version: a client that does not know
//     what the broker speaks must be able to read it.
//   - Buffers are lent by pools that all connections share: what a frame or a message holds is another connection's after
//     the next Next, or after Reset.
//   - The poller of the runtime is asked to wait only after a read or write has found nothing to do: its edge-triggered
//     news is reset before, so a connection that waits first may wait for ever.
//   - A file region is sent by sendfile with an explicit offset. TCPConn.ReadFrom would move the position that all users
//     of the descriptor share, and sendfile for more bytes than the file has leaves the socket corked for 200 ms.
//   - What a message holds while its client is slow is its bytes and a piece of each Stream; a response must not be reachable
//     from elsewhere by then, or what it was made of is held too.
package protocol
