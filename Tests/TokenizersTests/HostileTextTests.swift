import KaratTokenizers
import Testing

/// Texts on which a careless implementation takes quadratic time or overflows its stack.
struct HostileTextTests {
  private static let texts: [(String, String)] = [
    ("letters", String(repeating: "a", count: 1_000_000)),
    ("spaces", String(repeating: " ", count: 1_000_000)),
    ("digits", String(repeating: "7", count: 300_000)),
    ("marks", "a" + String(repeating: "\u{301}\u{323}", count: 150_000)),
    ("ideographs", String(repeating: "中", count: 300_000)),
    ("jamo", String(repeating: "\u{1100}\u{1161}", count: 150_000)),
    ("halves of special tokens", String(repeating: "<|im_start", count: 30_000)),
  ]

  @Test(arguments: ["tokenizers/smollm2.json", "alice/tokenizer.json"])
  func longRunsAreEncoded(path: String) throws {
    let tokenizer = try Fixture.tokenizer(path)
    for (name, text) in Self.texts {
      let ids = tokenizer.encode(text)
      #expect(!ids.isEmpty, "\(name)")
      if path.contains("smollm2") {
        #expect(haveEqualBytes(tokenizer.decode(ids, skipSpecialTokens: false), text), "\(name)")
      }
    }
  }

  @Test func longRunsMakeOneUnknownWord() throws {
    let tokenizer = try Fixture.tokenizer("tokenizers/minilm.json")
    for (name, text) in Self.texts where name == "letters" || name == "digits" || name == "marks" {
      #expect(tokenizer.encode(text).count == 3, "\(name)")
    }
    #expect(tokenizer.encode(String(repeating: "中", count: 300_000)).count == 300_002)
  }

  @Test func longPiecesMergeAsShortOnes() throws {
    let tokenizer = try Fixture.tokenizer("tokenizers/smollm2.json")
    // 49152 tokens know at most runs of some letters: a long run is a repetition of the longest.
    let ids = tokenizer.encode(String(repeating: "a", count: 50))
    #expect(ids == Array(repeating: 46880, count: 12) + [11510])
    let long = tokenizer.encode(String(repeating: "a", count: 4002))
    #expect(long == Array(repeating: 46880, count: 1000) + [11510])
  }
}
