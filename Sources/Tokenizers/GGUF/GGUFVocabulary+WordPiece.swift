import KaratBytes

extension GGUFVocabulary {
  /// BERT's tokenizer.
  ///
  /// GGUF spells tokens as SentencePiece does: `▁` begins a word, and what goes on
  /// within one has no mark; `tokenizer.json` marks those instead, with `##`.
  func wordPieceDocument(_ file: String) throws(TokenizerError) -> JSONValue {
    var members = JSONObject()
    for (id, token) in tokens.enumerated() {
      let spelled = wordPiece(token)
      guard members[spelled] == nil else {
        throw error(
          file,
          "tokenizer.ggml.tokens[\(id)]",
          "'\(token)', which would be spelled '\(spelled)', as another one is."
        )
      }
      members[spelled] = .number(JSONNumber(id))
    }
    guard let unknownID else {
      throw error(
        file,
        "tokenizer.ggml.unknown_token_id",
        "it is not there; WordPiece needs a token for words that it cannot spell."
      )
    }
    let lowercases = lowercases ?? true
    return document(
      normalizer: [
        "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
        "strip_accents": .bool(stripsAccents ?? lowercases), "lowercase": .bool(lowercases),
      ],
      preTokenizer: ["type": "BertPreTokenizer"],
      begin: addsBegin ?? true ? classID ?? beginID : nil,
      end: addsEnd ?? true ? separatorID ?? endID : nil,
      decoder: ["type": "WordPiece", "prefix": "##", "cleanup": true],
      model: [
        "type": "WordPiece", "unk_token": .string(wordPiece(tokens[unknownID])),
        "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": .object(members),
      ]
    )
  }

  private func wordPiece(_ token: String) -> String {
    if token.hasPrefix("▁") { return String(token.unicodeScalars.dropFirst()) }
    return token.hasPrefix("[") && token.hasSuffix("]") ? token : "##" + token
  }
}
