// Package provider resolves the ${provider:[path:]key} references of configurations, so that
// passwords stay out of the configurations themselves (KIP-297, KIP-421, KIP-632, KIP-887, KIP-993).
//
// Three providers are built in, under the names that Java configurations use:
//
//   - org.apache.kafka.common.config.provider.FileConfigProvider: path is a properties file in
//     UTF-8, key one of its keys. The param allowed.paths limits the paths.
//   - org.apache.kafka.common.config.provider.DirectoryConfigProvider: path is a directory, key the
//     name of a regular file in it, whose whole text is the value. It knows allowed.paths too.
//   - org.apache.kafka.common.config.provider.EnvVarConfigProvider: key is an environment variable;
//     a path is an error. The param allowlist.pattern is a Java regular expression that the whole
//     name must match.
//
// The simple class names do as well. What these return is text as Java returns it: a file's last
// line end is part of the value.
//
// A path is compared with allowed.paths after "." and ".." are taken out of its text, and that
// cleaned path is the one opened. Symbolic links are followed, as in Java: a link inside an allowed
// directory is the work of whoever may write there (Kubernetes mounts secrets that way), so only
// trusted accounts should be able to write below an allowed path.
//
// Values never appear in an error or in an [Unresolved].
package provider
