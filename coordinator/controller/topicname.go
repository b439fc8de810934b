package controller

// CheckTopicName refuses names that cannot be a topic's, with Kafka's text. The error is a *Refusal.
func CheckTopicName(name string) error { return checkTopicName(name) }
