extension Tokenizer {
  /// Encodes a text with the special tokens around it, and leaves out what is beyond a limit.
  ///
  /// - Parameters:
  ///   - text: the text; special tokens written in it become their ids.
  ///   - limit: how many tokens are given at most, those around the text included.
  /// - Returns: the ids; the special tokens always stand, however low the limit.
  public func encode(_ text: String, limit: Int) -> [Int32] {
    let (prefix, suffix) = (postProcessor.prefix, postProcessor.suffix)
    let content = encode(text, addSpecialTokens: false)
    return prefix + content.prefix(max(limit - prefix.count - suffix.count, 0)) + suffix
  }
}
