package store

import (
	"fmt"
	"net/url"
	"strings"
)

// The kinds of entities that have settings: the folders below /config.
const (
	ConfigTopics  = "topics"
	ConfigClients = "clients"
	ConfigUsers   = "users"
	ConfigBrokers = "brokers"
	ConfigIPs     = "ips"
	ConfigGroups  = "groups" // since Kafka 4.0, which has no tree any more; made with the first of them
)

// DefaultEntity is the name of the entity whose settings hold for all others of its kind.
const DefaultEntity = "<default>"

// ConfigTypePath holds the entities of one kind.
func ConfigTypePath(kind string) string { return "/config/" + kind }

// ConfigPath is the settings of one entity. The name stands as it is for topics and brokers; for clients, users,
// ips and groups it has been through Sanitize. A user's client has the kind "users" and the name "U/clients/C".
func ConfigPath(kind, name string) string { return ConfigTypePath(kind) + "/" + name }

// Sanitize makes a client id, a user's name or an address fit for a path: percent-encoded, all but letters, digits,
// dot, dash and underscore. DefaultEntity must not go through it.
func Sanitize(name string) string {
	if name == "." || name == ".." { // Kafka fails with these
		return strings.ReplaceAll(name, ".", "%2E")
	}
	s := url.QueryEscape(name) // leaves the same characters as Java's URLEncoder, except for ~ and *, which both must go
	return strings.NewReplacer("+", "%20", "~", "%7E", "*", "%2A").Replace(s)
}

// Desanitize undoes Sanitize.
func Desanitize(s string) (string, error) {
	name, err := url.PathUnescape(s)
	if err != nil {
		return "", fmt.Errorf("entity name %.100q: %w", s, err)
	}
	return name, nil
}

// EncodeConfig writes the content of /config/<kind>/<name>.
func EncodeConfig(settings map[string]string) []byte {
	keys := make([]string, 0, len(settings))
	for k := range settings {
		keys = append(keys, k)
	}
	propertiesOrder(keys)
	b := append([]byte(nil), '{')
	b = appendIntField(b, "version", 1)
	b = append(appendField(b, "config"), '{')
	for _, k := range keys {
		b = appendStringField(b, k, settings[k])
	}
	return append(b, '}', '}')
}

// DecodeConfig reads EncodeConfig. Null data, which the folders on the way to a user's client have, is no settings.
func DecodeConfig(data []byte) (map[string]string, error) {
	if data == nil {
		return map[string]string{}, nil
	}
	var v struct {
		Config map[string]string `json:"config"`
	}
	if err := decode("config", data, &v); err != nil {
		return nil, err
	}
	if v.Config == nil {
		v.Config = map[string]string{}
	}
	return v.Config, nil
}

// EncodeConfigChange writes the notification that an entity's settings have changed; entity is the kind and the name as
// in ConfigPath: "topics/T".
func EncodeConfigChange(kind, name string) []byte {
	b := append([]byte(nil), '{')
	b = appendIntField(b, "version", 2)
	b = appendStringField(b, "entity_path", kind+"/"+name)
	return append(b, '}')
}

// DecodeConfigChange reads versions 1 and 2.
func DecodeConfigChange(data []byte) (kind, name string, err error) {
	const what = "config change"
	var v struct {
		Version int32   `json:"version"`
		Path    *string `json:"entity_path"`
		Kind    *string `json:"entity_type"`
		Name    *string `json:"entity_name"`
	}
	if err := decode(what, data, &v); err != nil {
		return "", "", err
	}
	switch {
	case v.Version == 1 && v.Kind != nil && v.Name != nil && (*v.Kind == ConfigTopics || *v.Kind == ConfigClients):
		return *v.Kind, *v.Name, nil
	case v.Version == 2 && v.Path != nil:
		if kind, name, ok := strings.Cut(*v.Path, "/"); ok && kind != "" && name != "" {
			return kind, name, nil
		}
	}
	return "", "", fmt.Errorf("%s: no entity in %.200q", what, data)
}
