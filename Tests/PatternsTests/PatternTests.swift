import KaratPatterns
import Testing

struct PatternTests {
  /// The matches, found without and with the memory of what was tried.
  private func matches(_ expression: String, _ text: String) throws -> [String] {
    let results = try [256, 0].map { steps in
      let pattern = try Pattern(expression, stepsPerByte: steps)
      let bytes = Array(text.utf8)
      var matches: [String] = []
      bytes.withUnsafeBufferPointer { bytes in
        pattern.forEachMatch(in: bytes) { start, end in
          matches.append(String(decoding: bytes[start..<end], as: UTF8.self))
        }
      }
      return matches
    }
    #expect(results[0] == results[1], "\(expression) on \(text)")
    return results[0]
  }

  @Test(arguments: [
    ("a|ab", "abab", ["a", "a"]),
    ("a{2,3}", "aaaaa", ["aaa", "aa"]),
    ("a{,2}b", "aaab", ["aab"]),
    ("a{2", "a{2", ["a{2"]),
    ("a+?b??", "aab", ["a", "a"]),
    ("a++a", "aaa", []),
    ("(?>a|ab)c", "abc ac", ["ac"]),
    ("x*", "axx", ["", "xx"]),
    ("(?i:ß|straSSe|k)", "STRASSE \u{212a}K", ["STRASSE", "\u{212a}", "K"]),
    ("(?i)a(?-i)b", "AB Ab", ["Ab"]),
    (#"\s+(?!\S)|\s+"#, "a   b ", ["  ", " ", " "]),
    (#"(?<=a)b|(?<!a)c"#, "ab ac bc", ["b", "c"]),
    (#"[^\s\p{L}]+"#, "ab, 1é!", [",", "1", "!"]),
    (#"[a-z&&[^aeiou]]+"#, "hello", ["h", "ll"]),
    ("[[:upper:]-]+", "aB-Cd", ["B-C"]),
    ("[]a]+", "]a[", ["]a"]),
    (#"\p{Lu}\p{^Lu}\P{L}"#, "Ab1", ["Ab1"]),
    (#"^.$"#, "a\nbc\nd", ["a", "d"]),
    (#"\A.|.\z"#, "ab\ncd", ["a", "d"]),
    ("(?m:a.b)", "a\nb", ["a\nb"]),
    (#"\bé\w*\b"#, "été aé", ["été"]),
    (#"\x41\x{1F600}\u00e9"#, "A😀é", ["A😀é"]),
    (#"\p{Han}+"#, "日本語の字", ["日本語", "字"]),
    ("(?:a?b?)*c", "abbac", ["abbac"]),
    ("(?:(?=a)|b)*a", "bba", ["bba"]),
  ])
  func findsWhatOnigurumaFinds(expression: String, text: String, expected: [String]) throws {
    #expect(try matches(expression, text) == expected)
  }

  /// Patterns on which going back alone would take longer than anyone waits.
  @Test(arguments: [
    "(a*)*b", "(a|a)*b", "(?:a|aa)+c", "(a?){50}a{50}b", "(?=a*)b", "(?:(?=.*b)a)*c", "(?>a*)*b",
    "((a*)*)*b", "a*b", "(?i:a+)+x",
  ])
  func hostilePatternsEnd(expression: String) throws {
    let text = String(repeating: "a", count: 20_000)
    #expect(try matches(expression, text).isEmpty)
  }

  @Test(arguments: [
    ("a(b", 1, "the group is not closed."),
    ("a)b", 1, "')' closes no group."),
    ("a|*b", 2, "'*' has nothing to repeat."),
    ("[a-", 0, "the class is not closed."),
    ("[z-a]", 2, "the range falls; it needs to rise."),
    (#"x\1"#, 1, #"'\1' is not supported."#),
    (#"\p{Klingon}"#, 0, "the property 'Klingon' is not supported."),
    ("a\\", 1, "ends in a backslash; a character is needed behind it."),
    ("a{3,2}", 1, "the counts need to rise and be at most 1000."),
    ("a{1001}", 1, "the counts need to rise and be at most 1000."),
    ("(?x)a", 2, "'(?x' is not supported; flags known here: i, m."),
    ("(?:a{1000}){1000}", 0, "needs more than 20000 instructions when its counts are unrolled."),
    ("(?:a|b){1000}", 0, "leaves more than 500 choices when its counts are unrolled."),
    ("(?<=a+)b", 0, "looks back at a text of varying length, which is not supported."),
    (#"\x{110000}"#, 0, "hexadecimal digits of a character are needed here."),
    ("[[:klingon:]]", 1, "the class '[:klingon:]' is not supported."),
    ("a?????????", 0, "more than 4 quantifiers follow one part."),
  ])
  func unsupportedPatternsAreRefused(expression: String, offset: Int, message: String) {
    #expect {
      _ = try Pattern(expression)
    } throws: { error in
      guard let error = error as? PatternError else { return false }
      #expect(error.message == message)
      return error.offset == offset && error.pattern == expression
    }
  }

  @Test func deepNestingIsRefused() {
    let expression = String(repeating: "(", count: 100_000)
    #expect(throws: PatternError.self) { _ = try Pattern(expression) }
  }
}
