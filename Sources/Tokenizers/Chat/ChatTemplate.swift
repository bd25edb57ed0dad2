/// How a model wants a conversation to be written: one of the common ways, recognized in the
/// `chat_template` that came with it.
///
/// Templates are programs in the language Jinja. They are not run: the marks in a template tell
/// which way it is, and its literals tell the details that vary within that way.
public struct ChatTemplate: Sendable {
  /// The ways that are known.
  public enum Style: String, Sendable, CaseIterable {
    /// `<|im_start|>user`, as Qwen and many others write.
    case chatML = "ChatML"
    /// `<|start_header_id|>user<|end_header_id|>`.
    case llama3 = "Llama 3"
    /// `<｜User｜>`, or `User:` before DeepSeek-V2.5.
    case deepSeek = "DeepSeek"
    /// `[INST]`, with spaces around the text or without.
    case mistral = "Mistral"
  }

  /// The way it is written.
  public let style: Style
  let source: TemplateSource

  /// Recognizes a template.
  ///
  /// - Parameters:
  ///   - template: the Jinja text.
  ///   - file: where it is from, for errors.
  /// - Throws: `TokenizerError` with the known ways where it is none of them.
  public init(_ template: String, file: String) throws(TokenizerError) {
    source = TemplateSource(template)
    guard let style = Style.allCases.first(where: { [source] in $0.isWritten(in: source) }) else {
      let known = Style.allCases.map(\.rawValue).joined(separator: ", ")
      throw TokenizerError(
        file: file,
        place: "chat_template",
        message: "the template, which begins '\(template.prefix(40))', is not supported; known"
          + " here: \(known). Write the marks of a turn into the prompt yourself."
      )
    }
    self.style = style
  }

  /// Writes one turn of a user, up to where the model's answer begins.
  ///
  /// - Parameters:
  ///   - system: what the model is told about its part; nil for what the template itself says, where
  ///     it does.
  ///   - user: the user's message.
  ///   - begin: the text of the start token, for templates that put it.
  /// - Returns: the turn, the marks of the template apart from the texts.
  public func prompt(system: String?, user: String, begin: String?) -> Prompt {
    var prompt = Prompt()
    if let begin, source.contains("bos_token") || source.contains(begin) {
      prompt.append(markup: begin)
    }
    switch style {
    case .chatML: writeChatML(system, user, to: &prompt)
    case .llama3: writeLlama3(system, user, to: &prompt)
    case .deepSeek: writeDeepSeek(system, user, to: &prompt)
    case .mistral: writeMistral(system, user, to: &prompt)
    }
    return prompt
  }

  /// The texts of tokens that end an answer, beside the model's own end token.
  public var endsOfTurn: [String] {
    switch style {
    case .chatML: ["<|im_end|>"]
    case .llama3: ["<|eot_id|>", "<|eom_id|>"]
    case .deepSeek, .mistral: []
    }
  }
}

extension ChatTemplate.Style {
  /// Whether a template has this style's marks, and none of a relative's that it is not.
  fileprivate func isWritten(in source: TemplateSource) -> Bool {
    switch self {
    case .chatML:
      source.contains("<|im_start|>") && source.contains("<|im_end|>")
        && !source.contains("<|im_sep|>")
    case .llama3:
      source.contains("<|start_header_id|>") && source.contains("<|end_header_id|>")
        && source.contains("<|eot_id|>")
    case .deepSeek:
      source.contains("<｜User｜>") && source.contains("<｜Assistant｜>")
        || source.hasLiteral("User: ") && source.hasLiteral("Assistant:")
    case .mistral:
      source.contains("[INST]") && source.contains("[/INST]") && !source.contains("<<SYS>>")
    }
  }
}
