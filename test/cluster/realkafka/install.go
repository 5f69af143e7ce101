package realkafka

import (
	"crypto/sha256"
	_ "embed" // the logging configurations
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// DefaultVersion is the Kafka that tests run against unless they name another.
const DefaultVersion = "4.3.1"

// doneMark is a file in a complete folder of jars; it holds the digest of the POM that they come from.
const doneMark = ".done"

// installed gives the folder with the jars of a Kafka version.
func installed(version string) (dir string, err error) {
	major, _, _ := strings.Cut(version, ".")
	return Jars("compat", "kafka-"+version, "-Dkafka.version="+version, "-Pkafka-"+major)
}

// Jars gives the folder with the jars that the POM of a folder of test asks for, and fetches them with Maven if they
// are not there. name and the POM's text decide whether they are, so options that change the jars belong into name.
// Two processes at once do not fight: one fetches, the other waits for it.
func Jars(folder, name string, options ...string) (dir string, err error) {
	pom, digest, err := findPOM(folder)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, "tributary", name)
	if isComplete(dir, digest) {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close() // which gives the lock back
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if isComplete(dir, digest) {
		return dir, nil
	}
	return dir, fetch(pom, digest, dir, options)
}

func isComplete(dir, digest string) bool {
	mark, err := os.ReadFile(filepath.Join(dir, doneMark))
	return err == nil && string(mark) == digest
}

// fetch copies the jars into a folder beside dir, marks it as complete and renames it, so that dir is whole or absent.
func fetch(pom, digest, dir string, options []string) error {
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	maven := exec.Command("mvn", append([]string{"-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory=" + part}, options...)...)
	if output, err := maven.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn dependency:copy-dependencies: %w\n%s", err, output)
	}
	if err := os.WriteFile(filepath.Join(part, doneMark), []byte(digest), 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(part, dir)
}

// findPOM looks for the module's root above the working directory, which for a test is its package's folder.
func findPOM(folder string) (path, digest string, err error) {
	start, err := os.Getwd()
	if err != nil {
		return "", "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "test", folder, "pom.xml")
		text, err := os.ReadFile(path)
		if err == nil {
			sum := sha256.Sum256(text)
			return path, hex.EncodeToString(sum[:]), nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", "", err
		}
		if dir == filepath.Dir(dir) {
			return "", "", fmt.Errorf("no test/%s/pom.xml in or above %s: run from within the project", folder, start)
		}
	}
}

//go:embed log4j2.xml
var log4j2Config []byte

//go:embed log4j.properties
var log4jConfig []byte

// writeLogging writes the configurations of both logging libraries (Kafka 4 uses Log4j 2, Kafka 3 reload4j) and gives
// the options that point to them; each library ignores the other's.
func writeLogging(dir string) ([]string, error) {
	newer, older := filepath.Join(dir, "log4j2.xml"), filepath.Join(dir, "log4j.properties")
	if err := os.WriteFile(newer, log4j2Config, 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(older, log4jConfig, 0o644); err != nil {
		return nil, err
	}
	return []string{"-Dlog4j2.configurationFile=" + newer, "-Dlog4j.configuration=file:" + older}, nil
}
