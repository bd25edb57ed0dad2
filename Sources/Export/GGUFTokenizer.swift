import KaratBytes
import KaratCheckpoints
import KaratModels
import KaratTensors
import KaratTokenizers

/// A model's tokenizer as GGUF's metadata, and what is lost on the way.
struct GGUFTokenizer {
  let metadata: [(key: String, value: GGUFValue)]
  let notes: [String]

  /// - Throws: `TokenizerError` or `CheckpointError` where a file breaks a rule; where GGUF cannot
  ///   say the tokenizer, as the rule wants.
  init(
    _ companions: Companions,
    config: JSONObject,
    tokenCount: Int,
    rule: GGUFExport.TokenizerRule,
    path: String
  ) throws {
    guard companions.tokenizerMetadata.isEmpty else {
      metadata = companions.tokenizerMetadata
      notes = []
      return
    }
    // What the format's readers take for a model that is only fed with ids.
    let none: [(key: String, value: GGUFValue)] = [("tokenizer.ggml.model", .string("none"))]
    do {
      guard let (found, losses) = try Self.vocabulary(companions, config) else {
        metadata = none
        notes = ["There is no tokenizer.json, so the file holds no tokenizer."]
        return
      }
      var vocabulary = found
      try vocabulary.fill(to: tokenCount, path: path)
      metadata = vocabulary.metadata
      notes = losses
    } catch let error as TokenizerError where rule == .ifPossible {
      metadata = none
      notes = ["The file holds no tokenizer, since GGUF cannot say this one: \(error)"]
    }
  }

  private static func vocabulary(
    _ companions: Companions,
    _ config: JSONObject
  ) throws -> (GGUFVocabulary, [String])? {
    guard let file = companions.file("tokenizer.json") else { return nil }
    func object(_ file: Companions.File) throws(CheckpointError) -> JSONObject {
      try ModelFiles.object(try file.content(), in: file.place)
    }
    var (vocabulary, losses) = try GGUFVocabulary.reading(
      .object(try object(file)),
      file: file.place
    )
    let settings = try companions.file("tokenizer_config.json").map(object)
    let texts = SpecialTexts(vocabulary, settings ?? JSONObject(), config)
    vocabulary.beginID = vocabulary.beginID ?? texts.id(of: "bos")
    vocabulary.endID = vocabulary.endID ?? texts.id(of: "eos")
    // Where only tokenizer_config.json says that they are added.
    if settings?["add_bos_token"] == true, vocabulary.beginID != nil { vocabulary.addsBegin = true }
    if settings?["add_eos_token"] == true, vocabulary.endID != nil { vocabulary.addsEnd = true }
    vocabulary.paddingID = texts.id(of: "pad")
    vocabulary.unknownID = vocabulary.unknownID ?? texts.id(of: "unk")
    vocabulary.chatTemplate = try companions.chatTemplate(settings ?? [:])
    if settings?["chat_template"]?.array?.count ?? 1 > 1 {
      losses.append("Of several chat templates, the file holds the one named default.")
    }
    return (vocabulary, losses)
  }
}

/// Which tokens have a part to play: tokenizer_config.json says their texts, config.json their ids.
private struct SpecialTexts {
  private let vocabulary: GGUFVocabulary
  private let settings: JSONObject
  private let config: JSONObject

  init(_ vocabulary: GGUFVocabulary, _ settings: JSONObject, _ config: JSONObject) {
    self.vocabulary = vocabulary
    self.settings = settings
    self.config = config
  }

  func id(of part: String) -> Int? {
    let setting = settings["\(part)_token"]
    if let text = setting?.string ?? setting?["content"]?.string {
      let key = UTF8Key(text)
      return vocabulary.tokens.firstIndex { UTF8Key($0) == key }
    }
    let value = config["\(part)_token_id"]
    let id = value?.int ?? value?.array?.first?.int
    return id.flatMap { vocabulary.tokens.indices.contains($0) ? $0 : nil }
  }
}

extension GGUFVocabulary {
  /// Adds unused tokens, so that every row of the embedding has one.
  fileprivate mutating func fill(to count: Int, path: String) throws(CheckpointError) {
    guard tokens.count <= count else {
      throw CheckpointError(
        .malformed,
        file: path,
        "the tokenizer has \(tokens.count) tokens; 'vocab_size' in config.json says \(count), and GGUF"
          + " needs as many rows as tokens."
      )
    }
    let missing = tokens.count..<count
    guard !missing.isEmpty else { return }
    if tokenTypes.isEmpty {
      tokenTypes = .init(repeating: TokenType.normal.rawValue, count: tokens.count)
    }
    if !scores.isEmpty {
      let least = scores.min() ?? 0
      scores += .init(repeating: least, count: missing.count)
    }
    tokens += missing.map { "[PAD\($0)]" }
    tokenTypes += .init(repeating: TokenType.unused.rawValue, count: missing.count)
  }
}
