import KaratBytes
import KaratTokenizers
import Testing

struct GGUFVocabularyTests {
  /// What the GGUF file holds whose tokenizer the fixture is.
  private func smollm() throws -> (GGUFVocabulary, JSONValue) {
    let document = try Fixture.json("tokenizers/smollm2.json")
    let members = try #require(document["model"]?["vocab"]?.object).members
    var vocabulary = GGUFVocabulary(
      model: "gpt2",
      preTokenizer: "smollm",
      tokens: members.map(\.key)
    )
    vocabulary.merges = try #require(document["model"]?["merges"]).strings
    vocabulary.tokenTypes = .init(repeating: 1, count: members.count)
    for token in try #require(document["added_tokens"]?.array) {
      vocabulary.tokenTypes[try #require(token["id"]?.int)] = 3
    }
    vocabulary.beginID = 1
    vocabulary.endID = 2
    vocabulary.unknownID = 0
    vocabulary.paddingID = 2
    vocabulary.addsBegin = false
    vocabulary.chatTemplate = "{{ messages }}"
    return (vocabulary, document)
  }

  @Test func smollmBecomesADocumentThatGivesItsIDs() throws {
    let (vocabulary, document) = try smollm()
    #expect(try vocabulary.tokenizerDocument(file: "x.gguf") == document)
    let vectors = try Fixture.json("text/tokenizer-vectors.json")
    let tokenizer = try Tokenizer(vocabulary, file: "x.gguf")
    for (text, ids) in zip(
      try #require(vectors["texts"]).strings,
      try #require(vectors["smollm2"]?.array)
    ) {
      #expect(tokenizer.encode(text) == ids.ids)
    }
    #expect(
      vocabulary.tokenizerConfiguration() == [
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>", "pad_token": "<|im_end|>",
        "clean_up_tokenization_spaces": false, "chat_template": "{{ messages }}",
      ]
    )
  }

  @Test func startAndEndTokensStandAroundTexts() throws {
    var (vocabulary, _) = try smollm()
    vocabulary.addsBegin = true
    vocabulary.addsEnd = true
    let tokenizer = try Tokenizer(vocabulary, file: "x.gguf")
    #expect(tokenizer.encode("a") == [1, 81, 2])
    #expect(tokenizer.encode("a", addSpecialTokens: false) == [81])
  }

  @Test func sentencePieceMergesByScore() throws {
    var vocabulary = GGUFVocabulary(
      model: "llama",
      preTokenizer: nil,
      tokens: ["<unk>", "<s>", "</s>"]
        + (0..<256).map { byte in
          let digits = String(byte, radix: 16, uppercase: true)
          return "<0x" + (byte < 16 ? "0" : "") + digits + ">"
        } + ["▁", "a", "b", "ab", "ba", "▁a", "bab"]
    )
    vocabulary.tokenTypes =
      [2, 3, 3] + .init(repeating: 6, count: 256) + .init(repeating: 1, count: 7)
    vocabulary.scores = .init(repeating: 0, count: 259) + [-5, -6, -7, -2, -1, -3, -4]
    (vocabulary.beginID, vocabulary.endID, vocabulary.unknownID) = (1, 2, 0)
    let tokenizer = try Tokenizer(vocabulary, file: "x.gguf")
    // ▁ a b a b: the scores put b a first, then ▁ a before ba b.
    #expect(tokenizer.encode("abab") == [1, 264, 265])
    #expect(tokenizer.encode("bé") == [1, 259, 261, 3 + 0xc3, 3 + 0xa9])
    #expect(tokenizer.decode(tokenizer.encode("abab é  b")) == "abab é  b")
  }

  @Test func contradictoryMetadataAreRefused() throws {
    func message(_ change: (inout GGUFVocabulary) -> Void) -> String {
      var vocabulary = GGUFVocabulary(
        model: "gpt2",
        preTokenizer: "gpt-2",
        tokens: ["a", "b", "ab"]
      )
      change(&vocabulary)
      do {
        _ = try Tokenizer(vocabulary, file: "x.gguf")
        return "no error"
      } catch {
        return error.description
      }
    }
    #expect(message { $0.merges = ["a b"] } == "no error")
    #expect(
      message { $0.model = "rwkv" }
        == "x.gguf, 'tokenizer.ggml.model': 'rwkv' is not supported; known here: bert, gpt2, llama."
    )
    #expect(
      message { $0.preTokenizer = "klingon" }.hasPrefix(
        "x.gguf, 'tokenizer.ggml.pre': 'klingon' is not supported; known here: a.x-4.0, "
      )
    )
    #expect(
      message { $0.merges = ["a c"] }
        == "x.gguf, 'tokenizer.ggml.merges[0]': 'c', which is not in the vocabulary."
    )
    #expect(
      message { $0.tokens[2] = "a" }
        == "x.gguf, 'tokenizer.ggml.tokens[2]': 'a', which token 0 is already; "
        + "each token needs its own text."
    )
    #expect(
      message { $0.tokenTypes = [1] }
        == "x.gguf, 'tokenizer.ggml.token_type': 1 entries; "
        + "one for each of the 3 tokens is needed."
    )
    #expect(
      message { $0.beginID = 3 }
        == "x.gguf, 'tokenizer.ggml.bos_token_id': the id 3; one of the 3 tokens' is needed."
    )
  }

  @Test func everyPreTokenizerIsWellFormed() throws {
    for name in GGUFVocabulary.preTokenizers {
      var vocabulary = GGUFVocabulary(
        model: "gpt2",
        preTokenizer: name,
        tokens: ["a", "b", "Ġ", "ab"]
      )
      vocabulary.merges = ["a b"]
      #expect(try Tokenizer(vocabulary, file: name).encode("ab ab") == [3, 2, 3], "\(name)")
    }
  }

  @Test func aDocumentBecomesTheVocabularyItCameFrom() throws {
    let (expected, document) = try smollm()
    let (found, losses) = try GGUFVocabulary.reading(document, file: "tokenizer.json")
    #expect(losses.isEmpty)
    #expect(found.model == "gpt2")
    #expect(found.preTokenizer == "smollm")
    #expect(found.tokens == expected.tokens)
    #expect(found.tokenTypes == expected.tokenTypes)
    #expect(found.merges == expected.merges)
    #expect(found.addsBegin == false)
    #expect(try found.tokenizerDocument(file: "x.gguf") == document)
  }

  @Test func theModelsOwnWayToWriteADocumentIsUnderstood() throws {
    var (_, document) = try smollm()
    document = document.setting(
      "pre_tokenizer",
      [
        "type": "Sequence",
        "pretokenizers": [
          ["type": "Digits", "individual_digits": true],
          [
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
          ],
        ],
      ]
    )
    document = document.setting("normalizer", ["type": "NFC"])
    document = document.setting(
      "post_processor",
      [
        "type": "Sequence",
        "processors": [
          ["type": "ByteLevel", "trim_offsets": false],
          [
            "type": "TemplateProcessing",
            "single": [
              ["SpecialToken": ["id": "<|im_start|>", "type_id": 0]],
              ["Sequence": ["id": "A", "type_id": 0]],
            ],
            "pair": [], "special_tokens": ["<|im_start|>": ["id": "<|im_start|>", "ids": [1]]],
          ],
        ],
      ]
    )
    let (found, losses) = try GGUFVocabulary.reading(document, file: "tokenizer.json")
    #expect(found.preTokenizer == "smollm")
    #expect(found.addsBegin == true)
    #expect(found.beginID == 1)
    #expect(found.addsEnd == false)
    #expect(
      losses == [
        "The tokenizer brings text into Unicode's normal form NFC first; what reads GGUF does not."
      ]
    )
  }

  /// A small SentencePiece vocabulary whose scores are those that its merges give.
  private func sentencePiece() -> GGUFVocabulary {
    var vocabulary = GGUFVocabulary(
      model: "llama",
      preTokenizer: "default",
      tokens: ["<unk>", "<s>", "</s>"]
        + (0..<256).map { byte in
          let digits = String(byte, radix: 16, uppercase: true)
          return "<0x" + (byte < 16 ? "0" : "") + digits + ">"
        } + ["▁", "a", "b", "ba", "ab", "▁a", "bab"]
    )
    vocabulary.tokenTypes =
      [2, 3, 3] + .init(repeating: 6, count: 256) + .init(repeating: 1, count: 7)
    vocabulary.scores = .init(repeating: -4, count: 262) + [0, -1, -2, -3]
    (vocabulary.beginID, vocabulary.endID, vocabulary.unknownID) = (1, 2, 0)
    vocabulary.addsBegin = true
    vocabulary.addsEnd = false
    vocabulary.addsSpacePrefix = true
    return vocabulary
  }

  @Test(arguments: [true, false])
  func sentencePieceComesBackWithItsScores(_ addsSpacePrefix: Bool) throws {
    var vocabulary = sentencePiece()
    vocabulary.addsSpacePrefix = addsSpacePrefix
    let document = try vocabulary.tokenizerDocument(file: "x.gguf")
    let (found, losses) = try GGUFVocabulary.reading(document, file: "tokenizer.json")
    #expect(losses.isEmpty)
    #expect(found.tokens == vocabulary.tokens)
    #expect(found.tokenTypes == vocabulary.tokenTypes)
    #expect(found.scores == vocabulary.scores)
    #expect((found.beginID, found.unknownID) == (1, 0))
    #expect((found.addsBegin, found.addsEnd) == (true, false))
    #expect(found.addsSpacePrefix == addsSpacePrefix)
    let text = "abab bé  bab"
    #expect(
      try Tokenizer(found, file: "x").encode(text)
        == Tokenizer(document, file: "y").encode(text)
    )
  }

  @Test func whatGGUFCannotSayIsRefused() throws {
    func message(_ document: JSONValue) -> String {
      do {
        _ = try GGUFVocabulary.reading(document, file: "t.json")
        return "no error"
      } catch {
        return "\(error)"
      }
    }
    let (_, document) = try smollm()
    #expect(
      message(document.setting("normalizer", ["type": "Lowercase"]))
        == "t.json, 'normalizer': GGUF has no place for one other than NFC."
    )
    let splitting: JSONValue = [
      "type": "Sequence",
      "pretokenizers": [
        [
          "type": "Split", "pattern": ["Regex": "x"], "behavior": "Isolated", "invert": false,
        ], ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
      ],
    ]
    #expect(
      message(document.setting("pre_tokenizer", splitting))
        == "t.json, 'pre_tokenizer': GGUF has no name for text that is split by 'x'."
    )
    #expect(
      message(document.setting("pre_tokenizer", ["type": "Digits", "individual_digits": true]))
        == "t.json, 'pre_tokenizer': its last step must be ByteLevel for GGUF."
    )
    #expect(
      message(document.setting("model", ["type": "WordPiece", "vocab": [:]]))
        == "t.json, 'model.type': 'WordPiece'; GGUF is written for BPE."
    )
    var model = try #require(document["model"]?.object)
    model["ignore_merges"] = true
    #expect(
      message(document.setting("model", .object(model))).hasSuffix(
        "\\s+', with whole words that are tokens left unmerged."
      )
    )
    let template: JSONValue = [
      "type": "TemplateProcessing", "single": [["Sequence": ["id": "A", "type_id": 0]], [:], [:]],
      "special_tokens": [:],
    ]
    #expect(
      message(document.setting("post_processor", template))
        == "t.json, 'post_processor': GGUF has a place for one token before a text and one behind it."
    )
    let pieces = try sentencePiece().tokenizerDocument(file: "x.gguf")
    model = try #require(pieces["model"]?.object)
    model["merges"] = ["b a", "a b", "▁ a", "b ab"]
    #expect(
      message(pieces.setting("model", .object(model)))
        == "t.json, 'model.merges': 4 of the 5 ways to make a token of two are listed; 'ba b' is one"
        + " that differs. SentencePiece in GGUF merges by all of them."
    )
    model["vocab"] = ["<unk>": 0, "a": 70_000]
    #expect(
      message(pieces.setting("model", .object(model)))
        == "t.json, 'model.vocab': 'a' has no id from 0 to 1033."
    )
  }
}

extension JSONValue {
  /// The object with one member set.
  fileprivate func setting(_ key: String, _ value: JSONValue) -> JSONValue {
    var object = object ?? JSONObject()
    object[key] = value
    return .object(object)
  }
}
