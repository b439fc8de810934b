package store

import (
	"fmt"
	"slices"
	"strconv"
)

// EncodeClusterID writes the content of /cluster/id; the id is drawn by NewTopicID and printed by TopicIDText.
func EncodeClusterID(id string) []byte {
	b := append([]byte(nil), '{')
	b = appendStringField(b, "version", "1")
	b = appendStringField(b, "id", id)
	return append(b, '}')
}

// DecodeClusterID reads EncodeClusterID.
func DecodeClusterID(data []byte) (string, error) {
	const what = "cluster id"
	var v struct {
		ID string `json:"id"`
	}
	if err := decode(what, data, &v); err != nil {
		return "", err
	}
	if v.ID == "" {
		return "", missing(what, "id", data)
	}
	return v.ID, nil
}

// Controller is the content of /controller, an ephemeral node.
type Controller struct {
	BrokerID  int32
	Timestamp int64 // milliseconds since 1970
	// KRaftEpoch is -1, or the epoch of a KRaft controller that migrates the cluster. EncodeController always writes -1.
	KRaftEpoch int32
}

// EncodeController writes version 2.
func EncodeController(c Controller) []byte {
	b := append([]byte(nil), '{')
	b = appendIntField(b, "version", 2)
	b = appendIntField(b, "brokerid", int64(c.BrokerID))
	b = appendStringField(b, "timestamp", strconv.FormatInt(c.Timestamp, 10))
	b = appendIntField(b, "kraftControllerEpoch", -1)
	return append(b, '}')
}

// DecodeController reads versions 1 and 2.
func DecodeController(data []byte) (Controller, error) {
	const what = "controller"
	var v struct {
		BrokerID   *int32 `json:"brokerid"`
		Timestamp  string `json:"timestamp"`
		KRaftEpoch *int32 `json:"kraftControllerEpoch"`
	}
	if err := decode(what, data, &v); err != nil {
		return Controller{}, err
	}
	if v.BrokerID == nil {
		return Controller{}, missing(what, "brokerid", data)
	}
	c := Controller{BrokerID: *v.BrokerID, KRaftEpoch: -1}
	c.Timestamp, _ = strconv.ParseInt(v.Timestamp, 10, 64) // for people only
	if v.KRaftEpoch != nil {
		c.KRaftEpoch = *v.KRaftEpoch
	}
	return c, nil
}

// EncodeControllerEpoch writes the content of /controller_epoch, which is a bare number.
func EncodeControllerEpoch(epoch int32) []byte { return strconv.AppendInt(nil, int64(epoch), 10) }

// DecodeControllerEpoch reads EncodeControllerEpoch.
func DecodeControllerEpoch(data []byte) (int32, error) {
	epoch, err := strconv.ParseInt(string(data), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("controller epoch: %.40q is not a number", data)
	}
	return int32(epoch), nil
}

// ProducerIDBlock is the content of /latest_producer_id_block: the last block of producer ids that was given away.
type ProducerIDBlock struct {
	Broker      int32 // who got it
	First, Last int64 // both inclusive
}

// ProducerIDBlockSize is how many ids a block has.
const ProducerIDBlockSize = 1000

// EncodeProducerIDBlock writes version 1.
func EncodeProducerIDBlock(p ProducerIDBlock) []byte {
	b := append([]byte(nil), '{')
	b = appendIntField(b, "version", 1)
	b = appendIntField(b, "broker", int64(p.Broker))
	b = appendStringField(b, "block_start", strconv.FormatInt(p.First, 10))
	b = appendStringField(b, "block_end", strconv.FormatInt(p.Last, 10))
	return append(b, '}')
}

// DecodeProducerIDBlock reads EncodeProducerIDBlock. Null data, which the node has until the first block, is the block
// that ends before 0.
func DecodeProducerIDBlock(data []byte) (ProducerIDBlock, error) {
	const what = "producer id block"
	if data == nil {
		return ProducerIDBlock{Broker: -1, First: -ProducerIDBlockSize, Last: -1}, nil
	}
	var v struct {
		Broker *int32 `json:"broker"`
		First  string `json:"block_start"`
		Last   string `json:"block_end"`
	}
	if err := decode(what, data, &v); err != nil {
		return ProducerIDBlock{}, err
	}
	if v.Broker == nil {
		return ProducerIDBlock{}, missing(what, "broker", data)
	}
	p := ProducerIDBlock{Broker: *v.Broker}
	var err1, err2 error
	p.First, err1 = strconv.ParseInt(v.First, 10, 64)
	p.Last, err2 = strconv.ParseInt(v.Last, 10, 64)
	if err1 != nil || err2 != nil || p.Last < p.First {
		return ProducerIDBlock{}, fmt.Errorf("%s: no range of ids in %.200q", what, data)
	}
	return p, nil
}

// Features is the content of /feature: the finalized feature levels. The node's version is their epoch.
type Features struct {
	Version int32 // 2 at inter.broker.protocol.version 3.3 and later, before 1; EncodeFeatures takes 0 for 2
	Enabled bool  // false below inter.broker.protocol.version 2.7
	Levels  map[string]int16
}

// EncodeFeatures writes version 1 or 2.
func EncodeFeatures(f Features) []byte {
	if f.Version == 0 {
		f.Version = 2
	}
	b := append([]byte(nil), '{')
	b = append(appendField(b, "features"), '{')
	for _, name := range immutableKeys(f.Levels) {
		level := int64(f.Levels[name])
		b = append(appendField(b, name), '{')
		b = appendIntField(b, "max_version_level", level)
		if f.Version == 1 {
			b = appendIntField(b, "min_version_level", level)
		}
		b = append(b, '}')
	}
	b = append(b, '}')
	b = appendIntField(b, "version", int64(f.Version))
	status := int64(0)
	if f.Enabled {
		status = 1
	}
	b = appendIntField(b, "status", status)
	return append(b, '}')
}

// DecodeFeatures reads EncodeFeatures.
func DecodeFeatures(data []byte) (Features, error) {
	const what = "features"
	var v struct {
		Version  *int32                      `json:"version"`
		Status   *int32                      `json:"status"`
		Features map[string]map[string]int16 `json:"features"`
	}
	if err := decode(what, data, &v); err != nil {
		return Features{}, err
	}
	switch {
	case v.Version == nil:
		return Features{}, missing(what, "version", data)
	case *v.Version < 1 || *v.Version > 2:
		return Features{}, fmt.Errorf("%s: version %d is not supported", what, *v.Version)
	case v.Status == nil:
		return Features{}, missing(what, "status", data)
	case *v.Status != 0 && *v.Status != 1:
		return Features{}, fmt.Errorf("%s: status %d is neither 0 nor 1", what, *v.Status)
	case v.Features == nil:
		return Features{}, missing(what, "features", data)
	}
	f := Features{Version: *v.Version, Enabled: *v.Status == 1, Levels: make(map[string]int16, len(v.Features))}
	for name, levels := range v.Features {
		level, ok := levels["max_version_level"]
		if !ok || level < 1 {
			return Features{}, fmt.Errorf("%s: %q has no max_version_level of at least 1", what, name)
		}
		if least, ok := levels["min_version_level"]; f.Version == 1 && (!ok || least < 1 || least > level) {
			return Features{}, fmt.Errorf("%s: %q has no min_version_level between 1 and %d", what, name, level)
		}
		f.Levels[name] = level
	}
	return f, nil
}

// immutableKeys are a map's keys in the order of immutableOrder, which for few keys is taken to be that of the names.
func immutableKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	immutableOrder(keys, func(k string) string { return k })
	return keys
}
