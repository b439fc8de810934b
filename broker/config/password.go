package config

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"unicode/utf16"
)

// PasswordEncoder encrypts the secrets among dynamic settings as Kafka stores them: a list of name:value pairs that
// carries everything but the secret to decrypt it with.
type PasswordEncoder struct {
	secret      string
	algorithm   string // PBKDF2WithHmac...
	cipher      string // AES/<mode>/<padding>
	keyBits     int
	iterations  int
	randomBytes func([]byte) error
}

const (
	saltBytes   = 256
	gcmTagBits  = 128
	cbcCipher   = "AES/CBC/PKCS5Padding"
	gcmCipher   = "AES/GCM/NoPadding"
	defaultHash = "PBKDF2WithHmacSHA512"
	// maxIterations bounds what a stored value can make us compute.
	maxIterations = 10_000_000
)

var pbkdf2Hashes = map[string]func() hash.Hash{
	"PBKDF2WithHmacSHA1": sha1.New, "PBKDF2WithHmacSHA256": sha256.New, "PBKDF2WithHmacSHA512": sha512.New,
}

// encoderSettings are what PasswordEncoder reads.
var encoderSettings = []string{
	"password.encoder.secret", "password.encoder.keyfactory.algorithm", "password.encoder.cipher.algorithm",
	"password.encoder.key.length", "password.encoder.iterations",
}

// PasswordEncoder gives what password.encoder.* asks for, nil when no secret is set.
func (s *Static) PasswordEncoder() *PasswordEncoder {
	v := view{s.props}
	secret := v.word("password.encoder.secret")
	if secret == "" {
		return nil
	}
	algorithm := v.word("password.encoder.keyfactory.algorithm")
	if algorithm == "" {
		algorithm = defaultHash
	}
	return &PasswordEncoder{
		secret: secret, algorithm: algorithm, cipher: v.word("password.encoder.cipher.algorithm"),
		keyBits: int(v.must("password.encoder.key.length")), iterations: int(v.must("password.encoder.iterations")),
		randomBytes: func(b []byte) error { _, err := rand.Read(b); return err },
	}
}

// Encode encrypts a secret for the store.
func (e *PasswordEncoder) Encode(password string) (string, error) {
	salt := make([]byte, saltBytes)
	if err := e.randomBytes(salt); err != nil {
		return "", err
	}
	block, err := e.block(e.algorithm, e.keyBits, salt, e.iterations)
	if err != nil {
		return "", err
	}
	iv := make([]byte, aes.BlockSize)
	if e.cipher == gcmCipher {
		iv = iv[:12]
	}
	if err := e.randomBytes(iv); err != nil {
		return "", err
	}
	out := []string{
		"keyFactoryAlgorithm:" + e.algorithm, "cipherAlgorithm:" + e.cipher, "keyLength:" + strconv.Itoa(e.keyBits),
		"salt:" + base64.StdEncoding.EncodeToString(salt), "iterations:" + strconv.Itoa(e.iterations),
		"passwordLength:" + strconv.Itoa(javaLength(password)), "initializationVector:" + base64.StdEncoding.EncodeToString(iv),
	}
	var sealed []byte
	switch e.cipher {
	case cbcCipher:
		pad := aes.BlockSize - len(password)%aes.BlockSize
		sealed = append([]byte(password), strings.Repeat(string(rune(pad)), pad)...)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed, sealed)
	case gcmCipher:
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			return "", err
		}
		sealed = gcm.Seal(nil, iv, []byte(password), nil)
		out = append(out, "authenticationTagLength:"+strconv.Itoa(gcmTagBits))
	default:
		return "", fmt.Errorf("password.encoder.cipher.algorithm=%s is not supported (valid: %s, %s)", e.cipher, cbcCipher, gcmCipher)
	}
	return strings.Join(append(out, "encryptedPassword:"+base64.StdEncoding.EncodeToString(sealed)), ","), nil
}

// errDecode says nothing of why: whoever guesses secrets must not learn from it.
var errDecode = kafkaSays("Password could not be decoded")

// Decode decrypts what Encode, or a Java broker with the same secret, has stored.
func (e *PasswordEncoder) Decode(encoded string) (string, error) {
	field := map[string]string{}
	for _, pair := range strings.Split(encoded, ",") {
		if at := strings.LastIndexByte(pair, ':'); at >= 0 {
			field[strings.TrimSpace(pair[:at])] = strings.TrimSpace(pair[at+1:])
		}
	}
	keyBits, err1 := strconv.Atoi(field["keyLength"])
	iterations, err2 := strconv.Atoi(field["iterations"])
	length, err3 := strconv.Atoi(field["passwordLength"])
	salt, err4 := base64.StdEncoding.DecodeString(field["salt"])
	iv, err5 := base64.StdEncoding.DecodeString(field["initializationVector"])
	sealed, err6 := base64.StdEncoding.DecodeString(field["encryptedPassword"])
	if errors.Join(err1, err2, err3, err4, err5, err6) != nil {
		return "", errDecode
	}
	block, err := e.block(field["keyFactoryAlgorithm"], keyBits, salt, iterations)
	if err != nil {
		return "", err
	}
	var plain []byte
	switch field["cipherAlgorithm"] {
	case cbcCipher:
		if len(iv) != aes.BlockSize || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
			return "", errDecode
		}
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(sealed, sealed)
		pad := int(sealed[len(sealed)-1])
		if pad < 1 || pad > aes.BlockSize {
			return "", errDecode
		}
		plain = sealed[:len(sealed)-pad]
	case gcmCipher:
		gcm, err := cipher.NewGCM(block)
		if err != nil || len(iv) != gcm.NonceSize() {
			return "", errDecode
		}
		if plain, err = gcm.Open(nil, iv, sealed, nil); err != nil {
			return "", errDecode
		}
	default:
		return "", errDecode
	}
	if javaLength(string(plain)) != length {
		return "", errDecode
	}
	return string(plain), nil
}

func (e *PasswordEncoder) block(algorithm string, keyBits int, salt []byte, iterations int) (cipher.Block, error) {
	newHash, ok := pbkdf2Hashes[algorithm]
	if !ok {
		return nil, fmt.Errorf("password.encoder.keyfactory.algorithm=%s is not supported (valid: PBKDF2WithHmacSHA1, PBKDF2WithHmacSHA256, PBKDF2WithHmacSHA512)", algorithm)
	}
	if keyBits != 128 && keyBits != 192 && keyBits != 256 || iterations < 1 || iterations > maxIterations {
		return nil, fmt.Errorf("password encoder: key length %d (valid: 128, 192, 256), iterations %d (valid: 1 to %d)", keyBits, iterations, maxIterations)
	}
	key, err := pbkdf2.Key(newHash, e.secret, salt, iterations, keyBits/8)
	if err != nil {
		return nil, err
	}
	return aes.NewCipher(key)
}

// javaLength is the length that Java gives a string: its UTF-16 units.
func javaLength(text string) int { return len(utf16.Encode([]rune(text))) }
