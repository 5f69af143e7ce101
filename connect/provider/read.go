package provider

import (
	"fmt"
	"io"
	"os"
)

// sizeLimit is how much of a file is read, in bytes: a configuration has no use for more, and
// anybody who may configure a connector may name a file that has no end.
const sizeLimit = 16 << 20

// readFile is os.ReadFile for files of at most sizeLimit. It takes pipes and devices, too.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, sizeLimit+1))
	if err != nil {
		return nil, err
	}
	if len(text) > sizeLimit {
		return nil, fmt.Errorf("the file is larger than %d MiB", sizeLimit>>20)
	}
	return text, nil
}
