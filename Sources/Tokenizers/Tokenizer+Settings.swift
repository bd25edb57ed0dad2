public import KaratBytes

extension Tokenizer {
  /// Adds what only a `tokenizer_config.json` says: the tokens around a text, by `add_bos_token` and
  /// `add_eos_token`.
  ///
  /// A token that `tokenizer.json` adds already is not added again, and none is taken away: there
  /// `tokenizer.json` has the last word.
  ///
  /// - Parameters:
  ///   - settings: the root of the file.
  ///   - file: its name for errors.
  /// - Returns: the tokenizer that adds them.
  /// - Throws: `TokenizerError` where the token to add is in no vocabulary.
  public func adding(
    _ settings: JSONObject,
    file: String
  ) throws(TokenizerError) -> Tokenizer {
    var tokenizer = self
    func added(_ name: String) throws(TokenizerError) -> Int32? {
      guard settings["add_\(name)"]?.bool == true, let text = settings.tokenText(name) else {
        return nil
      }
      guard let id = id(for: text) else {
        throw TokenizerError(
          file: file,
          place: name,
          message: "'\(text)' is to be added to texts, but no token has this text."
        )
      }
      return id
    }
    if let begin = try added("bos_token"), postProcessor.prefix.first != begin {
      tokenizer.postProcessor.prefix.insert(begin, at: 0)
    }
    if let end = try added("eos_token"), postProcessor.suffix.last != end {
      tokenizer.postProcessor.suffix.append(end)
    }
    return tokenizer
  }
}

extension JSONObject {
  /// The text of a token that a `tokenizer_config.json` names, as text or as an object with its
  /// `content`.
  package func tokenText(_ name: String) -> String? {
    self[name]?.string ?? self[name]?["content"]?.string
  }
}
