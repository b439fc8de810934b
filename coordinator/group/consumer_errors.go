package group

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// refused is an error with the words that the consumer protocol has room for.
type refused struct {
	err     *kerr.Error
	message string
}

func refuse(err *kerr.Error, format string, args ...any) *refused {
	return &refused{err, fmt.Sprintf(format, args...)}
}

func unknownMember(id string) *refused {
	return refuse(kerr.UnknownMemberID, "Member %s is not a member of the group.", id)
}

func unknownInstance(instance string) *refused {
	return refuse(kerr.UnknownMemberID, "Instance id %s is unknown.", instance)
}

func fencedInstance(id, instance, owner string) *refused {
	return refuse(kerr.FencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", id, instance, owner)
}

func fencedEpoch(format string, args ...any) *refused {
	return refuse(kerr.FencedMemberEpoch, format, args...)
}

func noSuchGroup(id string) *refused { return refuse(kerr.GroupIDNotFound, "Group %s not found.", id) }

func notAConsumerGroup(id string) *refused {
	return refuse(kerr.GroupIDNotFound, "Group %s is not a consumer group.", id)
}
