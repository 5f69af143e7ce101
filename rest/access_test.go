package rest

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func basic(name, password string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))}
}

func hashed(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestUsersMayDoWhatTheirRoleAllows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	writeFile(t, file, "# operators\nroot:"+hashed(t, "r:oot")+"\n\nops:"+hashed(t, "o")+":admin\nwatch:"+hashed(t, "w")+":read-only\n")
	users, err := NewUserFile(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, func(o *Options) { o.Users = users })
	h := &fakeHerder{}
	s.SetHerder(h)
	nobody, wrong, stranger := []string(nil), basic("root", "guess"), basic("nosuch", "r:oot")
	root, ops, watch := basic("root", "r:oot"), basic("ops", "o"), basic("watch", "w")
	for _, c := range []struct {
		method, path string
		who          []string
		want         int
	}{
		{"GET", "/connectors", nobody, 401}, {"GET", "/connectors", wrong, 401}, {"GET", "/connectors", stranger, 401},
		{"GET", "/", nobody, 401}, {"GET", "/health", nobody, 401}, {"GET", "/metrics", nobody, 401}, {"GET", "/admin/loggers", nobody, 401},
		{"GET", "/openapi.json", nobody, 401}, {"PUT", "/connectors/hb/pause", nobody, 401}, {"PUT", "/connectors/hb/pause", wrong, 401},
		{"GET", "/connectors", root, 200}, {"GET", "/connectors", root, 200}, {"GET", "/connectors", ops, 200}, {"GET", "/connectors", watch, 200},
		{"GET", "/metrics", watch, 200}, {"HEAD", "/connectors", watch, 200},
		{"PUT", "/connectors/hb/pause", root, 202}, {"PUT", "/connectors/hb/pause", ops, 202}, {"PUT", "/connectors/hb/pause", watch, 403},
		{"DELETE", "/connectors/hb", watch, 403}, {"POST", "/connectors/hb/restart", watch, 403}, {"PUT", "/admin/loggers/root", watch, 403},
		{"PUT", "/connector-plugins/nosuch/config/validate", watch, 500}, // let through, and then without a body
		{"PUT", "/connectors/a/config", watch, 403},
	} {
		if w := ask(s, c.method, c.path, "", c.who...); w.Code != c.want {
			t.Errorf("%s %s as %v: %d, want %d: %s", c.method, c.path, c.who, w.Code, c.want, w.Body)
		}
	}
	w := ask(s, "GET", "/connectors", "")
	if got := w.Header().Get("WWW-Authenticate"); got != `Basic realm="Kafka Connect", charset="UTF-8"` || w.Body.String() != messageUnauthorised {
		t.Errorf("challenge %q, body %q", got, w.Body)
	}
	// Requests between workers are signed and need no user; the herder judges the signature.
	if w := ask(s, "POST", "/connectors/hb/tasks", "[]"); w.Code == http.StatusUnauthorized {
		t.Errorf("an internal request: %d %s", w.Code, w.Body)
	}
}

func TestAChangedFileOfUsersCountsAtOnceAndABrokenOneDoesNot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	writeFile(t, file, "a:"+hashed(t, "1")+"\n")
	var log strings.Builder
	users, err := NewUserFile(file, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	expect := func(when, password string, want Role) {
		t.Helper()
		for range 2 {
			if got := users.Role("a", password); got != want {
				t.Errorf("%s: role %d with password %s, want %d", when, got, password, want)
			}
		}
	}
	expect("first", "1", FullAccess)
	writeFile(t, file, "a:"+hashed(t, "2")+":read-only\n")
	expect("changed", "1", NoAccess)
	expect("changed", "2", ReadOnly)
	writeFile(t, file, "a:2\n")
	expect("broken", "2", ReadOnly)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("gone", "2", ReadOnly)
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "line 1 must be") || !strings.Contains(log.String(), file) {
		t.Errorf("said: %s", log.String())
	}
	writeFile(t, file, "a:"+hashed(t, "3")+"\n")
	expect("back", "3", FullAccess)
}

func TestWrongFilesOfUsersAreSaidWithTheLine(t *testing.T) {
	hash := hashed(t, "secret")
	for text, want := range map[string]string{
		"":                                   "names no user",
		"# nobody\n":                         "names no user",
		"a:secret\n":                         "line 1 must be name:hash",
		"a:" + hash + "\n:" + hash:           "line 2",
		"a:" + hash + ":owner":               "admin or read-only",
		"a:" + hash + "\n\na:" + hash + "\n": "line 3: the user a is there twice",
	} {
		file := filepath.Join(t.TempDir(), "users")
		writeFile(t, file, text)
		_, err := NewUserFile(file, nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := NewUserFile(filepath.Join(t.TempDir(), "missing"), nil); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Error(err)
	}
}

// The file of Kafka's PropertyFileLoginModule.
func TestUsersOfAPropertiesFileAreTakenAsByJava(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credentials.properties")
	writeFile(t, file, "admin=se cret\nb\\:c=d\n")
	users, err := NewPropertyUserFile(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, password string
		want           Role
	}{{"admin", "se cret", FullAccess}, {"b:c", "d", FullAccess}, {"admin", "d", NoAccess}, {"", "", NoAccess}, {"nosuch", "", NoAccess}} {
		if got := users.Role(c.name, c.password); got != c.want {
			t.Errorf("%s: %d", c.name, got)
		}
	}
	s := newServer(t, func(o *Options) { o.Users = users })
	if w := ask(s, "GET", "/", ""); w.Code != 401 || w.Header().Get("WWW-Authenticate") != "" || w.Body.String() != "User cannot access the resource." {
		t.Errorf("refused with %d %v %s", w.Code, w.Header(), w.Body)
	}
	writeFile(t, file, "\n")
	if got := users.Role("", ""); got != FullAccess {
		t.Errorf("an empty file must let everybody in: %d", got)
	}
}

func TestPagesOfOtherOriginsChangeNothing(t *testing.T) {
	s := newServer(t, func(o *Options) { o.AllowedOrigins = []string{"http://console.example"} })
	s.SetHerder(&fakeHerder{})
	for _, c := range []struct {
		method  string
		headers []string
		want    int
	}{
		{"PUT", nil, 202},
		{"PUT", []string{"Sec-Fetch-Site", "same-origin"}, 202},
		{"PUT", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example"}, 403},
		{"PUT", []string{"Origin", "http://evil.example"}, 403},
		{"PUT", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://console.example"}, 202},
		{"GET", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example"}, 405},
	} {
		w := ask(s, c.method, "/connectors/hb/pause", "", c.headers...)
		if w.Code != c.want {
			t.Errorf("%s %v: %d %s", c.method, c.headers, w.Code, w.Body)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s %v: headers %v", c.method, c.headers, w.Header())
		}
	}
}
