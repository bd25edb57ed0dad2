import KaratBytes
import KaratTokenizers
import Testing

struct TokenizerErrorTests {
  private func message(_ document: JSONValue) -> String {
    do {
      _ = try Tokenizer(document, file: "tokenizer.json")
      return "no error"
    } catch {
      return error.description
    }
  }

  private func bpe(_ members: [String: JSONValue]) -> JSONValue {
    var model: JSONObject = ["type": "BPE", "vocab": ["a": 0, "b": 1, "ab": 2], "merges": []]
    for (key, value) in members { model[key] = value }
    return .object(model)
  }

  @Test func contradictoryModelsAreRefused() {
    for (members, expected) in [
      (["vocab": ["a": "0"]], "'model.vocab.a': a string; a whole number is needed."),
      (["vocab": ["a": 1.5]], "'model.vocab.a': a number; a whole number is needed."),
      (["vocab": []], "'model.vocab': an array; an object is needed."),
      (
        ["vocab": ["a": -1]],
        "'model.vocab.a': the id -1; an id from 0 to 16777215 is needed."
      ),
      (
        ["vocab": ["a": 16_777_216]],
        "'model.vocab.a': the id 16777216; an id from 0 to 16777215 is needed."
      ),
      (
        ["vocab": ["a": 0, "b": 0]],
        "'model.vocab.b': the id 0, which 'a' has already; each token needs its own."
      ),
      (
        ["merges": ["a c"]], "'model.merges[0]': 'c', which is not in the vocabulary."
      ),
      (
        ["merges": [["a", "b"], ["b", "a"]]],
        "'model.merges[1]': 'ba', which is not in the vocabulary."
      ),
      (
        ["merges": ["ab"]],
        "'model.merges[0]': 'ab'; two tokens with one space between them are needed."
      ),
      (
        ["merges": [["a"]]],
        "'model.merges[0]': an array; \"left right\" or [\"left\", \"right\"] is needed."
      ),
      (["merges": 3], "'model.merges': a number; an array is needed."),
      (["unk_token": "?"], "'model.unk_token': '?', which is not in the vocabulary."),
      (
        ["type": "Unigram"],
        "'model.type': 'Unigram' is not supported; known here: BPE, WordLevel, WordPiece."
      ),
      (["byte_fallback": "yes"], "'model.byte_fallback': a string; true or false is needed."),
    ] as [([String: JSONValue], String)] {
      #expect(message(document(model: bpe(members))) == "tokenizer.json, " + expected)
    }
    #expect(message([]) == "tokenizer.json: an array; an object is needed.")
    #expect(message([:]) == "tokenizer.json: holds no 'model', which is needed here.")
  }

  @Test func contradictoryPartsAreRefused() {
    for (parts, expected) in [
      (
        ["normalizer": ["type": "Precompiled"]],
        "'normalizer.type': 'Precompiled' is not supported; known here: BertNormalizer, ByteLevel, "
          + "Lowercase, NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence, Strip, StripAccents."
      ),
      (
        ["pre_tokenizer": ["type": "Sequence", "pretokenizers": [["type": "UnicodeScripts"]]]],
        "'pre_tokenizer.pretokenizers[0].type': 'UnicodeScripts' is not supported; known here: "
          + "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, "
          + "Sequence, Split, Whitespace, WhitespaceSplit."
      ),
      (
        ["pre_tokenizer": ["type": "Split", "pattern": ["Regex": "a(b"], "behavior": "Isolated"]],
        "'pre_tokenizer.pattern.Regex': the pattern 'a(b', at character 1: "
          + "the group is not closed."
      ),
      (
        ["pre_tokenizer": ["type": "Split", "pattern": ["String": "a"], "behavior": "Eaten"]],
        "'pre_tokenizer.behavior': 'Eaten' is not supported; known here: Removed, Isolated, "
          + "MergedWithPrevious, MergedWithNext, Contiguous."
      ),
      (
        ["pre_tokenizer": ["type": "Split", "pattern": [:], "behavior": "Isolated"]],
        "'pre_tokenizer.pattern': holds neither 'String' nor 'Regex'; one is needed."
      ),
      (
        ["decoder": ["type": "CTC"]],
        "'decoder.type': 'CTC' is not supported; known here: BPEDecoder, ByteFallback, ByteLevel, "
          + "Fuse, Metaspace, Replace, Sequence, Strip, WordPiece."
      ),
      (
        ["decoder": ["type": "Strip", "content": " ", "start": -1, "stop": 0]],
        "'decoder.start': -1; a number from 0 is needed."
      ),
      (
        ["decoder": ["type": "Strip", "content": "ab", "start": 1, "stop": 0]],
        "'decoder.content': 2 characters; exactly one is needed."
      ),
      (
        ["post_processor": ["type": "BertProcessing", "sep": ["x", 0], "cls": ["y", 9]]],
        "'post_processor': adds the id 9, which no token has; the id of a token is needed."
      ),
      (
        ["post_processor": ["type": "BertProcessing", "sep": ["x"], "cls": ["y", 9]]],
        "'post_processor.sep': not a token and its id, such as [\"[SEP]\", 102]."
      ),
      (
        ["added_tokens": [["id": 5, "content": "x"]]],
        "'added_tokens[0].id': 5 for 'x', which has the id 0 in the vocabulary."
      ),
      (
        ["added_tokens": [["id": 0, "content": "y"]]],
        "'added_tokens[0].id': 0 for 'y'; in the vocabulary 'x' has it."
      ),
      (
        ["added_tokens": [["id": 5, "content": "y"], ["id": 5, "content": "z"]]],
        "'added_tokens[1].id': 5, which 'y' has already; each token needs its own."
      ),
      (
        ["added_tokens": [["id": 5, "content": "y"], ["id": 6, "content": "y"]]],
        "'added_tokens[1].content': 'y', which is there twice."
      ),
      (
        ["added_tokens": [["id": -5, "content": "y"]]],
        "'added_tokens[0].id': -5; an id from 0 to 16777215 is needed."
      ),
    ] as [([String: JSONValue], String)] {
      #expect(message(document(parts)) == "tokenizer.json, " + expected)
    }
  }

  @Test func whatIsNoJSONIsRefused() throws {
    let bytes = try Fixture.bytes("alice/tokenizer.json")
    for count in [0, 1, 100, bytes.count / 2, bytes.count - 2] {
      #expect(throws: TokenizerError.self) {
        try Tokenizer(json: Array(bytes.prefix(count)), file: "tokenizer.json")
      }
    }
    let deep = Array(String(repeating: "{\"a\":", count: 100_000).utf8)
    #expect(throws: TokenizerError.self) { try Tokenizer(json: deep, file: "tokenizer.json") }
  }

  @Test func canonicallyEqualTokensAreTwo() throws {
    let tokenizer = try Tokenizer(
      document(model: ["type": "BPE", "vocab": ["\u{e9}": 0, "e": 1, "\u{301}": 2], "merges": []]),
      file: "tokenizer.json"
    )
    #expect(tokenizer.encode("\u{e9}") == [0])
    #expect(tokenizer.encode("e\u{301}") == [1, 2])
  }
}
