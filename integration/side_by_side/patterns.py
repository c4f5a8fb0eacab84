"""Regular expressions, written ones and random ones, and the texts that they are tried on."""

# Each of these has been read as something else by some engine or other.
WRITTEN = r"""
/users/{id}
/[a-z]+/{id}
/users/{(id|name)}
[\w-.]+:9100
[\w-.:]+
[a&&b]
[a-z&&[^b]]
[a--b]
[a~~b]
[[a]]
[a[b]
\<a\>
\b\w+\b
a\Bb
\bä
ä\b
{,2}
a{,2}
a{2}
a{2,}
a{1,2}?
a{02}
a{1,02}
a{ 1}
a{1
a{}
a{,}
a{a}
{
}
a}
{1}
a{2,1}
a{1001}
a{1000}
a{1,1001}
a{99999999999}
(a{10}){100}
(a{10}){101}
((a{10}){10}){10}
((a{10}){10}){11}
(a{0}){1000}
(a*){1000}
(?x)a b
(?x: a b )
(?i)k
(?i)s
(?i)[k]
(?i)[^k]
(?i)\w+
(?i)\W
(?i)[[:lower:]]
(?i)[[:^lower:]]
(?i)[a-c]+
(?i)é
(?i)Σ
(?i)ß
(?i)\p{Lu}
(?i)\P{Lu}
(?i)\pL+
(?i:a)b
(?i)a(?-i)b
a(?i)b|c
(?i)(?-i)A
(?s).
(?-s).
(?-s:a.b)
(?s-i:.)
(?m)^a$
(?m)^a$\n^b$
(?m)a$.*
(?m:^b)
a^b
a$b
$a
^a
^^a$$
(^a|b$)
^(a|b)$
(?:^|x)a
(?U)a+
(?U)(a+)(a*)
(?U)(a+?)(a*)
(?Ui)A+
(a+)(a*)
(a+?)(a*)
(a|ab)(c|bcd)
(a*)*
(a*)+
(|a)*
(|a)+
(a|b)*
(a|b){2,3}
((a)|(b))+
(a)?(b)?
(a){0}(b)
(?P<x>a)(?P<y>b)
(?<x>a)
(?P<x>a)(?P<x>b)
(?P<x_1>a)
(?P<1>a)
(?P<>a)
(?P<a-b>c)
(?P<ä>c)
(?P<a
(?P=x)
(?P>x)
(?'x'a)
(?#x)a
(?=a)
(?!a)
(?<=a)
(?>a)
(?|a)
(?
(?i
(?i-
(?-)
(?-i)a
(?i-)
(?)
(?:)
(?:a
(?i-s-m)
(?ii)a
(?^)a
(?a)
(?:ab)*
(?:ab)?c
(?i:ab)+c
x(?:ab){2}
(?:ab)(?i)*
a**
a*+
a++
a+?
a??
a???
a*?*
a{2}{3}
a{2}*
a*{2}
(?:a*)*
(a{2}){3}
^*
$+a
\b*a
(?i)*
a(?i)*
a*(?i)*
ab(?i)*
a\Q\E*
*
+a
?
a|*
(*a)
(+)
|
a|
|a
a||b
()
(|)
(a|)b
(
)
a)
(a
a)|(b
((a)
[
[]
[]]
[]a]
[^]
[^]]
[^]a]
[a
[a-
[a-]
[-a]
[a-b-c]
[--a]
[z-a]
[a-\d]
[\d-z]
[\w-a]
[+--]
[^\x00-\x{10FFFF}]
[\x00-\x{10FFFF}]
[^\d\D]
[\s\S]*
[\d\D]
[^a]
[^\n]
[\n]
[a\]b]
[\]]
[\^a]
[a^]
[^^]
[[:word:]]+
[[:alpha:]]+
[[:^alpha:]]+
[[:alpha:]-z]
[[:foo:]]
[[:alpha]]
[[:alpha:]
[:alpha:]
[[:]
[[:]]
[[.a.]]
[[=a=]]
[\Qa\E]
[\b]
[\A]
[\pL]
[\p{Greek}x]
[^\p{Greek}]
[\P{^Greek}]
\d+
\D
\w+
\W
\s
\S
\v
\h
\R
\X
\N
\K
\G
\Z
\z
\A
\Aa\z
a\z
\C
\Q
\Qa.b
\Qa.b\E
\Qa\Eb*
\Qab\E+
\Q\E
\Qa\\E
\E
\Q\Q\E
\a
\f
\t
\n
\r
\e
\0
\00
\012
\0123
\1
\12
\123
\141
\400
\777
\8
\9
(a)\1
\x61
\x6
\x
\xZZ
\x{61}
\x{0061}
\x{000000000061}
\x{}
\x{110000}
\x{10FFFF}
\x{ä}
\x{61
[\x{D800}-\x{E000}]
\u0061
\u{61}
\U00000061
\N{DIGIT ONE}
\cA
\_
\-
\.
\/
\:
\@
\~
\ 
\"
\'
\`
\&
\#
\%
\!
\=
\,
\;
\<
\>
\{
\}
\ä
\q
\y
\
a\
\pN
\pL
\PL
\p
\p{
\p{}
\p{L
\p{L}
\p{Lu}+
\p{^Lu}
\P{^Lu}
\pL+\pN
\p{Latin}+
\p{Greek}+
\p{greek}
\p{Grek}
\p{Cyrillic}
\p{Han}
\p{Alphabetic}
\p{White_Space}
\p{Emoji}
\p{gc=L}
\p{gc:Lu}
\p{sc=Greek}
\p{scx=Greek}
\p{L&}
\p{LC}
\p{Any}
\p{ASCII}
\p{Assigned}
\p{Letter}
\p{letter}
\p{Uppercase_Letter}
\p{uppercaseletter}
\p{Cn}
\p{Cs}
\p{Co}
\pC
\p{C}
\p{age:3.0}
\p{IsGreek}
\p{Common}
\pX
.
..
.*
.+
.?
a.c
a.*c
.*a.*
a.*
.*a
a.+
(a.*)
a.*|b
.*(a|b).*
(a|b)(c|d)
(a|b)-(c|d).*
(?:a|b|)c
web-(1|2|3)
web-[1-3]
web[1-3]?
(?i)web-(1|2)
(?i)WEB.*
(?i).*EB-1
(?i).*EB.*
(?i)straße
(?i)k|s
ip\.eu\:9100
web\-1|db\-1
a|b|c
^a|b$
^(?:a|b)$
(^a)|(b$)
((((a))))
(?:(?:(?:a)))
a{3}|b
[ab]{2}
[0-9]{6}
[a-zA-Z_]\w*
\d{1,3}\.\d{1,3}
[^/]+/[^/]*
(.+):(.+)
(.*)-(.*)
([a-z]+)-?(\d*)
(?P<host>[^:]+):(?P<port>\d+)
([^.]+)\.(.*)
(.*?)-(.*)
(.+?)(-.*)?
(\w+)\s(\w+)
#a
 a
a b
"a"
'
%
ä.
é+
日本|語
[日-語]
😀
[😀-😂]
.{2}
""".strip("\n").split("\n")

VALUES = [
    "",
    *"abcdkszABKSZ0189_-.:/{}[]()*+?^$|\\&~#%\"' <>=!@,;`",
    *"äÄéÉßσςΣ日語😀ſ\u212a\u00a0\u0661\u2028\ufffd\u0378\u10ff",
    "\n", "\t", "\r", "\v", "\f", "\a", "\b", "\x7f",
    "ab", "ba", "aa", "aaa", "aaaa", "aaaaaa", "abab", "abc", "abcd", "bcd", "ac", "bc", "AB", "aB", "Ab", "a b", " a", "a-b",
    "a.b", "axb", "a\nb", "a\n", "\na", "\n\n", "a\r\nb", "a&b", "a|b", "a{,2}", "{,2}", "a{2", "a{}", "{id}", "a}", "b]", "a]",
    "/users/{id}", "/users/id", "/a/{id}", "/users/{name}", "db-1.eu:9100", "web-1", "WEB-1", "Web-1", "web-2", "web1", "web",
    "webx", "ip.eu:9100", "ipxeu:9100", "host_7", "host_71", "cpu", "cpu_user", "10.0.0.1", "x=1", "[a]", "(a)", "<a>", "a--b",
    "aä", "äa", "äö", "äÄ", "straße", "STRASSE", "STRAßE", "strasse", "Ks", "kS", "\u212as", "日本", "日本語", "😀😁", "\u0661\u0662",
    "a" * 10, "a" * 20, "a" * 100, "a" * 1000, "ac" * 3, "12", "123456", "1234567", "a1", "b2c3", "one two", "a:b:c", "x" * 63, "A.b.C",
    "Σς", "εΣ", "жЖ", "ǅ", "ǆ", "Ⓐ", "ⓐ", "ﬁ", "İ", "ı", "i", "I", "\ue000", "\U0010ffff", "\u1c89",
]  # fmt: skip

# Pieces that random expressions are made of.
ATOMS = [
    *"abckszKSZ01_-./: ", "ab", "web", "a", "b", "\\.", "\\-", "\\/", "\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "\\b", "\\B", ".", ".", ".*",
    "^", "$", "\\A", "\\z", "\\pL", "\\pN", "\\PL", "\\p{Lu}", "\\p{^Ll}", "\\p{Greek}", "\\x61", "\\x{e9}", "\\141", "\\n", "\\t", "ä", "É",
    "σ", "日", "😀", "\u212a", "\\Qa.\\E", "\\Q*", "{", "}", "{,2}", "{id}", "]", "-", "&&", "~", "#", "[:alpha:]", "\\<", "\\Z", "\\C", "\\1", "\\h",
]  # fmt: skip
CLASS_PARTS = [
    *"abckszAKZ019_.:/ ^[&~|", "-", "-", "]", "\\]", "\\d", "\\w", "\\s", "\\W", "\\D", "\\S", "a-z", "A-Z", "0-9", "a-c", "--/", "z-a", "\\pL", "\\PN",
    "\\p{Greek}", "[:alpha:]", "[:^digit:]", "[:word:]", "[:space:]", "[:foo:]", "&&", "--", "~~", "\\n", "\\x61", "\\x{3c3}", "ä", "é-ö", "日", "\\-", "\\^",
    "\\b", "[a", "k", "s", "\\Q",
]  # fmt: skip
REPEATS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{2,}", "{0,3}", "{0}", "{2,1}", "{1,}?", "{,2}", "{1001}", "**", "{2}{3}"]
FLAGS = ["i", "s", "m", "U", "-s", "-i", "im", "i-s", "iU", "mU", "x", "-", ""]


class Patterns:
    """Makes random regular expressions, few of which are wrong."""

    def __init__(self, random):
        self.random = random

    def pattern(self):
        return self.alternatives(self.random.choice([1, 1, 2, 2, 3]))

    def alternatives(self, depth):
        count = self.random.choice([1, 1, 1, 2, 3])
        return "|".join(self.sequence(depth) for _ in range(count))

    def sequence(self, depth):
        return "".join(self.part(depth) for _ in range(self.random.choice([0, 1, 1, 2, 2, 3, 4])))

    def part(self, depth):
        piece = self.atom(depth)
        return piece + self.random.choice(REPEATS) if self.random.random() < 0.3 else piece

    def atom(self, depth):
        kind = self.random.random()
        if kind < 0.15:
            parts = "".join(self.random.choice(CLASS_PARTS) for _ in range(self.random.randint(1, 4)))
            return "[" + self.random.choice(["", "", "^"]) + parts + self.random.choice(["]"] * 30 + [""])
        if kind < 0.45 and depth > 0:
            opening = self.random.choice(["(", "(", "(", "(?:", "(?i:", "(?s:", "(?m:", "(?U:", "(?-s:", "(?P<n>", "(?x:", "(?="])
            return opening + self.alternatives(depth - 1) + self.random.choice([")"] * 40 + [""])
        if kind < 0.5:
            return f"(?{self.random.choice(FLAGS)})"
        return self.random.choice(ATOMS)
