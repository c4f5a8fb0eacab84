//! Sets of characters, as RE2 knows them by name, and the two cases of a letter.
//!
//! The tables are those of `regex-syntax`, cut to the version of Unicode that Go has.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};
use std::sync::LazyLock;

/// Go's tables are of this version: later characters are unassigned there, and have no other case.
const UNICODE: &str = r"[\p{age:15.0}&&\P{gc:cn}]";

/// Scripts by name, lower case and without separators: those of that version.
const SCRIPTS: &str = "adlam ahom anatolianhieroglyphs arabic armenian avestan balinese bamum bassavah batak bengali \
    bhaiksuki bopomofo brahmi braille buginese buhid canadianaboriginal carian caucasianalbanian chakma cham cherokee \
    chorasmian common coptic cuneiform cypriot cyprominoan cyrillic deseret devanagari divesakuru dogra duployan \
    egyptianhieroglyphs elbasan elymaic ethiopic georgian glagolitic gothic grantha greek gujarati gunjalagondi \
    gurmukhi han hangul hanifirohingya hanunoo hatran hebrew hiragana imperialaramaic inherited inscriptionalpahlavi \
    inscriptionalparthian javanese kaithi kannada katakana kawi kayahli kharoshthi khitansmallscript khmer khojki \
    khudawadi lao latin lepcha limbu lineara linearb lisu lycian lydian mahajani makasar malayalam mandaic manichaean \
    marchen masaramgondi medefaidrin meeteimayek mendekikakui meroiticcursive meroitichieroglyphs miao modi mongolian \
    mro multani myanmar nabataean nagmundari nandinagari newtailue newa nko nushu nyiakengpuachuehmong ogham olchiki \
    oldhungarian olditalic oldnortharabian oldpermic oldpersian oldsogdian oldsoutharabian oldturkic olduyghur oriya \
    osage osmanya pahawhhmong palmyrene paucinhau phagspa phoenician psalterpahlavi rejang runic samaritan saurashtra \
    sharada shavian siddham signwriting sinhala sogdian sorasompeng soyombo sundanese sylotinagri syriac tagalog \
    tagbanwa taile taitham taiviet takri tamil tangsa tangut telugu thaana thai tibetan tifinagh tirhuta toto ugaritic \
    vai vithkuqi wancho warangciti yezidi yi zanabazarsquare";

/// General categories by their names, likewise.
const CATEGORIES: &str = "any ascii assigned c cc cf cn co cs l lc ll lm lo lt lu m mc me mn n nd nl no p pc pd pe pf pi \
    po ps s sc sk sm so z zl zp zs casedletter closepunctuation cntrl combiningmark connectorpunctuation control \
    currencysymbol dashpunctuation decimalnumber digit enclosingmark finalpunctuation format initialpunctuation letter \
    letternumber lineseparator lowercaseletter mark mathsymbol modifierletter modifiersymbol nonspacingmark number \
    openpunctuation other otherletter othernumber otherpunctuation othersymbol paragraphseparator privateuse punct \
    punctuation separator spaceseparator spacingmark surrogate symbol titlecaseletter unassigned uppercaseletter";

/// Every character that the version has.
static ASSIGNED: LazyLock<ClassUnicode> = LazyLock::new(|| table(UNICODE));

/// Every character that may have another case, so that folding need not look at all the others.
static CASED: LazyLock<ClassUnicode> = LazyLock::new(|| {
    let mut cased = table(r"[\p{Changes_When_Casemapped}\p{Changes_When_Casefolded}]");
    cased.intersect(&ASSIGNED);
    cased
});

/// A class of the table of `regex-syntax`.
fn table(pattern: &str) -> ClassUnicode {
    match regex_syntax::parse(pattern).map(|hir| hir.into_kind()) {
        Ok(HirKind::Class(Class::Unicode(class))) => class,
        // A class of one character, or of none.
        Ok(HirKind::Literal(literal)) => {
            let text = std::str::from_utf8(&literal.0).unwrap_or_default();
            ClassUnicode::new(text.chars().map(|c| ClassUnicodeRange::new(c, c)))
        }
        _ => ClassUnicode::empty(),
    }
}

/// Every character.
pub(super) fn all() -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)])
}

/// What the dot is after `(?-s)`.
pub(super) fn all_but_newline() -> ClassUnicode {
    negated(ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]))
}

fn negated(mut class: ClassUnicode) -> ClassUnicode {
    class.negate();
    class
}

/// About how many states an automaton needs for it.
pub(super) fn steps(class: &ClassUnicode) -> u64 {
    // A range of characters is several sequences of up to four bytes.
    if class.is_ascii() { 1 } else { 8 * class.ranges().len() as u64 }
}

/// The class with the other case of each of its letters.
fn fold(mut class: ClassUnicode) -> ClassUnicode {
    let mut letters = class.clone();
    if !class.is_ascii() {
        letters.intersect(&CASED);
    }
    letters.case_fold_simple();
    letters.intersect(&ASSIGNED);
    class.union(&letters);
    class
}

/// The character in every case.
pub(super) fn folded(c: char) -> ClassUnicode {
    fold(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
}

/// The text with one character for all that differ by case alone.
pub(super) fn fold_text(text: &str) -> String {
    text.chars().map(fold_char).collect()
}

fn fold_char(c: char) -> char {
    match c {
        // The first of all its cases: `K`, of which the kelvin sign is one too.
        '\0'..='\x7f' => c.to_ascii_uppercase(),
        _ => folded(c).ranges().first().map_or(c, ClassUnicodeRange::start),
    }
}

/// Whether no character has another case.
pub(super) fn is_caseless(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\0'..='\x7f' => !c.is_ascii_alphabetic(),
        _ => matches!(folded(c).ranges(), [only] if only.start() == only.end()),
    })
}

/// `\d`, `\w`, `\s` and their opposites, which are of ASCII in RE2.
pub(super) fn perl(letter: char, with_fold: bool) -> Option<ClassUnicode> {
    let ranges: &[(char, char)] = match letter.to_ascii_lowercase() {
        'd' => &[('0', '9')],
        'w' => WORD,
        's' => &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
        _ => return None,
    };
    Some(of_ranges(ranges, letter.is_ascii_uppercase(), with_fold))
}

const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// `[:alpha:]` and the like, by the name between the colons; `^` in front of it negates.
pub(super) fn posix(name: &str, with_fold: bool) -> Option<ClassUnicode> {
    let ranges: &[(char, char)] = match name.strip_prefix('^').unwrap_or(name) {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => WORD,
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    };
    Some(of_ranges(ranges, name.starts_with('^'), with_fold))
}

fn of_ranges(ranges: &[(char, char)], is_negated: bool, with_fold: bool) -> ClassUnicode {
    let class = ClassUnicode::new(ranges.iter().map(|(from, to)| ClassUnicodeRange::new(*from, *to)));
    let class = if with_fold { fold(class) } else { class };
    if is_negated { negated(class) } else { class }
}

/// `\p{Greek}`, `\pL`: a script or a general category by its name, whatever its case and its separators; nothing where
/// there is none of that name.
pub(super) fn of_unicode(name: &str, is_negated: bool, with_fold: bool) -> Option<ClassUnicode> {
    let mut name = name.replace(['_', '-', ' '], "");
    name.make_ascii_lowercase();
    let is_in = |names: &str| names.split_ascii_whitespace().any(|known| known == name);
    let class = match name.as_str() {
        "any" => all(),
        "assigned" => ASSIGNED.clone(),
        "cn" | "unassigned" => negated(ASSIGNED.clone()),
        // The unassigned are one of its parts.
        "c" | "other" => {
            let mut class = table(r"\p{gc:c}");
            class.union(&negated(ASSIGNED.clone()));
            class
        }
        // They are in no text.
        "cs" | "surrogate" => ClassUnicode::empty(),
        _ if is_in(CATEGORIES) || is_in(SCRIPTS) => {
            let kind = if is_in(CATEGORIES) { "gc" } else { "sc" };
            let mut class = table(&format!(r"\p{{{kind}:{name}}}"));
            class.intersect(&ASSIGNED);
            class
        }
        _ => return None,
    };
    let class = if with_fold { fold(class) } else { class };
    Some(if is_negated { negated(class) } else { class })
}

/// A class in brackets, while it is read.
pub(super) struct Builder {
    ranges: Vec<ClassUnicodeRange>,
    named: ClassUnicode,
    fold: bool,
}

impl Builder {
    /// An empty class; `fold`: of letters in every case.
    pub fn new(fold: bool) -> Self {
        Builder { ranges: Vec::new(), named: ClassUnicode::empty(), fold }
    }

    /// Adds a class that has all its cases already.
    pub fn add(&mut self, named: &ClassUnicode) {
        self.named.union(named);
    }

    /// Adds the characters of these numbers. Surrogates are in no text.
    pub fn add_range(&mut self, low: u32, high: u32) {
        let low = char::from_u32(low).unwrap_or('\u{e000}');
        let high = char::from_u32(high).unwrap_or('\u{d7ff}');
        if low <= high {
            self.ranges.push(ClassUnicodeRange::new(low, high));
        }
    }

    /// The class, or all that is not in it.
    pub fn build(self, is_negated: bool) -> ClassUnicode {
        let mut class = ClassUnicode::new(self.ranges);
        if self.fold {
            class = fold(class);
        }
        class.union(&self.named);
        if is_negated { negated(class) } else { class }
    }
}
