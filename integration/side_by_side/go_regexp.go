// Answers what Go's regexp makes of patterns, wrapped as Prometheus 3 wraps them: the table of
// crates/model/src/pattern/cases.jsonl is made of its answers (side_by_side/pattern_table.py).
//
// In: lines of JSON, ["pattern", ["text", …]]. Out: for each ["pattern", "error"], or
// ["pattern", [["text", ["$0", "$1", null, …]], ["text", null], …]]: null for a group, or a text, that does not match.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"regexp/syntax"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for in.Scan() {
		var line [2]json.RawMessage
		var pattern string
		var texts []string
		check(json.Unmarshal(in.Bytes(), &line))
		check(json.Unmarshal(line[0], &pattern))
		check(json.Unmarshal(line[1], &texts))
		check(out.Encode([]any{pattern, answer(pattern, texts)}))
	}
	check(in.Err())
}

func answer(pattern string, texts []string) any {
	// Matchers parse the pattern alone first.
	parsed, err := syntax.Parse(pattern, syntax.Perl|syntax.DotNL)
	if err != nil {
		var parse *syntax.Error
		if errors.As(err, &parse) {
			return string(parse.Code)
		}
		return err.Error()
	}
	re, err := regexp.Compile("^(?s:" + pattern + ")$")
	if err != nil {
		// What ends within \Q… quotes the end of the wrapping too, unless it is written anew.
		re = regexp.MustCompile("^(?s:" + parsed.String() + ")$")
	}
	answers := [][2]any{}
	left := map[bool]int{true: 5, false: 5}
	for _, text := range texts {
		matches := re.MatchString(text)
		if left[matches]--; left[matches] < 0 && len(os.Args) < 2 {
			continue
		}
		var groups []any
		if at := re.FindStringSubmatchIndex(text); at != nil {
			for i := 0; i < len(at); i += 2 {
				if at[i] < 0 {
					groups = append(groups, nil)
				} else {
					groups = append(groups, text[at[i]:at[i+1]])
				}
			}
			answers = append(answers, [2]any{text, groups})
		} else {
			answers = append(answers, [2]any{text, nil})
		}
	}
	return answers
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
