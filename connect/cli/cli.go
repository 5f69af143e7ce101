package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/hashicorp/go-multierror"

	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/internal/buildinfo"
	"tributary/internal/logging"
	"tributary/internal/properties"
)

// Exit codes, as Java's scripts have them.
const (
	ExitOK     = 0
	ExitUsage  = 1
	ExitConfig = 2 // the configuration is wrong or could not be read
	ExitFailed = 3 // the worker could not start or ended by itself
)

// Program is one run of a binary: its plugins and where it writes.
type Program struct {
	Plugins []plugin.Plugin
	Stdout  io.Writer
	Stderr  io.Writer
	// Context, if set, ends the run as a signal would; tests use it.
	Context context.Context
	// RESTLimit, if set, is rest.Options.Limit.
	RESTLimit func() time.Duration
	// levels rule the loggers that Logger makes.
	levels *logging.Levels
	// concealment is what references to configuration providers in the properties stand for.
	concealment provider.Concealment
}

// Concealment is what Logger's loggers do not show; the program adds what the references
// in its properties stand for.
func (p *Program) Concealment() *provider.Concealment { return &p.concealment }

// Option changes a Program.
type Option func(*Program)

// WithPlugins adds plugins to what the binary can run.
func WithPlugins(plugins ...plugin.Plugin) Option {
	return func(p *Program) { p.Plugins = append(p.Plugins, plugins...) }
}

// WithContext ends the run when ctx does.
func WithContext(ctx context.Context) Option { return func(p *Program) { p.Context = ctx } }

// WithRESTLimit shortens the time limits of REST requests while limit returns a positive
// value, for tests that wait for them.
func WithRESTLimit(limit func() time.Duration) Option {
	return func(p *Program) { p.RESTLimit = limit }
}

// WithOutput sends what the program prints elsewhere than to the process's own.
func WithOutput(stdout, stderr io.Writer) Option {
	return func(p *Program) { p.Stdout, p.Stderr = stdout, stderr }
}

// NewProgram applies the options to the process's own surroundings.
func NewProgram(options ...Option) *Program {
	p := &Program{Stdout: os.Stdout, Stderr: os.Stderr, Context: context.Background()}
	for _, o := range options {
		o(p)
	}
	return p
}

// Version is a flag that prints the version and ends the program.
type Version bool

// BeforeReset implements kong's hook.
func (Version) BeforeReset(app *kong.Kong) error {
	fmt.Fprintf(app.Stdout, "%s %s (commit %s)\n", app.Model.Name, buildinfo.Version, buildinfo.Commit)
	app.Exit(ExitOK)
	return nil
}

// exit carries an exit code through kong, which wants to end the process itself.
type exit int

// Parse reads command line arguments into grammar, a pointer to a struct with kong's
// tags. done says that the program is to end with code: help or the version was
// printed, or the arguments were wrong.
func (p *Program) Parse(name, description string, grammar any, args []string) (code int, done bool) {
	defer func() {
		if r := recover(); r != nil {
			c, ok := r.(exit)
			if !ok {
				panic(r)
			}
			code, done = int(c), true
		}
	}()
	parser, err := kong.New(grammar, kong.Name(name), kong.Description(description), kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(func(code int) { panic(exit(code)) }))
	if err != nil {
		fmt.Fprintf(p.Stderr, "%s: %v\n", name, err)
		return ExitFailed, true
	}
	if _, err := parser.Parse(args); err != nil {
		fmt.Fprintf(p.Stderr, "%s: %v\nTry %s --help.\n", name, err, name)
		return ExitUsage, true
	}
	return ExitOK, false
}

// LoadProperties reads a properties file, with an error that a user can act on.
func LoadProperties(path string) (map[string]string, error) {
	props, err := properties.Load(path)
	var inFile *os.PathError
	switch {
	case err == nil:
		return props, nil
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("the properties file %s does not exist", path)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("the properties file %s may not be read by this user", path)
	case errors.As(err, &inFile):
		return nil, fmt.Errorf("the properties file %s cannot be read: %w", path, inFile.Err)
	}
	return nil, err
}

// Logger returns the program's log.
func (p *Program) Logger() *slog.Logger {
	logger, levels := logging.New(p.Stderr, logging.Options{})
	p.levels = levels
	return p.concealment.Logger(logger)
}

// Main runs until the context ends, a signal comes or run returns, and makes an exit
// code of the outcome. A second signal ends the process at once.
func (p *Program) Main(log *slog.Logger, run func(ctx context.Context) error) int {
	ctx, stop := signal.NotifyContext(p.Context, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := run(ctx); err != nil {
		for _, e := range Errors(err) {
			log.Error(e.Error())
		}
		var wrong *ConfigError
		if errors.As(err, &wrong) {
			return ExitConfig
		}
		return ExitFailed
	}
	return ExitOK
}

// ConfigError says that the configuration is wrong: trying again does not help.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// List splits a comma-separated property as Kafka does.
func List(text string) []string {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// Errors splits an error that is several into its parts, for one line each.
func Errors(err error) []error {
	var several *multierror.Error
	if errors.As(err, &several) {
		var out []error
		for _, e := range several.Errors {
			out = append(out, Errors(e)...)
		}
		return out
	}
	var out []error
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, errors.New(line))
		}
	}
	return out
}
