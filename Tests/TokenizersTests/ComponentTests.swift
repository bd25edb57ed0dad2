import KaratBytes
import KaratTokenizers
import Testing

/// Every component against what the `tokenizers` package gives; see `components.json`.
struct ComponentTests {
  private let cases: JSONValue

  init() throws {
    cases = try Fixture.json("tokenizers/components.json")
  }

  @Test func preTokenizersSplitAsTheReference() throws {
    let list = try #require(cases["pre_tokenizers"]?.array)
    #expect(list.count > 30)
    for entry in list {
      let component = try #require(entry["component"])
      let tokenizer = try Tokenizer(document(["pre_tokenizer": component]), file: "x")
      for pair in try #require(entry["cases"]?.array).compactMap(\.array) {
        let text = try #require(pair[0].string)
        let pieces = tokenizer.pieces(of: text).map { Array($0.utf8) }
        #expect(pieces == pair[1].strings.map { Array($0.utf8) }, "\(component): \(text)")
      }
    }
  }

  @Test func normalizersRewriteAsTheReference() throws {
    let list = try #require(cases["normalizers"]?.array)
    #expect(list.count > 12)
    for entry in list {
      let component = try #require(entry["component"])
      let tokenizer = try Tokenizer(document(["normalizer": component]), file: "x")
      for pair in try #require(entry["cases"]?.array).map(\.strings) {
        #expect(haveEqualBytes(tokenizer.normalized(pair[0]), pair[1]), "\(component): \(pair)")
      }
    }
  }

  @Test func decodersJoinAsTheReference() throws {
    let list = try #require(cases["decoders"]?.array)
    #expect(list.count > 12)
    for entry in list {
      let component = try #require(entry["component"])
      for pair in try #require(entry["cases"]?.array).compactMap(\.array) {
        let tokens = pair[0].strings
        var vocabulary = JSONObject()
        for (id, token) in tokens.enumerated() where vocabulary[token] == nil {
          vocabulary[token] = .number(JSONNumber(id))
        }
        let tokenizer = try Tokenizer(
          document(
            ["decoder": component],
            model: [
              "type": "WordLevel", "vocab": .object(vocabulary), "unk_token": .string(tokens[0]),
            ]
          ),
          file: "x"
        )
        let ids = tokens.compactMap { tokenizer.id(for: $0) }
        let text = tokenizer.decode(ids, skipSpecialTokens: false)
        #expect(haveEqualBytes(text, pair[1].string ?? ""), "\(component): \(tokens) \(text)")
      }
    }
  }

  @Test func addedTokensAreFoundAsTheReferenceFindsThem() throws {
    let entry = try #require(cases["added_tokens"])
    let tokenizer = try Tokenizer(try #require(entry["document"]), file: "x")
    for values in try #require(entry["cases"]?.array).compactMap(\.array) {
      let text = try #require(values[0].string)
      #expect(tokenizer.encode(text, addSpecialTokens: false) == values[1].ids, "\(text)")
      #expect(tokenizer.encode(text) == values[2].ids, "\(text)")
    }
  }

  @Test func modelOptionsActAsInTheReference() throws {
    for entry in try #require(cases["models"]?.array) {
      let tokenizer = try Tokenizer(try #require(entry["document"]), file: "x")
      for values in try #require(entry["cases"]?.array).compactMap(\.array) {
        let text = try #require(values[0].string)
        #expect(tokenizer.encode(text) == values[1].ids, "\(text)")
      }
    }
  }
}
