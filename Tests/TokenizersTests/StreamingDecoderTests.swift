import KaratBytes
import KaratTokenizers
import Testing

struct StreamingDecoderTests {
  private func stream(_ tokenizer: Tokenizer, _ ids: [Int32]) -> (parts: [String], rest: String) {
    var decoder = StreamingDecoder(tokenizer, skipSpecialTokens: false)
    let parts = ids.map { decoder.append($0) }
    return (parts, decoder.finish())
  }

  @Test func halfCharactersAreHeldBack() throws {
    let tokenizer = try Fixture.tokenizer("tokenizers/smollm2.json")
    let ids = tokenizer.encode("a👩b")
    let (parts, rest) = stream(tokenizer, ids)
    #expect(ids.count > 3)
    #expect(parts.joined() == "a👩b" && rest == "")
    #expect(parts.allSatisfy { !$0.contains("\u{fffd}") })
    #expect(parts.filter { !$0.isEmpty } == ["a", "👩", "b"])
  }

  @Test func whatNeverBecomesACharacterComesAtTheEnd() throws {
    let tokenizer = try Fixture.tokenizer("tokenizers/smollm2.json")
    let ids = Array(tokenizer.encode("👩").dropLast())
    let (parts, rest) = stream(tokenizer, ids)
    #expect(parts.joined() == "" && rest == "\u{fffd}")
    #expect(tokenizer.decode(ids) == "\u{fffd}")
  }

  @Test(arguments: [
    "tokenizers/smollm2.json", "alice/tokenizer.json", "tokenizers/minilm.json",
  ])
  func partsJoinToTheWholeForAnyIDs(path: String) throws {
    let tokenizer = try Fixture.tokenizer(path)
    var state: UInt64 = 7
    for _ in 0..<200 {
      let ids = (0..<40).map { _ -> Int32 in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        // Low ids hold the bytes, which make texts that are not UTF-8.
        let bound = state >> 63 == 0 ? 400 : UInt64(tokenizer.vocabularySize)
        return Int32(truncatingIfNeeded: (state >> 20) % bound)
      }
      let (parts, rest) = stream(tokenizer, ids)
      let whole = tokenizer.decode(ids, skipSpecialTokens: false)
      #expect(haveEqualBytes(parts.joined() + rest, whole))
    }
  }

  @Test func byteTokensAreHeldTillTheyAreACharacter() throws {
    let tokenizer = try Tokenizer(
      document(
        [
          "decoder": [
            "type": "Sequence",
            "decoders": [
              ["type": "Replace", "pattern": ["String": "▁"], "content": " "],
              ["type": "ByteFallback"], ["type": "Fuse"],
              ["type": "Strip", "content": " ", "start": 1, "stop": 0],
            ],
          ]
        ],
        model: [
          "type": "BPE", "merges": [],
          "vocab": ["▁a": 0, "<0xC3>": 1, "<0xA9>": 2, "▁b": 3],
        ]
      ),
      file: "x"
    )
    #expect(stream(tokenizer, [0, 1, 2, 3]).parts == ["a", "", "é", " b"])
    #expect(stream(tokenizer, [0, 1, 3]).parts == ["a", "", "\u{fffd} b"])
    let run = Array(repeating: [1, 2] as [Int32], count: 20).joined()
    #expect(stream(tokenizer, Array(run)).parts.joined() == String(repeating: "é", count: 20))
  }
}
