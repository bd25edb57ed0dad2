public import KaratBytes

extension GGUFVocabulary {
  /// Reads a `tokenizer.json` as a vocabulary that gives the same ids in llama.cpp and its like.
  ///
  /// Two kinds can be said in GGUF: byte-level BPE behind one of the known ways to split text, and
  /// SentencePiece's BPE with a token for each byte.
  ///
  /// - Parameters:
  ///   - document: the root of the file.
  ///   - file: its name for errors.
  /// - Returns: the vocabulary without what `tokenizer.json` does not hold, such as a chat template;
  ///   and what GGUF does not keep of the file, a sentence each.
  /// - Throws: `TokenizerError` where GGUF cannot say the tokenizer.
  public static func reading(
    _ document: JSONValue,
    file: String
  ) throws(TokenizerError) -> (vocabulary: GGUFVocabulary, losses: [String]) {
    let root = try Fields(document, path: "", file: file)
    let model = try root.fields("model")
    guard try model.string("type") == "BPE" else {
      throw model.error(at: "type", "'\(try model.string("type"))'; GGUF is written for BPE.")
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix", "dropout"] {
      guard let value = model.optional(key), value != "", value != 0, value != 0.0 else { continue }
      throw model.error(at: key, "it is set; GGUF has no place for it.")
    }
    var losses: [String] = []
    let added = try addedTokens(root, &losses)
    var vocabulary: GGUFVocabulary
    if try model.bool("byte_fallback", default: false) {
      vocabulary = try sentencePiece(root, model)
    } else {
      vocabulary = try byteLevel(root, model, &losses)
    }
    try vocabulary.setTokens(model, added)
    try vocabulary.setEnds(root)
    if vocabulary.model == "llama" { try vocabulary.setScores(model) }
    return (vocabulary, losses)
  }

  /// A token of the list `added_tokens`.
  private struct Added {
    let id: Int
    let content: String
    let isSpecial: Bool
  }

  private static func addedTokens(
    _ root: Fields,
    _ losses: inout [String]
  ) throws(TokenizerError) -> [Added] {
    guard root.optional("added_tokens") != nil else { return [] }
    var tokens: [Added] = []
    var bounded: [String] = []
    for fields in try root.list("added_tokens") {
      let content = try fields.string("content")
      guard let id = fields.optional("id")?.int, id >= 0 else {
        throw fields.error(at: "id", "a whole number from 0 on is needed.")
      }
      for flag in ["single_word", "lstrip", "rstrip"]
      where try fields.bool(flag, default: false) && bounded.last != content {
        bounded.append(content)
      }
      tokens.append(
        Added(id: id, content: content, isSpecial: try fields.bool("special", default: false))
      )
    }
    if !bounded.isEmpty {
      losses.append(
        "The tokens \(bounded.prefix(5).map { "'\($0)'" }.joined(separator: ", "))"
          + "\(bounded.count > 5 ? " and others" : "") take or want spaces beside them; GGUF does"
          + " not keep that."
      )
    }
    return tokens
  }
}

extension GGUFVocabulary {
  private static func byteLevel(
    _ root: Fields,
    _ model: Fields,
    _ losses: inout [String]
  ) throws(TokenizerError) -> GGUFVocabulary {
    if let normalizer = root.optional("normalizer") {
      guard normalizer == ["type": "NFC"] else {
        throw root.error(at: "normalizer", "GGUF has no place for one other than NFC.")
      }
      losses.append(
        "The tokenizer brings text into Unicode's normal form NFC first; what reads GGUF does not."
      )
    }
    let pieces = try root.fields("pre_tokenizer")
    let patterns = try splitPatterns(pieces)
    let last = pieces.object["pretokenizers"]?.array?.last ?? .object(pieces.object)
    guard last["type"] == "ByteLevel" else {
      throw root.error(at: "pre_tokenizer", "its last step must be ByteLevel for GGUF.")
    }
    let ignoresMerges = try model.bool("ignore_merges", default: false)
    guard
      let name = GGUFPreTokenizer.name(splitting: patterns, ignoringMerges: ignoresMerges)
    else {
      throw root.error(
        at: "pre_tokenizer",
        "GGUF has no name for text that is split by "
          + patterns.map { "'\($0)'" }.joined(separator: ", then ")
          + (ignoresMerges ? ", with whole words that are tokens left unmerged." : ".")
      )
    }
    var vocabulary = GGUFVocabulary(model: "gpt2", preTokenizer: name, tokens: [])
    vocabulary.merges = try merges(model).map { $0 + " " + $1 }
    return vocabulary
  }

  /// The expressions by which text is split before its bytes are looked at.
  private static func splitPatterns(_ fields: Fields) throws(TokenizerError) -> [String] {
    switch try fields.string("type") {
    case "Sequence":
      var patterns: [String] = []
      for part in try fields.list("pretokenizers") { patterns += try splitPatterns(part) }
      return patterns
    case "Split":
      guard let pattern = try fields.fields("pattern").optionalString("Regex"),
        try fields.string("behavior") == "Isolated", try !fields.bool("invert", default: false)
      else { throw fields.error("GGUF splits by expressions, and keeps what they match apart.") }
      return [pattern]
    case "Digits":
      return try fields.bool("individual_digits", default: false) ? [#"\p{N}"#] : [#"\p{N}+"#]
    case "ByteLevel":
      guard try !fields.bool("add_prefix_space", default: true) else {
        throw fields.error(at: "add_prefix_space", "GGUF has no place for it.")
      }
      return try fields.bool("use_regex", default: true) ? [GGUFPreTokenizer.gpt2] : []
    case let type:
      throw fields.error(at: "type", "'\(type)', for which GGUF has no name.")
    }
  }

  private static func sentencePiece(
    _ root: Fields,
    _ model: Fields
  ) throws(TokenizerError) -> GGUFVocabulary {
    let replacing: JSONValue = ["type": "Replace", "pattern": ["String": " "], "content": "▁"]
    let prepending: JSONValue = ["type": "Prepend", "prepend": "▁"]
    var vocabulary = GGUFVocabulary(model: "llama", preTokenizer: "default", tokens: [])
    let normalizer = root.optional("normalizer")
    let steps = normalizer?["normalizers"]?.array ?? normalizer.map { [$0] } ?? []
    if let pieces = root.optional("pre_tokenizer") {
      guard steps.isEmpty, pieces["type"] == "Metaspace", pieces["replacement"] == "▁",
        pieces["split"] == false
      else {
        throw root.error(
          at: "pre_tokenizer",
          "beside byte_fallback, GGUF has a place for Metaspace that does not split, alone."
        )
      }
      vocabulary.addsSpacePrefix = pieces["prepend_scheme"]?.string != "never"
    } else if steps == [prepending, replacing] {
      vocabulary.addsSpacePrefix = true
    } else if steps == [replacing] {
      vocabulary.addsSpacePrefix = false
    } else {
      throw root.error(
        at: "normalizer",
        "beside byte_fallback, GGUF has a place for '▁' in the place of spaces and before the text."
      )
    }
    return vocabulary
  }

  private static func merges(
    _ model: Fields
  ) throws(TokenizerError) -> [(left: String, right: String)] {
    var merges: [(left: String, right: String)] = []
    let space = UInt8(ascii: " ")
    for (index, merge) in try model.array("merges").enumerated() {
      // By bytes: a space and a combining mark behind it are one character.
      let parts =
        merge.array?.compactMap(\.string)
        ?? merge.string.map { text in
          text.utf8.split(separator: space, omittingEmptySubsequences: false).map {
            String($0) ?? ""
          }
        }
      guard let parts, parts.count == 2, !parts.contains(where: { $0.utf8.contains(space) }) else {
        throw model.error(at: "merges[\(index)]", "two tokens without spaces are needed.")
      }
      merges.append((parts[0], parts[1]))
    }
    return merges
  }
}

extension GGUFVocabulary {
  /// Puts the tokens in the order of their ids; an id that none has becomes an unused one.
  private mutating func setTokens(_ model: Fields, _ added: [Added]) throws(TokenizerError) {
    guard let entries = model.optional("vocab")?.object?.members else {
      throw model.error(at: "vocab", "an object is needed.")
    }
    // Ids that are far apart would ask for any amount of memory.
    let limit = 2 * (entries.count + added.count) + 1024
    var texts: [String?] = .init(repeating: nil, count: entries.count)
    func set(_ id: Int?, _ text: String, _ place: String) throws(TokenizerError) {
      guard let id, 0..<limit ~= id else {
        throw model.error(at: place, "'\(text)' has no id from 0 to \(limit - 1).")
      }
      while texts.count <= id { texts.append(nil) }
      guard texts[id].map({ UTF8Key($0) == UTF8Key(text) }) ?? true else {
        throw model.error(at: place, "'\(text)' has the id \(id), which another token has too.")
      }
      texts[id] = text
    }
    for (text, id) in entries { try set(id.int, text, "vocab") }
    for token in added { try set(token.id, token.content, "added_tokens") }
    while texts.last == .some(nil) { texts.removeLast() }
    tokens = texts.enumerated().map { id, text in text ?? "[PAD\(id)]" }
    var table = ByteTable(capacity: tokens.count)
    for (id, token) in tokens.enumerated() where !table.insert(token.utf8).isNew {
      throw model.error(at: "vocab", "'\(token)' has the id \(id) and another one.")
    }
    tokenTypes = texts.map { ($0 == nil ? TokenType.unused : .normal).rawValue }
    for token in added {
      tokenTypes[token.id] = (token.isSpecial ? TokenType.control : .userDefined).rawValue
    }
    let unknown = try model.optionalString("unk_token").map { UTF8Key($0) }
    unknownID = unknown.flatMap { key in tokens.firstIndex { UTF8Key($0) == key } }
    guard self.model == "llama" else { return }
    if let unknownID { tokenTypes[unknownID] = TokenType.unknown.rawValue }
    var bytes = 0
    for (id, token) in tokens.enumerated() where Self.isByte(token) {
      tokenTypes[id] = TokenType.byte.rawValue
      bytes += 1
    }
    guard bytes == 256 else {
      throw model.error(
        at: "vocab",
        "it has \(bytes) of the tokens <0x00> to <0xFF>; all are needed."
      )
    }
  }

  /// Whether a token stands for one byte, as `<0x0A>`.
  private static func isByte(_ token: String) -> Bool {
    let bytes = Array(token.utf8)
    return bytes.count == 6 && token.hasPrefix("<0x") && token.hasSuffix(">")
      && bytes[3..<5].allSatisfy { (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }
  }

  /// Reads which tokens are put before and behind a text.
  private mutating func setEnds(_ root: Fields) throws(TokenizerError) {
    addsBegin = false
    addsEnd = false
    guard let processor = root.optional("post_processor") else { return }
    let steps = processor["processors"]?.array ?? [processor]
    let templates = steps.filter { $0["type"] != "ByteLevel" }
    guard let template = templates.first else { return }
    func unsupported() -> TokenizerError {
      root.error(
        at: "post_processor",
        "GGUF has a place for one token before a text and one behind it."
      )
    }
    guard templates.count == 1, template["type"] == "TemplateProcessing",
      let parts = template["single"]?.array,
      let text = parts.firstIndex(where: { $0["Sequence"] != nil }), text <= 1,
      parts.count - text <= 2
    else { throw unsupported() }
    func id(_ part: JSONValue) throws(TokenizerError) -> Int {
      guard let name = part["SpecialToken"]?["id"]?.string,
        let ids = template["special_tokens"]?[name]?["ids"]?.array, ids.count == 1,
        let id = ids[0].int, tokens.indices.contains(id)
      else { throw unsupported() }
      return id
    }
    if text == 1 {
      beginID = try id(parts[0])
      addsBegin = true
    }
    if parts.count - text == 2 {
      endID = try id(parts[text + 1])
      addsEnd = true
    }
  }

  /// Scores tokens by the order in which merges make them, and checks that merging by score does the
  /// same: SentencePiece joins any two neighbours that make a token.
  private mutating func setScores(_ model: Fields) throws(TokenizerError) {
    let merges = try Self.merges(model)
    var places = ByteTable(capacity: tokens.count)
    for token in tokens { _ = places.insert(token.utf8) }
    var ranks: [Int?] = .init(repeating: nil, count: tokens.count)
    var last: Int?
    var rank = 0
    for (index, merge) in merges.enumerated() {
      let made = merge.left + merge.right
      guard let id = places.index(of: Array(made.utf8)) else {
        throw model.error(
          at: "merges[\(index)]",
          "it makes '\(made)', which is not in the vocabulary."
        )
      }
      guard id != last else { continue }
      guard ranks[id] == nil else {
        throw model.error(
          at: "merges[\(index)]",
          "it makes '\(made)', which others in between do not; GGUF gives each token one score."
        )
      }
      ranks[id] = rank
      rank += 1
      last = id
    }
    scores = ranks.map { -Float($0 ?? rank) }
    let all = Set(mergesByScore().map { UTF8Key($0) })
    let listed = Set(merges.map { UTF8Key($0 + " " + $1) })
    guard all == listed else {
      let example = all.symmetricDifference(listed).map(\.text).min() ?? ""
      throw model.error(
        at: "merges",
        "\(listed.count) of the \(all.count) ways to make a token of two are listed; '\(example)' is"
          + " one that differs. SentencePiece in GGUF merges by all of them."
      )
    }
  }
}
