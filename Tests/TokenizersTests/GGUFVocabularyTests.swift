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
        == "x.gguf, 'tokenizer.ggml.model': 'rwkv' is not supported; known here: gpt2, llama."
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
}
