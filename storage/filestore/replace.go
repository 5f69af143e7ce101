package filestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// newFileMode is the mode of a file that did not exist: offsets are no secret.
const newFileMode fs.FileMode = 0o644

// replaceFile puts content in the place of the file at path, keeping its mode and, if
// it is a symbolic link, the link. It returns the new file's description. The content
// is on the disk before it takes the old one's place.
func replaceFile(path string, content []byte) (info fs.FileInfo, err error) {
	path = target(path)
	mode := newFileMode
	if old, err := os.Stat(path); err == nil {
		mode = old.Mode().Perm()
	}
	f, err := createBeside(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(content); err != nil {
		return nil, err
	}
	if err = f.Chmod(mode); err != nil {
		return nil, err
	}
	if err = f.Sync(); err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err = f.Close(); err != nil {
		return nil, err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return nil, err
	}
	// Not every file system can do this. Where the rename is lost in a crash the file is
	// an older one, whole, and records are sent again.
	if dir, derr := os.Open(filepath.Dir(path)); derr == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return info, nil
}

// createBeside makes a temporary file where it can be renamed to path.
func createBeside(path string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
}

// target follows symbolic links; also one to a file that does not exist yet.
func target(path string) string {
	for range 40 { // as many as Linux follows
		link, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = link
	}
	return path
}

// checkPlace finds out at the start, not at the first commit, that offsets cannot be
// written.
func (s *Store) checkPlace() error {
	if s.path == os.DevNull {
		return nil
	}
	path := target(s.path)
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return s.errorf("it must be a file but is %s", kind(info.Mode()))
	}
	dir := filepath.Dir(path)
	f, err := createBeside(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.errorf("the folder %s does not exist", dir)
	case err != nil:
		return s.errorf("files in the folder %s cannot be written: %w", dir, cause(err))
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

func kind(mode fs.FileMode) string {
	if mode.IsDir() {
		return "a folder"
	}
	return "something else"
}
