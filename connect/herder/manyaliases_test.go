package herder

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// withAliases is a configuration with n transformations, each of which has a predicate, and n
// predicates.
func withAliases(n int) map[string]*string {
	config := map[string]*string{}
	set := func(key, value string) { config[key] = &value }
	set("name", "a")
	set("connector.class", "FileStreamSource")
	set("topic", "t")
	var transforms, predicates []string
	for i := range n {
		transforms, predicates = append(transforms, fmt.Sprintf("t%d", i)), append(predicates, fmt.Sprintf("p%d", i))
		set(fmt.Sprintf("transforms.t%d.type", i), "InsertHeader")
		set(fmt.Sprintf("transforms.t%d.predicate", i), fmt.Sprintf("p%d", i))
	}
	set("transforms", strings.Join(transforms, ","))
	set("predicates", strings.Join(predicates, ","))
	return config
}

// Whoever may ask for a validation may send as much as a request holds.
func TestTheCostOfAValidationGrowsWithTheConfigurationOnly(t *testing.T) {
	v := newValidator(t)
	cost := func(n int) uint64 {
		config := withAliases(n)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		infos, err := v.Validate(t.Context(), config)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		groups := map[string]int{}
		for _, group := range infos.Groups {
			groups[group]++
		}
		for i := range n {
			for _, group := range []string{fmt.Sprintf("Transforms: t%d", i), fmt.Sprintf("Predicates: p%d", i)} {
				if groups[group] != 1 {
					t.Fatalf("group %s is there %d times", group, groups[group])
				}
			}
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	few, many := cost(500), cost(2000)
	if many > 8*few {
		t.Errorf("four times as many aliases take %d bytes instead of %d", many, few)
	}
}
