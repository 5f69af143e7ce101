package kafka

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// LoginModule is one entry of a section of a JAAS file.
type LoginModule struct {
	// Class is the full Java class name.
	Class   string
	Options map[string]string
}

// LoginModules returns the entries of one section, such as KafkaClient, of the JAAS file that Java would
// be told of by KAFKA_OPTS, and the file's name. file is "" if KAFKA_OPTS names none, and modules nil if
// it has no such section. Errors never show what the file holds.
func LoginModules(section string) (modules []LoginModule, file string, err error) {
	if file = loginConfigFile(os.Getenv("KAFKA_OPTS")); file == "" {
		return nil, "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, file, fmt.Errorf("the JAAS file of KAFKA_OPTS: %w", err)
	}
	sections, err := parseJAASFile(string(text))
	if err != nil {
		return nil, file, fmt.Errorf("the JAAS file %s: %w", file, err)
	}
	return sections[section], file, nil
}

// loginConfigFile is the JAAS file of such options.
func loginConfigFile(options string) string {
	return javaFile(options, "java.security.auth.login.config")
}

// javaFile finds a file that a system property names in options of a Java machine, which shells split at blanks. Java
// takes a path or a file: URL, and a second = says that no other file counts.
func javaFile(options, property string) string {
	file := ""
	for _, option := range strings.Fields(options) {
		if value, ok := strings.CutPrefix(option, "-D"+property+"="); ok {
			file = strings.TrimPrefix(strings.TrimPrefix(value, "="), "file:")
		}
	}
	if strings.HasPrefix(file, "//") { // file:///path
		file = "/" + strings.TrimLeft(file, "/")
	}
	return file
}

// parseJAASFile reads `Section { module flag name=value ... ; ... };` by the rules of parseJAAS.
func parseJAASFile(text string) (map[string][]LoginModule, error) {
	sections := map[string][]LoginModule{}
	t := &jaasTokenizer{rest: text}
	for t.next() != jaasEnd {
		name := t.word
		if t.kind != jaasWord || t.next() != '{' {
			return nil, errors.New("a section must be a name and its login modules in braces")
		}
		if _, twice := sections[name]; twice {
			return nil, fmt.Errorf("the section %s is there twice", name)
		}
		sections[name] = []LoginModule{}
		for t.next() != '}' {
			if t.kind == jaasEnd {
				return nil, fmt.Errorf("the section %s does not end with a closing brace", name)
			}
			entry, err := parseJAASEntry(t)
			if err != nil {
				return nil, fmt.Errorf("section %s: %w", name, err)
			}
			sections[name] = append(sections[name], LoginModule{Class: entry.module, Options: entry.options})
		}
		if t.next() != ';' {
			return nil, fmt.Errorf("the section %s must end with a semicolon", name)
		}
	}
	return sections, nil
}
