package cluster

// MaxTopicName is the longest topic name that Kafka allows, in characters.
const MaxTopicName = 249

// LegalTopicName says whether Kafka allows a topic of that name: 1 to 249 of [a-zA-Z0-9._-], but not "." or "..".
func LegalTopicName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > MaxTopicName {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
