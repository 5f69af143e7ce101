package realkafka

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// RequireKDCEnv makes a missing Kerberos server fail the tests that need it when it is set to 1, as in CI.
const RequireKDCEnv = "TRIBUTARY_REQUIRE_KDC"

// kdcTools are MIT's, which Debian has in the packages krb5-kdc, krb5-admin-server and krb5-user.
var kdcTools = []string{"krb5kdc", "kdb5_util", "kadmin.local", "kinit"}

// RequireKDC skips the test when no Kerberos server can be started here, and fails it when RequireKDCEnv is 1.
func RequireKDC(tb TB) {
	tb.Helper()
	missing := missingKDCTool()
	switch {
	case missing == nil:
	case os.Getenv(RequireKDCEnv) == "1":
		tb.Fatalf("%s=1, but no Kerberos server can be started: %v", RequireKDCEnv, missing)
	default:
		tb.Skipf("no Kerberos server can be started: %v (Debian: krb5-kdc, krb5-admin-server)", missing)
	}
}

// HasKDC says whether a Kerberos server can be started here.
func HasKDC() bool { return missingKDCTool() == nil }

func missingKDCTool() error {
	for _, name := range kdcTools {
		if _, err := kdcTool(name); err != nil {
			return err
		}
	}
	return nil
}

// kdcTool finds a program of the Kerberos server, which is often not in the PATH of users.
func kdcTool(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if path, other := exec.LookPath(filepath.Join("/usr/sbin", name)); other == nil {
		return path, nil
	}
	return "", err
}

// KDC is a Kerberos server of one realm, for one test. Its methods are for the test's own goroutine.
type KDC struct {
	Realm string
	// Config is the krb5.conf for its clients, Java's too.
	Config string

	tb  TB
	dir string
}

// StartKDC starts a server on the loopback interface, which knows nobody yet.
func StartKDC(tb TB) *KDC {
	tb.Helper()
	k := &KDC{Realm: "TEST.EXAMPLE", tb: tb, dir: tb.TempDir()}
	k.Config = filepath.Join(k.dir, "krb5.conf")
	address := freeAddress(tb)
	for path, text := range map[string]string{
		k.Config: `[libdefaults]
 default_realm = REALM
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 REALM = {
  kdc = ADDRESS
 }
`,
		k.profile(): `[kdcdefaults]
 kdc_listen = ""
 kdc_tcp_listen = ADDRESS
[realms]
 REALM = {
  database_name = DIR/principal
  key_stash_file = DIR/stash
  acl_file = DIR/none
 }
`,
	} {
		text = strings.NewReplacer("REALM", k.Realm, "ADDRESS", address, "DIR", k.dir).Replace(text)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			tb.Fatalf("write %s: %v", path, err)
		}
	}
	k.run("", "kdb5_util", "create", "-s", "-P", "master", "-r", k.Realm)
	path, err := kdcTool("krb5kdc")
	if err != nil {
		tb.Fatalf("%v", err)
	}
	p := StartProcess(tb, "krb5kdc", []string{path, "-n", "-r", k.Realm}, k.env(), k.dir)
	p.await(time.Minute, "the Kerberos server to listen", func() (bool, error) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false, err
		}
		return true, conn.Close()
	})
	return k
}

func (k *KDC) profile() string { return filepath.Join(k.dir, "kdc.conf") }

func (k *KDC) env() []string {
	return []string{"KRB5_CONFIG=" + k.Config, "KRB5_KDC_PROFILE=" + k.profile()}
}

// run runs one of the server's tools, with a text as its input.
func (k *KDC) run(input, tool string, args ...string) {
	k.tb.Helper()
	path, err := kdcTool(tool)
	if err != nil {
		k.tb.Fatalf("%v", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), k.env()...)
	cmd.Stdin = strings.NewReader(input)
	if output, err := cmd.CombinedOutput(); err != nil {
		k.tb.Fatalf("%s %s: %v\n%s", tool, args, err, output)
	}
}

// Add makes a principal, such as kafka/127.0.0.1, with a password.
func (k *KDC) Add(principal, password string) {
	k.tb.Helper()
	k.run("", "kadmin.local", "-r", k.Realm, "-q", fmt.Sprintf("addprinc -pw %s %s", password, principal))
}

// Keytab makes a file with the key of a principal, whose password stays as it is.
func (k *KDC) Keytab(principal string) string {
	k.tb.Helper()
	path := filepath.Join(k.dir, strings.ReplaceAll(principal, "/", "-")+".keytab")
	k.run("", "kadmin.local", "-r", k.Realm, "-q", fmt.Sprintf("ktadd -norandkey -k %s %s", path, principal))
	return path
}

// TicketCache makes a file with a ticket of a principal, that holds for life.
func (k *KDC) TicketCache(principal, password string, life time.Duration) string {
	k.tb.Helper()
	path := filepath.Join(k.dir, fmt.Sprintf("%s.%s.cache", strings.ReplaceAll(principal, "/", "-"), life))
	k.run(password+"\n", "kinit", "-c", path, "-l", fmt.Sprintf("%ds", int(life.Seconds())), principal)
	return path
}
