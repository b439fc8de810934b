package store

import (
	"bytes"
	"testing"
)

// FuzzDecode gives every decoder what anybody may have put into a node. What is accepted must survive being written and
// read again.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"features":{},"listener_security_protocol_map":{"A":"PLAINTEXT"},"endpoints":["A://[::1]:1"],"rack":"r","jmx_port":-1,"port":1,"host":"h","version":5,"timestamp":"1"}`,
		`{"partitions":{"0":[1,2]},"topic_id":"9M3vkxOqQsGHfsLio1xUzg","adding_replicas":{"0":[2]},"removing_replicas":{},"version":3}`,
		`{"controller_epoch":1,"leader":1,"version":1,"leader_epoch":0,"isr":[1,2],"leader_recovery_state":1}`,
		`{"version":1,"config":{"a":"b"}}`, `{"version":2,"entity_path":"topics/t"}`, `{"version":"1","id":"x"}`,
		`{"version":2,"brokerid":1,"timestamp":"1","kraftControllerEpoch":-1}`, `{"features":{"f":{"max_version_level":2}},"version":2,"status":1}`,
		`{"version":1,"broker":2,"block_start":"0","block_end":"999"}`, `{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1]}]}`, `7`,
	} {
		f.Add([]byte(seed))
	}
	change := func(b []byte) ([]byte, error) {
		kind, name, err := DecodeConfigChange(b)
		return EncodeConfigChange(kind, name), err
	}
	codecs := []func([]byte) ([]byte, error){
		again(DecodeBroker, EncodeBroker), again(DecodeTopic, EncodeTopic), again(DecodePartitionState, EncodePartitionState),
		again(DecodeConfig, EncodeConfig), change, again(DecodeClusterID, EncodeClusterID), again(DecodeController, EncodeController),
		again(DecodeFeatures, EncodeFeatures), again(DecodeProducerIDBlock, EncodeProducerIDBlock), again(DecodePartitions, EncodePartitions),
		again(DecodeReassignment, EncodeReassignment), again(DecodeControllerEpoch, EncodeControllerEpoch),
		again(DecodeLogDirEvent, EncodeLogDirEvent), again(DecodeConsumerOffset, EncodeConsumerOffset),
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for i, c := range codecs {
			once, err := c(data)
			if err != nil {
				continue
			}
			twice, err := c(once)
			if err != nil || !bytes.Equal(once, twice) {
				t.Errorf("codec %d: %q gives %q, and that %q, %v", i, data, once, twice, err)
			}
		}
	})
}
