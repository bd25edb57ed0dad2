public import KaratTokenizers

/// What a conversation with a model needs: its tokenizer, its template, and when to stop.
public struct Chat: Sendable {
  private let tokenizer: Tokenizer
  private let begin: String?
  /// How turns are written.
  public let template: ChatTemplate
  /// The tokens that end an answer.
  public let stopTokens: Set<Int32>

  init(_ loaded: LoadedModel, tokenizer: Tokenizer) throws {
    let (settings, place) = try loaded.companions.tokenizerSettings(of: loaded.path)
    guard let source = try loaded.companions.chatTemplate(settings) else {
      throw TokenizerError(
        file: place,
        place: "chat_template",
        message: "the model has no chat template, so it may know no turns. Leave --chat away, or "
          + "put the template into tokenizer_config.json."
      )
    }
    template = try ChatTemplate(source, file: place)
    self.tokenizer = tokenizer
    begin = settings.tokenText("bos_token")
    let ends = template.endsOfTurn + [settings.tokenText("eos_token")].compactMap { $0 }
    stopTokens = loaded.stopTokens.union(ends.compactMap { tokenizer.id(for: $0) })
  }

  /// The ids of one turn of a user, up to where the answer begins.
  ///
  /// - Parameters:
  ///   - system: what the model is told about its part.
  ///   - user: the message. No text in it becomes a token that steers the model, as long as the
  ///     template's marks are tokens.
  /// - Returns: the ids, the template's start token included.
  public func prompt(system: String? = nil, user: String) -> [Int32] {
    tokenizer.encode(template.prompt(system: system, user: user, begin: begin))
  }
}

extension LoadedModel {
  /// What a conversation with the model needs.
  ///
  /// - Parameter tokenizer: the model's own.
  /// - Returns: how to write prompts, and where to stop.
  /// - Throws: `TokenizerError` where it has no chat template, or one that is not known.
  public func chat(with tokenizer: Tokenizer) throws -> Chat {
    try Chat(self, tokenizer: tokenizer)
  }
}
