#!/bin/sh
# Makes the golden answers: runs each file of cases through Kafka's own classes, fetched from Maven
# Central. Needs java and mvn; the tests that compare with the answers need neither.
#   test/oracle/make.sh [file…]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>oracle</groupId><artifactId>oracle</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId><version>4.3.1</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>connect-transforms</artifactId><version>4.3.1</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>connect-json</artifactId><version>4.3.1</version></dependency>
</dependencies></project>
POM
(cd "$work" && mvn -q dependency:copy-dependencies -DoutputDirectory=jars)
javac -nowarn -d "$work/classes" -cp "$work/jars/*" "$here/java/Oracle.java"
[ $# -gt 0 ] || set -- $(find "$root/connect" -name '*.cases.json')
for cases; do
    golden=${cases%.cases.json}.golden.json
    TZ=UTC java -Duser.language=en -Duser.country=US -cp "$work/classes:$work/jars/*" Oracle "$cases" >"$work/golden" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    mv "$work/golden" "$golden"
    echo "$golden"
done
