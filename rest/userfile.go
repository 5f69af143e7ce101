package rest

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"tributary/internal/properties"
)

// UserFile is a Users that reads them from a file, again whenever the file has changed.
// A changed file that cannot be read leaves the users as they were.
type UserFile struct {
	path   string
	parse  func(data []byte) (*userTable, error)
	quiet  bool // no challenge
	logger *slog.Logger

	mu        sync.Mutex
	info      fs.FileInfo // of the last good reading
	users     *userTable
	complaint string // what was last said of the file

	// hashing is held while a password is compared with its hash: guessing takes one
	// processor at most.
	hashing sync.Mutex
}

// userTable is one reading of a file.
type userTable struct {
	users map[string]user
	// everybody says that the file names nobody and is of a format in which that means that
	// all may do everything.
	everybody bool
	// sealed holds, under a key of this process's own, credentials that were found right:
	// comparing a hash takes too long to be done for each request.
	sealed sync.Map // [sha256.Size]byte → Role
}

// user is an entry: a plain password or a bcrypt hash.
type user struct {
	plain string
	hash  []byte
	role  Role
}

// NewUserFile reads a file with a line a user, name:hash or name:hash:role: the hash is
// bcrypt's, as htpasswd -B makes it, and the role admin, which is the default, or
// read-only. Blank lines and those that begin with # do not count.
func NewUserFile(path string, logger *slog.Logger) (*UserFile, error) {
	return openUserFile(&UserFile{path: path, parse: parseHashes, logger: logger})
}

// NewPropertyUserFile reads a properties file of user=password, as Kafka's
// PropertyFileLoginModule does: all users may do everything, and if there are none
// everybody may. Refused clients are not told how to log in, as by Java.
func NewPropertyUserFile(path string, logger *slog.Logger) (*UserFile, error) {
	return openUserFile(&UserFile{path: path, parse: parsePasswords, quiet: true, logger: logger})
}

func openUserFile(f *UserFile) (*UserFile, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f, nil
}

// Challenge implements Users.
func (f *UserFile) Challenge() string {
	if f.quiet {
		return ""
	}
	return `Basic realm="Kafka Connect", charset="UTF-8"`
}

// Role implements Users. Unknown users take as long as known ones.
func (f *UserFile) Role(name, password string) Role {
	users := f.current()
	if users.everybody {
		return FullAccess
	}
	u, known := users.users[name]
	if !known {
		u = user{hash: strangersHash}
	}
	if u.hash == nil {
		if subtle.ConstantTimeCompare([]byte(u.plain), []byte(password)) == 1 {
			return u.role
		}
		return NoAccess
	}
	seal := sealed(name, password)
	if role, found := users.sealed.Load(seal); found {
		return role.(Role)
	}
	f.hashing.Lock()
	defer f.hashing.Unlock()
	if bcrypt.CompareHashAndPassword(u.hash, []byte(password)) != nil || !known {
		return NoAccess
	}
	users.sealed.Store(seal, u.role)
	return u.role
}

// current looks at the file, and reads it if it has changed.
func (f *UserFile) current() *userTable {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err == nil && sameFile(info, f.info) {
		return f.users
	}
	if err == nil {
		err = f.readLocked()
	}
	complaint := ""
	if err != nil {
		complaint = err.Error()
	}
	if complaint != "" && complaint != f.complaint {
		f.logger.Error("The file of the REST API's users has changed and cannot be used; those known before stay", "file", f.path, "error", err)
	}
	f.complaint = complaint
	return f.users
}

func (f *UserFile) read() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.readLocked()
}

func (f *UserFile) readLocked() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	users, err := f.parse(data)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.info, f.users = info, users
	return nil
}

func sameFile(a, b fs.FileInfo) bool {
	return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && os.SameFile(a, b)
}

func parsePasswords(data []byte) (*userTable, error) {
	passwords, err := properties.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("it must be a properties file of user=password")
	}
	t := &userTable{users: map[string]user{}, everybody: len(passwords) == 0}
	for name, password := range passwords {
		t.users[name] = user{plain: password, role: FullAccess}
	}
	return t, nil
}

var roles = map[string]Role{"": FullAccess, "admin": FullAccess, "read-only": ReadOnly}

func parseHashes(data []byte) (*userTable, error) {
	t := &userTable{users: map[string]user{}}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, ":")
		hash, roleName, _ := strings.Cut(rest, ":")
		role, known := roles[roleName]
		if _, err := bcrypt.Cost([]byte(hash)); err != nil || name == "" || !known {
			return nil, fmt.Errorf("line %d must be name:hash or name:hash:role with a bcrypt hash (htpasswd -nB name) and the role admin or read-only", number)
		}
		if _, twice := t.users[name]; twice {
			return nil, fmt.Errorf("line %d: the user %s is there twice", number, name)
		}
		t.users[name] = user{hash: []byte(hash), role: role}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(t.users) == 0 {
		return nil, errors.New("it names no user")
	}
	return t, nil
}

var (
	sealKey = func() []byte {
		key := make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails
		return key
	}()
	// strangersHash is compared with for users that do not exist.
	strangersHash = []byte("$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
)

func sealed(name, password string) (seal [sha256.Size]byte) {
	mac := hmac.New(sha256.New, sealKey)
	_, _ = fmt.Fprintf(mac, "%d:%s%s", len(name), name, password) // never fails
	copy(seal[:], mac.Sum(nil))
	return seal
}
