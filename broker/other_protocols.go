package broker

import "slices"

// lookLike says what a client speaks that begins a connection, or a request, with these bytes; "" when that is not known. No
// frame of Kafka's within a sensible limit begins so.
func lookLike(head [4]byte) string {
	switch {
	case head[0] == 0x16 && head[1] == 3: // a record of type handshake, version 3.x
		return "TLS: the client has security.protocol=SSL, or https, and the listener is a plain one"
	case slices.Contains([]string{"GET ", "POST", "PUT ", "HEAD", "DELE", "OPTI", "PATC", "CONN", "TRAC", "PRI "}, string(head[:])):
		return "HTTP: this is a port for Kafka clients"
	case string(head[:]) == "SSH-":
		return "SSH: this is a port for Kafka clients"
	case string(head[:3]) == "PRO" || head == [4]byte{0x0d, 0x0a, 0x0d, 0x0a}:
		return "PROXY protocol: the proxy must pass the bytes on as they are"
	case slices.Contains([]string{"ruok", "srvr", "stat", "mntr", "envi", "conf", "cons", "dump", "isro"}, string(head[:])):
		return "a command for ZooKeeper: this is a broker's port"
	case isPrint(head[:]):
		return "text: this is a port for Kafka clients"
	}
	return ""
}

func isPrint(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return (c < ' ' || c > '~') && c != '\r' && c != '\n' && c != '\t' })
}
