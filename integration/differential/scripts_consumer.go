package main

import "github.com/twmb/franz-go/pkg/kmsg"

// consumerScripts ask for the consumer protocol, which Apache Kafka 3.9.2 refuses whatever is asked.
var consumerScripts = []Script{
	{API: 68, Name: "members", Run: func(s *Session) {
		group := s.coordinated(s.Fresh("g"))
		s.AskSame("join", consumerHeartbeat(group, "m", 0))
		s.AskSame("live", consumerHeartbeat(group, "m", 2))
		s.AskSame("leave", consumerHeartbeat(group, "m", -1))
		s.AskSame("unknown", consumerHeartbeat(s.Fresh("none"), "m", 5))
		s.AskSame("no group", consumerHeartbeat("", "m", 0))
		gone := kmsg.NewPtrDeleteGroupsRequest() // else one side has a group that other scripts list
		gone.Groups = []string{group}
		s.Do(same(gone))
	}},
	{API: 69, Name: "descriptions", Run: func(s *Session) {
		group := s.coordinated(s.Fresh("g"))
		for label, groups := range map[string][]string{"one": {group}, "two": {group, s.Fresh("none")}, "twice": {group, group}, "none": {}} {
			req := kmsg.NewPtrConsumerGroupDescribeRequest()
			req.Groups = groups
			s.AskSame(label, req)
		}
	}},
}

func consumerHeartbeat(group, member string, epoch int32) *kmsg.ConsumerGroupHeartbeatRequest {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = group, member, epoch
	if epoch == 0 {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames = 5000, []string{"some-topic"}
		req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	return req
}
