import KaratBytes
import KaratTokenizers
import Testing

/// What tokenizer_config.json adds to a tokenizer.json.
struct SettingsTests {
  private let tokenizer: Tokenizer

  init() throws {
    tokenizer = try Tokenizer(
      document(model: [
        "type": "WordLevel", "vocab": ["x": 0, "<s>": 1, "</s>": 2], "unk_token": "x",
      ]),
      file: "x"
    )
  }

  @Test func tokensAroundATextAreAdded() throws {
    let both = try tokenizer.adding(
      [
        "add_bos_token": true, "bos_token": ["content": "<s>"], "add_eos_token": true,
        "eos_token": "</s>",
      ],
      file: "c"
    )
    #expect(both.encode("x") == [1, 0, 2])
    #expect(both.encode("x", addSpecialTokens: false) == [0])
    // What is added already is not added twice.
    let again = try both.adding(["add_bos_token": true, "bos_token": "<s>"], file: "c")
    #expect(again.encode("x") == [1, 0, 2])
  }

  @Test func nothingElseChanges() throws {
    for settings: JSONObject in [
      [:], ["bos_token": "<s>"], ["add_bos_token": false, "bos_token": "<s>"],
      ["add_bos_token": true], ["add_bos_token": true, "bos_token": .null],
    ] {
      #expect(try tokenizer.adding(settings, file: "c").encode("x") == [0])
    }
  }

  @Test func aTokenThatIsNoneIsRefused() throws {
    let error = try #require(throws: TokenizerError.self) {
      _ = try tokenizer.adding(["add_bos_token": true, "bos_token": "<b>"], file: "c.json")
    }
    #expect(
      "\(error)"
        == "c.json, 'bos_token': '<b>' is to be added to texts, but no token has this text."
    )
  }
}
