// Package api answers requests. One table (routes.go) says which API exists at which versions and whose method serves
// it; one file an API opens with its version card. The APIs fall into families, small structs whose fields are the only
// things that their methods can reach.
//
// A handler does the ordered part at once, on the goroutine that reads the connection, and owes the rest as a Reply. It
// must not keep the request beyond its return unless the route says that the request was copied.
package api
