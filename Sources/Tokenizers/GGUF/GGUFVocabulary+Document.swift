public import KaratBytes

extension GGUFVocabulary {
  /// Writes the vocabulary as a `tokenizer.json` that gives the same ids.
  ///
  /// - Parameter file: the GGUF file's name for errors.
  /// - Returns: the document, which other programs load too.
  /// - Throws: `TokenizerError` where the metadata contradict each other or name what is not
  ///   supported.
  public func tokenizerDocument(file: String) throws(TokenizerError) -> JSONValue {
    try check(file)
    return switch model {
    case "gpt2": try byteLevelDocument(file)
    case "llama": sentencePieceDocument()
    case "bert": try wordPieceDocument(file)
    default:
      throw error(
        file,
        "tokenizer.ggml.model",
        "'\(model)' is not supported; known here: bert, gpt2, llama."
      )
    }
  }

  /// Writes what goes into a `tokenizer_config.json`: special tokens and the chat template.
  public func tokenizerConfiguration() -> JSONValue {
    var members: JSONObject = ["tokenizer_class": "PreTrainedTokenizerFast"]
    for (key, id) in [
      ("bos_token", beginID), ("eos_token", endID), ("unk_token", unknownID),
      ("pad_token", paddingID),
    ] {
      if let id, tokens.indices.contains(id) { members[key] = .string(tokens[id]) }
    }
    members["clean_up_tokenization_spaces"] = false
    if let chatTemplate { members["chat_template"] = .string(chatTemplate) }
    return .object(members)
  }

  func error(_ file: String, _ key: String, _ message: String) -> TokenizerError {
    TokenizerError(file: file, place: key, message: message)
  }

  private func check(_ file: String) throws(TokenizerError) {
    for (key, count) in [
      ("tokenizer.ggml.token_type", tokenTypes.count), ("tokenizer.ggml.scores", scores.count),
    ] where count > 0 && count != tokens.count {
      throw error(
        file,
        key,
        "\(count) entries; one for each of the \(tokens.count) tokens is needed."
      )
    }
    var texts = ByteTable(capacity: tokens.count)
    for (id, token) in tokens.enumerated() {
      let (earlier, isNew) = texts.insert(token.utf8)
      guard isNew else {
        throw error(
          file,
          "tokenizer.ggml.tokens[\(id)]",
          "'\(token)', which token \(earlier) is already; each token needs its own text."
        )
      }
    }
    for (key, id) in [
      ("tokenizer.ggml.bos_token_id", beginID), ("tokenizer.ggml.eos_token_id", endID),
      ("tokenizer.ggml.unknown_token_id", unknownID),
      ("tokenizer.ggml.padding_token_id", paddingID),
      ("tokenizer.ggml.cls_token_id", classID),
      ("tokenizer.ggml.seperator_token_id", separatorID),
    ] {
      if let id, !tokens.indices.contains(id) {
        throw error(file, key, "the id \(id); one of the \(tokens.count) tokens' is needed.")
      }
    }
  }

  private func byteLevelDocument(_ file: String) throws(TokenizerError) -> JSONValue {
    guard let name = preTokenizer else {
      throw error(
        file,
        "tokenizer.ggml.pre",
        "it is not there, and without it nothing tells how text is split. Convert the model anew, or "
          + "put its tokenizer.json to use instead."
      )
    }
    guard let preTokenizer = GGUFPreTokenizer.named(name) else {
      throw error(
        file,
        "tokenizer.ggml.pre",
        "'\(name)' is not supported; known here: "
          + GGUFPreTokenizer.names.joined(separator: ", ") + "."
      )
    }
    let splits = preTokenizer.patterns.map { pattern in
      [
        "type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated",
        "invert": false,
      ] as JSONValue
    }
    let byteLevel: JSONValue = [
      "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
    ]
    return document(
      normalizer: .null,
      preTokenizer: ["type": "Sequence", "pretokenizers": .array(splits + [byteLevel])],
      begin: addsBegin ?? preTokenizer.addsBegin ? beginID : nil,
      end: addsEnd == true ? endID : nil,
      decoder: byteLevel,
      model: [
        "type": "BPE", "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null,
        "end_of_word_suffix": .null, "fuse_unk": false, "byte_fallback": false,
        "ignore_merges": .bool(preTokenizer.ignoresMerges), "vocab": vocabulary,
        "merges": .array(merges.map(JSONValue.string)),
      ]
    )
  }

  /// SentencePiece merges the pair whose token has the highest score: the same as merges ranked
  /// by the score of what they make.
  private func sentencePieceDocument() -> JSONValue {
    let addsSpace = addsSpacePrefix ?? true
    let replacing: JSONValue = [
      "type": "Replace", "pattern": ["String": " "], "content": "▁",
    ]
    let prepending: JSONValue = ["type": "Prepend", "prepend": "▁"]
    let decoders: [JSONValue] = [
      ["type": "Replace", "pattern": ["String": "▁"], "content": " "],
      ["type": "ByteFallback"], ["type": "Fuse"],
    ]
    let stripping: JSONValue = ["type": "Strip", "content": " ", "start": 1, "stop": 0]
    return document(
      normalizer: [
        "type": "Sequence",
        "normalizers": .array(addsSpace ? [prepending, replacing] : [replacing]),
      ],
      preTokenizer: .null,
      begin: addsBegin ?? true ? beginID : nil,
      end: addsEnd == true ? endID : nil,
      decoder: [
        "type": "Sequence", "decoders": .array(addsSpace ? decoders + [stripping] : decoders),
      ],
      model: [
        "type": "BPE", "dropout": .null,
        "unk_token": unknownID.map { .string(tokens[$0]) } ?? .null,
        "continuing_subword_prefix": .null, "end_of_word_suffix": .null, "fuse_unk": true,
        "byte_fallback": true, "ignore_merges": false, "vocab": vocabulary,
        "merges": .array(mergesByScore().map(JSONValue.string)),
      ]
    )
  }

  func document(
    normalizer: JSONValue,
    preTokenizer: JSONValue,
    begin: Int?,
    end: Int?,
    decoder: JSONValue,
    model: JSONValue
  ) -> JSONValue {
    [
      "version": "1.0", "truncation": .null, "padding": .null, "added_tokens": addedTokens,
      "normalizer": normalizer, "pre_tokenizer": preTokenizer,
      "post_processor": begin == nil && end == nil ? .null : template(begin: begin, end: end),
      "decoder": decoder, "model": model,
    ]
  }

  private func template(begin: Int?, end: Int?) -> JSONValue {
    func part(_ id: Int, _ type: Int) -> JSONValue {
      ["SpecialToken": ["id": .string(tokens[id]), "type_id": .number(JSONNumber(type))]]
    }
    func text(_ name: String, _ type: Int) -> JSONValue {
      let around = [begin.map { part($0, type) }], behind = [end.map { part($0, type) }]
      let sequence: JSONValue = [
        "Sequence": ["id": .string(name), "type_id": .number(JSONNumber(type))]
      ]
      return .array(around.compactMap { $0 } + [sequence] + behind.compactMap { $0 })
    }
    var special = JSONObject()
    for id in [begin, end].compactMap({ $0 }) {
      special[tokens[id]] = [
        "id": .string(tokens[id]), "ids": [.number(JSONNumber(id))],
        "tokens": [.string(tokens[id])],
      ]
    }
    return [
      "type": "TemplateProcessing", "single": text("A", 0),
      "pair": .array((text("A", 0).array ?? []) + (text("B", 1).array ?? [])),
      "special_tokens": .object(special),
    ]
  }

  private var addedTokens: JSONValue {
    .array(
      tokens.indices.compactMap { id -> JSONValue? in
        let type = type(of: id)
        guard type == .control || type == .unknown || type == .userDefined else { return nil }
        return [
          "id": .number(JSONNumber(id)), "content": .string(tokens[id]), "single_word": false,
          "lstrip": false, "rstrip": false, "normalized": false,
          "special": .bool(type != .userDefined),
        ]
      }
    )
  }

  private var vocabulary: JSONValue {
    var members = JSONObject()
    for (id, token) in tokens.enumerated() { members[token] = .number(JSONNumber(id)) }
    return .object(members)
  }

  /// Every way to make a token of two, the tokens of higher scores first.
  func mergesByScore() -> [String] {
    let longest = 256
    var table = ByteTable(capacity: tokens.count)
    for token in tokens { _ = table.insert(token.utf8) }
    let made = tokens.indices.filter { id in
      type(of: id) == .normal && tokens[id].utf8.count <= longest
        && !tokens[id].utf8.contains(UInt8(ascii: " "))
    }
    let score = { (id: Int) -> Float in scores.isEmpty ? -Float(id) : scores[id] }
    let ordered = made.sorted { (score($1), $0) < (score($0), $1) }
    return ordered.flatMap { id -> [String] in
      let token = Array(tokens[id].utf8)
      return token.indices.dropFirst().compactMap { cut -> String? in
        guard token[cut] & 0xc0 != 0x80, table.index(of: Array(token[..<cut])) != nil,
          table.index(of: Array(token[cut...])) != nil
        else { return nil }
        return String(decoding: token[..<cut], as: UTF8.self) + " "
          + String(decoding: token[cut...], as: UTF8.self)
      }
    }
  }
}

extension Tokenizer {
  /// Makes the tokenizer that a GGUF file's metadata describe.
  ///
  /// - Parameters:
  ///   - vocabulary: the metadata.
  ///   - file: the file's name for errors.
  /// - Throws: `TokenizerError` where the metadata contradict each other or name what is not
  ///   supported.
  public init(_ vocabulary: GGUFVocabulary, file: String) throws(TokenizerError) {
    let document = try vocabulary.tokenizerDocument(file: file)
    do {
      try self.init(document, file: file)
    } catch {
      throw TokenizerError(
        file: file,
        place: GGUFVocabulary.key(of: error.place),
        message: error.message
      )
    }
  }
}

extension GGUFVocabulary {
  /// The metadata key from which a place of the document comes.
  fileprivate static func key(of place: String) -> String {
    for (member, key) in [("model.vocab", "tokens"), ("model.merges", "merges")]
    where place.hasPrefix(member) {
      return "tokenizer.ggml." + key + place.dropFirst(member.count)
    }
    return place.isEmpty ? "tokenizer.ggml" : place
  }
}
