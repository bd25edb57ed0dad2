import Foundation
import KaratBytes
import KaratTokenizers
import Testing

/// Ids that the models' own implementations give.
struct VectorTests {
  @Test(arguments: [
    ("alice", "alice/tokenizer.json", false), ("smollm2", "tokenizers/smollm2.json", false),
    ("minilm_with_special", "tokenizers/minilm.json", true),
  ])
  func encodesAsTheReference(key: String, path: String, addSpecialTokens: Bool) throws {
    let vectors = try Fixture.json("text/tokenizer-vectors.json")
    let tokenizer = try Fixture.tokenizer(path)
    let texts = try #require(vectors["texts"]).strings
    let expected = try #require(vectors[key]?.array)
    #expect(texts.count == 19 && expected.count == texts.count)
    for (text, ids) in zip(texts, expected) {
      #expect(
        tokenizer.encode(text, addSpecialTokens: addSpecialTokens) == ids.ids,
        "\(key): \(text)"
      )
    }
  }

  /// llama.cpp's vectors for a vocabulary that MiniLM shares, in tokenizer.json and as GGUF spells it.
  @Test func wordPieceEncodesAsLlamaCpp() throws {
    let marker = "\n__ggml_vocab_test__\n"
    let texts = try Fixture.text("tokenizers/llama.cpp/bert-bge.inp").components(
      separatedBy: marker
    )
    let lines = try Fixture.text("tokenizers/llama.cpp/bert-bge.out").components(separatedBy: "\n")
    let ids = lines.map { $0.split(separator: " ").compactMap { Int32($0) } }
    let file = try Fixture.json("tokenizers/minilm.json")
    let members = try #require(file["model"]?["vocab"]?.object?.members)
    var vocabulary = GGUFVocabulary(
      model: "bert",
      preTokenizer: "bert-bge",
      tokens: members.sorted { ($0.1.int ?? 0) < ($1.1.int ?? 0) }.map { token, _ in
        if token.hasPrefix("##") { return String(token.dropFirst(2)) }
        return token.hasPrefix("[") && token.hasSuffix("]") ? token : "▁" + token
      }
    )
    vocabulary.unknownID = 100
    vocabulary.classID = 101
    vocabulary.separatorID = 102
    let tokenizers = [
      try Fixture.tokenizer("tokenizers/minilm.json"), try Tokenizer(vocabulary, file: "x.gguf"),
    ]
    #expect(texts.count == 47)
    for tokenizer in tokenizers {
      for (text, ids) in zip(texts.dropLast(), ids) {
        #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "\(text)")
      }
      #expect(tokenizer.encode("hello") == [101, 7592, 102])
    }
  }

  @Test func byteLevelTextsSurvive() throws {
    let tokenizer = try Fixture.tokenizer("tokenizers/smollm2.json")
    var texts = try #require(try Fixture.json("text/tokenizer-vectors.json")["texts"]).strings
    texts.append(try Fixture.text("text/botchan-heldout.txt"))
    for text in texts {
      let ids = tokenizer.encode(text)
      #expect(haveEqualBytes(tokenizer.decode(ids, skipSpecialTokens: false), text))
    }
  }

  @Test func specialTokensAreLeftOutOnDemand() throws {
    let tokenizer = try Fixture.tokenizer("tokenizers/smollm2.json")
    let ids: [Int32] = [1, 4093, 198, 6004, 2]
    #expect(tokenizer.decode(ids, skipSpecialTokens: false) == "<|im_start|>user\nhi<|im_end|>")
    #expect(tokenizer.decode(ids) == "user\nhi")
    #expect(tokenizer.vocabularySize == 49152)
    #expect(tokenizer.token(for: 1) == "<|im_start|>")
    #expect(tokenizer.id(for: "Ġthe") == tokenizer.encode(" the").first)
    #expect(tokenizer.token(for: 49152) == nil && tokenizer.token(for: -1) == nil)
    #expect(tokenizer.decode([-1, 49152, .max, .min]) == "")
    #expect(
      tokenizer.specialTokens.prefix(3).map(\.text) == [
        "<|endoftext|>", "<|im_start|>", "<|im_end|>",
      ]
    )
  }

  @Test func bytesThatAreNoTextAreReplaced() throws {
    let tokenizer = try Fixture.tokenizer("tokenizers/smollm2.json")
    #expect(tokenizer.encode(utf8: [0x61, 0xff, 0x62]) == tokenizer.encode("a\u{fffd}b"))
  }

  @Test func manyThreadsGetTheSame() async throws {
    let tokenizer = try Fixture.tokenizer("tokenizers/smollm2.json")
    let text = try Fixture.text("text/botchan-heldout.txt")
    let expected = tokenizer.encode(text)
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 { group.addTask { tokenizer.encode(text) == expected } }
      for await isEqual in group { #expect(isEqual) }
    }
  }
}
