package config

import (
	"os"
	"strings"
	"testing"
)

const samplePassword = "pässwörd 😀"

func encoder(t *testing.T, more map[string]string) *PasswordEncoder {
	t.Helper()
	e := start(t, overlay(map[string]string{"password.encoder.secret": "encoder-secret", "password.encoder.iterations": "1024"}, more)).PasswordEncoder()
	if e == nil {
		t.Fatal("no encoder though there is a secret")
	}
	return e
}

func TestPasswordsOfAJavaBroker(t *testing.T) {
	data, err := os.ReadFile("testdata/passwords-3.9.2.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		got, err := encoder(t, nil).Decode(line)
		if err != nil || got != samplePassword {
			t.Errorf("%q, %v from %.60s", got, err, line)
		}
		if _, err := encoder(t, map[string]string{"password.encoder.secret": "other"}).Decode(line); err == nil {
			t.Error("a wrong secret decodes")
		}
	}
}

func TestPasswordsSurvive(t *testing.T) {
	for _, c := range []map[string]string{
		nil,
		{"password.encoder.cipher.algorithm": gcmCipher, "password.encoder.key.length": "256"},
		{"password.encoder.keyfactory.algorithm": "PBKDF2WithHmacSHA256", "password.encoder.key.length": "192"},
	} {
		e := encoder(t, c)
		for _, password := range []string{samplePassword, "x", strings.Repeat("0123456789abcdef", 4)} {
			encoded, err := e.Encode(password)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := e.Decode(encoded); err != nil || got != password {
				t.Errorf("%v: %q, %v", c, got, err)
			}
			if again, _ := e.Encode(password); again == encoded {
				t.Errorf("%v: no salt", c)
			}
		}
	}
	if start(t, nil).PasswordEncoder() != nil {
		t.Error("an encoder without a secret")
	}
	for _, bad := range []map[string]string{
		{"password.encoder.cipher.algorithm": "DES/CBC/PKCS5Padding"}, {"password.encoder.key.length": "129"},
		{"password.encoder.keyfactory.algorithm": "MD5"},
	} {
		if _, err := encoder(t, bad).Encode("x"); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

// What is stored may be anything: it is refused, not trusted.
func TestBrokenStoredPasswords(t *testing.T) {
	e := encoder(t, nil)
	good, err := e.Encode("secret")
	if err != nil {
		t.Fatal(err)
	}
	field := func(name, value string) string {
		parts := strings.Split(good, ",")
		for i, p := range parts {
			if strings.HasPrefix(p, name+":") {
				parts[i] = name + ":" + value
			}
		}
		return strings.Join(parts, ",")
	}
	for _, bad := range []string{
		"", "plain", good[:len(good)/2], field("keyLength", "0"), field("keyLength", "-128"), field("iterations", "2000000000"),
		field("iterations", "0"), field("salt", "%"), field("initializationVector", ""), field("encryptedPassword", ""),
		field("encryptedPassword", "AAAA"), field("passwordLength", "5"), field("cipherAlgorithm", "AES/GCM/NoPadding"),
		field("cipherAlgorithm", "none"), field("keyFactoryAlgorithm", ""),
	} {
		if got, err := e.Decode(bad); err == nil {
			t.Errorf("%.80q decodes to %q", bad, got)
		}
	}
}
