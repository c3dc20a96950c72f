package stampede

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTLSWithAnAuthorityOfItsOwn(t *testing.T) {
	certificate, key := makeCertificate(t)
	port := freePort(t)
	startServer(t, "--requirepass", "secret", "--tls-port", fmt.Sprint(port), "--tls-auth-clients", "no",
		"--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate)
	url := fmt.Sprintf("rediss://:secret@127.0.0.1:%d", port)
	tracer, _ := startTracer(t, url, Options{Every: 1, CAFile: certificate})
	tracer.Stamp("s", 0, "")
	flush(t, tracer)
	if _, isKnown := tracer.Now(); !isKnown || tracer.Close(within(t, patience)) != 0 {
		t.Error("no time, or no stamp, over TLS")
	}
	// Without it, nobody vouches for the server.
	_, heard := startTracer(t, url, Options{})
	until(t, func() bool { return heard.count("certificate") > 0 })
}

// makeCertificate makes a certificate for 127.0.0.1 that has signed itself, and its key, as files.
func makeCertificate(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	made, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, content []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", made), write("key.pem", "EC PRIVATE KEY", encoded)
}

// freePort is a port that nothing listens on.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
